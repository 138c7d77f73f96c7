"""A table read in parts has the figures of the same table in memory, on any number of cores, in bounded memory."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from clary.data import scans
from clary.data.frames import arrow_of_pandas
from clary.data.profiling import build, profile, table_summary
from clary.data.profiling import limits as limits_module
from clary.data.profiling.limits import limits
from clary.data.scans import FramePart, FrameScan
from clary.data.statistics import pilot

N = 30_000
EDGES = [0, 1, 1_000, 7_000, 20_000]
RANDOM = np.random.default_rng(4)


@dataclasses.dataclass
class Parts:
    """A scan cut into parts of uneven sizes, each with dictionaries of its own, as files have them."""

    table: pa.Table
    notes: tuple = ()
    passes: int = 0

    @property
    def arrow_schema(self):
        return self.table.schema

    @property
    def rows(self):
        return self.table.num_rows

    def parts(self):
        self.passes += 1
        edges = [*EDGES, self.rows]
        return [FramePart(self.table, low, high - low) for low, high in itertools.pairwise(edges)]


def frame():
    starts = np.isin(np.arange(N), np.add.outer(EDGES, range(500)))  # all that the pilot sample has
    return pd.DataFrame(
        {
            "id": np.arange(N) + 10**12,
            "x": np.where(RANDOM.random(N) < 0.1, np.nan, RANDOM.lognormal(size=N)),
            "sorted": np.sort(RANDOM.normal(size=N)),
            "hidden": RANDOM.normal(size=N) + starts * 1e6,
            "late": np.where(starts, np.nan, 1e7 + RANDOM.normal(size=N)),
            "zeros": np.where(RANDOM.random(N) < 0.5, 0.0, RANDOM.normal(size=N)),
            "level": RANDOM.choice([f"l{i}" for i in range(300)], N),
            "text": [f"some words {i}" for i in RANDOM.integers(0, 20_000, N)],
            "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(RANDOM.integers(0, 10**6, N), "s"),
            "flag": RANDOM.random(N) < 0.2,
        }
    )


@pytest.fixture
def small(monkeypatch):
    """Limits that a small table passes."""
    monkeypatch.setattr(pilot, "PILOT_ROWS", 2_000)
    monkeypatch.setattr(table_summary, "SAMPLE_ROWS", 3_000)


def check(found, expected):
    for one, other in zip(found.columns, expected.columns, strict=True):
        assert (one.missing, one.distinct) == (other.missing, other.distinct)
        if one.numbers is None:
            continue
        for field in dataclasses.fields(one.numbers):
            if field.name not in ("histogram", "quantiles"):
                mine, theirs = getattr(one.numbers, field.name), getattr(other.numbers, field.name)
                exact = theirs is None or isinstance(theirs, str)
                assert mine == (theirs if exact else pytest.approx(theirs, rel=1e-9, nan_ok=True)), field.name
        assert one.numbers.quantiles == pytest.approx(other.numbers.quantiles, rel=1e-12)
    assert found.duplicates == expected.duplicates
    assert found.patterns == expected.patterns
    np.testing.assert_allclose(
        found.pearson.values, expected.pearson.values, rtol=1e-9, atol=1e-6
    )  # hidden and late share only rows far from their centres


def test_parts_have_the_figures_of_the_whole(small):
    table = frame()
    scan = Parts(arrow_of_pandas(table)[0])
    found = profile(scan)
    numbers = table.drop(columns="when")  # the mean of times is exact here, to the microsecond
    pd.testing.assert_frame_equal(
        found.describe()[list(numbers.describe())].loc[numbers.describe().index], numbers.describe(), rtol=1e-9
    )
    assert scan.passes > 2  # another pass was needed
    check(found, profile(table))
    assert found["late"].numbers.kurtosis == pytest.approx(table["late"].kurt(), rel=1e-6)


def test_any_number_of_cores_gives_the_same(small, monkeypatch):
    table = arrow_of_pandas(frame())[0]
    found = []
    for count in (1, 4):
        monkeypatch.setattr(scans, "cores", lambda count=count: count)
        found.append(profile(Parts(table)))
    assert found[0].to_json() == found[1].to_json()


def test_a_sample_is_told_of(small):
    told = " ".join(profile(Parts(arrow_of_pandas(frame())[0])).told)
    assert "sample of" in told
    assert "Spearman" in told


def test_dictionaries_that_change_from_part_to_part_are_one_column():
    first = pa.array(["a", "b", "a", None]).dictionary_encode()
    second = pa.array(["b", "c", "b", "b"]).dictionary_encode()
    found = profile(FrameScan(pa.table({"x": pa.chunked_array([first, second])})))["x"]
    assert {level.value: level.rows for level in found.top} == {"b": 4, "a": 2, "c": 1}
    assert (found.distinct, found.missing) == (3, 1)
    assert found.texts.mean_length == 1


def test_past_its_limits_a_profile_estimates_and_tells(small, monkeypatch):
    def tight(rows, exact):
        if exact:
            return limits(rows, exact)
        return limits_module.Limits(number_levels=100, text_levels=100, distinct=1_024, row_hashes=5_000, kept=2_000)

    monkeypatch.setattr(build, "limits", tight)
    table = pd.concat([frame(), frame()[:3_000]])
    scan = Parts(arrow_of_pandas(table)[0])
    found, exact = profile(scan), profile(scan, exact=True)
    assert not found["x"].distinct_exact
    assert found["x"].distinct == pytest.approx(table["x"].nunique(), rel=0.15)
    assert found["text"].distinct == pytest.approx(table["text"].nunique(), rel=0.15)
    assert found["id"].index_like is False
    assert found.duplicates == pytest.approx(table.duplicated().sum(), rel=0.5, abs=1_500)
    told = " ".join(found.told)
    assert "estimate" in told
    assert "Duplicate rows were looked for among" in told
    assert exact["x"].distinct == table["x"].nunique()
    assert exact["text"].distinct == table["text"].nunique()
    assert exact.duplicates == table.duplicated().sum()
    numbers = table.drop(columns="when")
    pd.testing.assert_frame_equal(
        found.describe()[list(numbers.describe())].loc[numbers.describe().index], numbers.describe(), rtol=1e-9
    )


def test_progress_counts_every_row_of_each_pass(small):
    told = []
    profile(Parts(arrow_of_pandas(frame())[0]), progress=lambda what, done, of: told.append((what, done, of)))
    last = {what: (done, of) for what, done, of in told}
    assert len(last) > 1
    assert all(done == of == N for done, of in last.values())


def test_a_wide_table_has_no_matrix_of_all_pairs_and_says_so():
    table = pd.DataFrame(RANDOM.normal(size=(20, table_summary.MOST_PAIRED + 5)))
    found = profile(table)
    assert found.pearson.names == ()
    assert any("Pearson" in line for line in found.told)
    pd.testing.assert_frame_equal(found.describe(), table.describe().set_axis(map(str, table), axis=1))
    assert found.to_html()
