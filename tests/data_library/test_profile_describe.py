"""A profile's figures are pandas', whatever is in the table."""

import datetime
import json
import math
import string
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.data.errors import DataError
from clary.data.profiling import profile

N = 3_000
RANDOM = np.random.default_rng(5)


def mixed():
    return pd.DataFrame(
        {
            "whole": RANDOM.integers(-5, 50, N),
            "float": np.where(RANDOM.random(N) < 0.1, np.nan, RANDOM.lognormal(size=N)),
            "single": RANDOM.normal(size=N).astype(np.float32),
            "small": RANDOM.integers(0, 200, N).astype(np.uint8),
            "nullable": pd.array(np.where(RANDOM.random(N) < 0.1, None, RANDOM.integers(0, 9, N)), dtype="Int64"),
            "flag": RANDOM.random(N) < 0.3,
            "flag or none": pd.Series(np.where(RANDOM.random(N) < 0.2, None, RANDOM.random(N) < 0.4), dtype="object"),
            "text": np.where(RANDOM.random(N) < 0.1, None, RANDOM.choice(["x", "yy", "zzz"], N, p=[0.5, 0.3, 0.2])),
            "many": [f"name {i % 2_500}" for i in range(N)],
            "category": pd.Categorical(RANDOM.choice(["low", "high"], N, p=[0.8, 0.2])),
            "time": pd.Timestamp("2020-01-01") + pd.to_timedelta(RANDOM.integers(0, 10**9, N), "s"),
            "zone": pd.Timestamp("2020-01-01", tz="Europe/Vienna") + pd.to_timedelta(RANDOM.integers(0, 10**6, N), "s"),
            "infinite": np.where(RANDOM.random(N) < 0.01, np.inf, RANDOM.normal(size=N)),
        }
    )


def same(found, expected, rel=1e-9):
    """Whether two cells of a description say the same."""
    if isinstance(expected, (pd.Timestamp, datetime.datetime)):
        # pandas works out mean and quantiles of times in floating point.
        return found.tzinfo == expected.tzinfo and abs(found - expected) <= pd.Timedelta("2ms")
    if isinstance(expected, str):
        return found == expected
    if pd.isna(expected):
        return pd.isna(found)
    return float(found) == pytest.approx(float(expected), rel=rel, abs=1e-12)


def check(frame, include=None, rel=1e-9, leave=()):
    found = profile(frame).describe(include)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of infinite values
        expected = frame.describe(include=include)
    assert list(found.columns) == list(expected.columns)
    assert list(found.index) == list(expected.index)
    for row in expected.index:
        for column in expected.columns:
            if (row, column) not in leave:
                assert same(found.loc[row, column], expected.loc[row, column], rel), (row, column)


def test_describe_is_pandas():
    frame = mixed()
    check(frame.drop(columns="single"))
    check(frame[["single"]], rel=1e-5)  # pandas works in single precision


def test_describe_of_all_is_pandas():
    check(mixed().drop(columns=["single", "flag or none"]), "all", leave={("top", "many")})  # all are there as often


@pytest.mark.parametrize("columns", [["text", "many"], ["flag"], ["category"], ["time"]])
def test_describe_of_one_kind_is_pandas(columns):
    frame = mixed()[columns]
    check(frame, leave={("top", "many")})
    check(frame, "all", leave={("top", "many")})


def test_describe_of_something_else_is_refused():
    with pytest.raises(DataError, match="include='object'"):
        profile(mixed()).describe("object")
    with pytest.raises(DataError, match="no columns"):
        profile(pd.DataFrame()).describe()


def test_the_figures_of_a_number_are_pandas():
    frame = mixed()
    column = profile(frame)["float"]
    numbers, series = column.numbers, frame["float"]
    assert column.missing == series.isna().sum()
    assert column.distinct == series.nunique()
    assert numbers.skewness == pytest.approx(series.skew(), rel=1e-9)
    assert numbers.kurtosis == pytest.approx(series.kurt(), rel=1e-9)
    assert numbers.variance == pytest.approx(series.var(), rel=1e-12)
    for q, value in numbers.quantiles.items():
        assert value == pytest.approx(series.quantile(q), rel=1e-12)
    q1, q3 = series.quantile([0.25, 0.75])
    reach = 1.5 * (q3 - q1)
    assert numbers.fences == pytest.approx((q1 - reach, q3 + reach))
    assert numbers.outliers == (~series.dropna().between(q1 - reach, q3 + reach)).sum()
    far = (series - series.median()).abs()
    assert numbers.robust_outliers == (0.6745 * far / far.median() > 3.5).sum()


def test_the_figures_of_a_text_are_pandas():
    frame = mixed()
    column = profile(frame)["text"]
    lengths = frame["text"].str.len()
    assert (column.texts.shortest, column.texts.longest) == (lengths.min(), lengths.max())
    assert column.texts.mean_length == pytest.approx(lengths.mean())
    counts = frame["text"].value_counts()
    assert [(level.value, level.rows) for level in column.top] == list(counts.items())


def test_words_are_counted_by_the_texts_that_have_them():
    found = profile(pd.DataFrame({"a": ["The cat the", "a cat", None, "A dog!"]}))["a"].texts
    assert dict(found.words) == {"the": 1, "cat": 2, "a": 2, "dog": 1}
    assert found.mean_words == pytest.approx(7 / 3)


def test_correlations_are_pandas():
    frame = mixed()
    found = profile(frame)
    numbers = frame[["whole", "float", "small", "nullable", "flag", "infinite"]].astype(float)
    places = [found.pearson.names.index(name) for name in numbers]
    np.testing.assert_allclose(found.pearson.values[np.ix_(places, places)], numbers.corr(), rtol=1e-9, atol=1e-9)
    places = [found.spearman.names.index(name) for name in numbers]
    np.testing.assert_allclose(
        found.spearman.values[np.ix_(places, places)], numbers.corr("spearman"), rtol=1e-9, atol=1e-9
    )


