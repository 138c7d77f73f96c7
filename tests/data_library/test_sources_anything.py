"""Whatever bytes a file holds and whatever it is format_name to be: a table or a DataError, never another error."""

import contextlib
import random

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clary.data.errors import DataError
from clary.data.scans import each_batch
from clary.data.sources import delimited, read, scan
from clary.data.sources.formats import BY_NAME
from tests.data_library.test_sources_formats import WRITERS

FORMATS = sorted(set(BY_NAME) - {"pickle"})
FEW = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
LIKE_TEXT = st.text(st.sampled_from("ab01.,;\"'\n\r\t:{}[]- \0é"), max_size=200).map(str.encode)


def is_read_or_refused(source, **options):
    with contextlib.suppress(DataError):
        frame = read(source, **options)
        with scan(source, **options) as table:
            names = table.arrow_schema.names
            rows = sum(each_batch(table, names, lambda batch: batch.rows))
        assert rows == len(frame)


@pytest.mark.parametrize("format_name", FORMATS)
@FEW
@given(content=st.binary(max_size=300) | LIKE_TEXT)
def test_any_bytes_are_a_table_or_an_error(tmp_path, format_name, content):
    (tmp_path / "thing").write_bytes(content)
    is_read_or_refused(tmp_path / "thing", format=format_name)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300) | LIKE_TEXT, skip=st.booleans())
def test_any_bytes_of_unknown_format_are_a_table_or_an_error(tmp_path, content, skip):
    (tmp_path / "thing").write_bytes(content)
    is_read_or_refused(tmp_path / "thing", bad_rows="skip" if skip else "error")


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"a.pkl"}))
def test_files_with_a_wrong_byte_are_a_table_or_an_error(tmp_path, name):
    frame = pd.DataFrame(
        {
            "whole": [3, -1, 2],
            "gaps": [0.5, None, -2.25],
            "text": ["x", None, "é"],
            "time": pd.to_datetime(["2020-01-01", None, "2021-02-03"]).astype("datetime64[us]"),
            "flag": [True, False, True],
        }
    )
    path = tmp_path / name
    WRITERS[name](frame, path)
    content = path.read_bytes()
    rng = random.Random(0)
    for _ in range(40):
        broken = bytearray(content)
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        path.write_bytes(broken)
        is_read_or_refused(path)


CELLS = st.text(st.sampled_from("ab1.\"',\n é"), max_size=6)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=40), size=st.integers(20, 200))
def test_quoting_is_read_as_pandas_reads_it_wherever_blocks_end(tmp_path, monkeypatch, rows, size):
    for name in ("FIRST_BYTES", "MIN_BYTES", "MAX_BYTES"):
        monkeypatch.setattr(delimited, name, size)
    path = tmp_path / "a.csv"
    pd.DataFrame(rows, columns=["x", "y", "z"]).to_csv(path, index=False)
    found = read(
        path, header=True, delimiter=",", quote='"', missing=[], trim=False, types=dict.fromkeys("xyz", "text")
    )
    expected = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert found.to_numpy().tolist() == expected.to_numpy().tolist()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(
        st.floats(allow_nan=False, allow_infinity=False).map(repr)
        | st.integers(-(2**62), 2**62).map(str)
        | st.sampled_from(["", "NA", "1e5", "-.5", "+7"]),
        min_size=1,
        max_size=60,
    )
)
def test_numbers_are_what_python_reads_wherever_they_turn_up(tmp_path, monkeypatch, values):
    for name in ("FIRST_BYTES", "MIN_BYTES", "MAX_BYTES"):
        monkeypatch.setattr(delimited, name, 50)
    path = tmp_path / "a.csv"
    path.write_text("id,x\n" + "".join(f"r,{value}\n" for value in values))
    expected = [float(value) if value not in ("", "NA") else np.nan for value in values]
    whole = all("." not in value and "e" not in value for value in values if value not in ("", "NA"))
    found = read(path, header=True)["x"]
    if found.dtype == "str":  # whole numbers of too many digits beside others
        assert not whole
        assert any(len(value.strip("+-")) > 18 and value.lstrip("+-").isdigit() for value in values)
        return
    np.testing.assert_array_equal(found.to_numpy(float), expected)