def test_cramers_v_is_the_chi_square_of_the_cross_table():
    from scipy.stats import chi2_contingency

    first = RANDOM.choice(list("abc"), N)
    frame = pd.DataFrame({"a": first, "b": np.where(RANDOM.random(N) < 0.5, first, "a")})
    table = pd.crosstab(frame["a"], frame["b"])
    phi = chi2_contingency(table, correction=False)[0] / N
    r, k = table.shape
    phi = max(0.0, phi - (r - 1) * (k - 1) / (N - 1))
    least = min(r - (r - 1) ** 2 / (N - 1), k - (k - 1) ** 2 / (N - 1)) - 1
    found = profile(frame).cramers_v
    assert found.names == ("a", "b")
    assert found.values[0, 1] == pytest.approx(math.sqrt(phi / least), rel=1e-12)


def test_duplicate_rows_and_columns_are_pandas():
    frame = pd.DataFrame({"a": [1, 1, 2, 1], "b": ["x", "x", None, "x"], "c": [1.0, 1.0, 2.0, 1.0]})
    found = profile(frame)
    assert found.duplicates == frame.duplicated().sum()
    assert found.same == (("a", "c"),)


def test_patterns_say_what_is_missing_together():
    frame = pd.DataFrame({"a": [1, None, None, 4], "b": [None, None, None, "x"], "c": [1, 2, 3, 4]})
    assert [(one.columns, one.rows) for one in profile(frame).patterns] == [(("a", "b"), 2), ((), 1), (("b",), 1)]


def test_the_index_is_told_of():
    assert profile(pd.DataFrame({"a": [1, 2]})).index == "RangeIndex"
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "x"], name="key"))
    assert profile(frame).index == "Index of str, called 'key', x to x; some are there more than once"


def test_json_has_every_figure_and_no_number_json_lacks():
    found = profile(mixed())
    read = json.loads(found.to_json())
    assert read["rows"] == N
    by_name = {one["name"]: one for one in read["columns"]}
    assert by_name["float"]["numbers"]["mean"] == pytest.approx(found["float"].numbers.mean)
    assert by_name["infinite"]["numbers"]["high"] is None
    assert by_name["time"]["times"]["first"].startswith("2020-01-")
    assert len(read["pearson"]["values"]) == len(read["pearson"]["names"])


# ---- any table ----

SCALARS = {
    "floats": st.floats(allow_nan=True, allow_infinity=True),
    "integers": st.integers(-(2**63), 2**63 - 1),
    "small": st.integers(-3, 3),
    "flags": st.booleans(),
    "texts": st.text(max_size=8),
    "words": st.sampled_from(["", " ", "a", "1", "2020-01-01", "NaN", "\x00", "ü"]),
    "times": st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)),
    "bytes": st.binary(max_size=4),
    "nothing": st.none(),
    "lists": st.lists(st.integers(0, 3), max_size=2),
}


@st.composite
def tables(draw):
    rows = draw(st.integers(0, 12))
    names = draw(st.lists(st.sampled_from([*string.ascii_lowercase[:4], "", "ü", "<b>", 3]), max_size=5))
    columns = []
    for _ in names:
        kinds = draw(st.lists(st.sampled_from(sorted(SCALARS)), min_size=1, max_size=2))
        value = st.one_of(*(SCALARS[kind] for kind in kinds), st.none())
        columns.append(pd.Series(draw(st.lists(value, min_size=rows, max_size=rows)), dtype=object))
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(rows))
    frame.columns = names
    return frame.infer_objects() if draw(st.booleans()) else frame


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables())
def test_any_table_is_profiled_or_refused_in_words(frame):
    try:
        found = profile(frame)
    except DataError:
        return
    assert found.shape == frame.shape
    json.loads(found.to_json())
    assert str(found)
    assert found.to_html()
    assert isinstance(found.suggested_recipe()["steps"], list)
    for place, one in enumerate(found.columns):
        assert one.missing == int(frame.iloc[:, place].isna().sum())
        assert one.distinct <= one.count
        assert (one.distinct == 0) == (one.count == 0)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.floats(-1e9, 1e9), st.sampled_from([0.0, 1.0, math.nan, math.inf, -math.inf])), min_size=1)
)
def test_any_column_of_numbers_is_described_as_pandas_does(values):
    frame = pd.DataFrame({"a": np.array(values)})
    # Beside an infinite value numpy's quantile may be NaN where it exists.
    leave = {(q, "a") for q in ("25%", "50%", "75%")} if np.isinf(frame["a"]).any() else set()
    # What is left of rounding where values are nearly equal is not compared.
    close = frame["a"][np.isfinite(frame["a"])].std() < 1e-6 * frame["a"][np.isfinite(frame["a"])].abs().max()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        check(frame, rel=1e-7, leave=leave | ({("std", "a")} if close else set()))


def test_a_target_that_is_not_there_is_refused_by_name():
    with pytest.raises(DataError, match=r"no column 'z'; there are: 'a'"):
        profile(pd.DataFrame({"a": [1]}), "z")
    with pytest.raises(DataError, match=r"no column 'z'"):
        profile(pd.DataFrame({"a": [1]}), columns_to_plot=["z"])
    with pytest.raises(DataError, match="target 'a' holds binary"):
        profile(pa.table({"a": [b"x"]}), "a")


def test_what_is_no_table_is_refused():
    with pytest.raises(DataError, match="list is not a table"):
        profile([1, 2])
