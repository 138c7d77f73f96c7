"""cast and parse_dates: columns of another kind, with what does not fit counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.data.errors import DataError, RecipeError, StepError
from clary.data.recipe.steps.casting import Cast, ParseDates
from tests.data_library.steps_support import assert_rows_equal_batch, fitted, made

NAN, NAT = float("nan"), pd.NaT


def a_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "figures": pd.Series(["1", " 2.5 ", None, "-1e3", "+.5"], dtype="str"),
            "words": pd.Series(["yes", "No", None, "1", "T"], dtype="str"),
            "mixed": pd.Series(["1", "x", "", "0x1f", None], dtype="str"),
            "bits": pd.array([1, 0, None, 1, 0], dtype="Int64"),
            "numbers": [1.0, -2.5, NAN, 1e20, 3.0],
            "flags": pd.array([True, None, False, True, True], dtype="boolean"),
            "times": pd.to_datetime(
                ["2020-01-01", None, "2021-02-03T04:05:06.5", "1969-12-31", "2100-01-01"], format="ISO8601"
            ),
            "iso": pd.Series(
                ["2020-01-01", None, "2020-02-03T04:05:06Z", "2020-02-03 04:05+02:00", "20200101"], dtype="str"
            ),
        }
    )


_TWO_SECONDS = (pd.Timestamp("1970-01-01T00:00:01"), pd.Timestamp("1970-01-01"))
CASTS = [
    ("figures", "number", [1.0, 2.5, NAN, -1000.0, 0.5]),
    ("words", "boolean", [1.0, 0.0, NAN, 1.0, 1.0]),
    ("bits", "boolean", [1.0, 0.0, NAN, 1.0, 0.0]),
    ("flags", "number", [1.0, NAN, 0.0, 1.0, 1.0]),
    ("flags", "text", ["true", NAN, "false", "true", "true"]),
    ("numbers", "text", ["1", "-2.5", NAN, "1e+20", "3"]),
    ("bits", "text", ["1", "0", NAN, "1", "0"]),
    ("times", "number", [1577836800.0, NAN, 1612325106.5, -86400.0, 4102444800.0]),
    (
        "times",
        "text",
        ["2020-01-01T00:00:00", NAN, "2021-02-03T04:05:06.500000", "1969-12-31T00:00:00", "2100-01-01T00:00:00"],
    ),
    (
        "iso",
        "time",
        [pd.Timestamp(time) for time in ("2020-01-01", NAT, "2020-02-03T04:05:06", "2020-02-03T02:05", "2020-01-01")],
    ),
    ("bits", "time", [pd.Timestamp("1970-01-01T00:00:01"), pd.Timestamp("1970-01-01"), NAT, *_TWO_SECONDS]),
    ("numbers", "number", [1.0, -2.5, NAN, 1e20, 3.0]),
    ("flags", "boolean", [1.0, NAN, 0.0, 1.0, 1.0]),
]


@pytest.mark.parametrize(("column", "to", "expected"), CASTS, ids=lambda value: value if isinstance(value, str) else "")
def test_values_become_those_of_another_kind(column, to, expected):
    frame = a_table()
    step = fitted(Cast(columns=(column,), to=to), frame)
    result = made(step, frame)[column].tolist()
    assert all(
        (pd.isna(mine) and pd.isna(theirs)) or mine == theirs for mine, theirs in zip(result, expected, strict=True)
    )
    assert_rows_equal_batch(step, frame)


def test_booleans_without_missing_values_are_booleans():
    frame = pd.DataFrame({"a": pd.Series(["yes", "no"], dtype="str")})
    assert made(fitted(Cast(columns=("a",), to="boolean"), frame), frame)["a"].dtype == bool


@pytest.mark.parametrize(
    ("column", "to", "count"),
    [("mixed", "number", 3), ("numbers", "boolean", 3), ("figures", "time", 4), ("numbers", "time", 1)],
)
def test_what_does_not_fit_is_an_error_or_missing_and_counted(column, to, count):
    frame = a_table()
    with pytest.raises(StepError, match=f"'{column}': {count} of 5 values are no {to}"):
        fitted(Cast(columns=(column,), to=to), frame)
    lenient = fitted(Cast(columns=(column,), to=to, errors="missing"), frame)
    assert f"{count} of 5" in lenient.notes()[0]
    assert made(lenient, frame)[column].isna().sum() == frame[column].isna().sum() + count
    assert_rows_equal_batch(lenient, frame)


def test_new_values_that_do_not_fit_are_errors_too():
    step = fitted(Cast(columns=("a",), to="number"), pd.DataFrame({"a": ["1"]}))
    with pytest.raises(StepError, match=r"'a'.*no number, as 'x'"):
        made(step, pd.DataFrame({"a": ["1", "x"]}))


@settings(max_examples=100)
@given(st.lists(st.one_of(st.none(), st.text(max_size=6), st.floats().map(repr), st.integers().map(str)), min_size=1))
def test_any_text_becomes_the_number_that_python_reads_or_missing(texts):
    frame = pd.DataFrame({"a": pd.Series(texts, dtype="str")})
    step = fitted(Cast(columns=("a",), to="number", errors="missing"), frame)
    result = made(step, frame)["a"].to_numpy()
    for text, value in zip(texts, result, strict=True):
        if not np.isnan(value):
            assert value == float(text)
        elif text is not None and text.isascii() and "_" not in text:
            try:
                assert np.isnan(float(text))
            except ValueError:
                continue
    assert_rows_equal_batch(step, frame)


@settings(max_examples=50)
@given(st.lists(st.floats(), min_size=1))
def test_numbers_written_as_text_are_read_back(values):
    frame = pd.DataFrame({"a": values})
    there = fitted(Cast(columns=("a",), to="text"), frame)
    text = made(there, frame)
    back = fitted(Cast(columns=("a",), to="number"), text)
    np.testing.assert_array_equal(made(back, text)["a"], values)
    assert_rows_equal_batch(there, frame)


@pytest.mark.parametrize(("column", "to"), [("times", "boolean"), ("flags", "time")])
def test_kinds_without_a_conversion_between_them_are_errors(column, to):
    with pytest.raises(StepError, match=column):
        fitted(Cast(columns=(column,), to=to), a_table())


def test_wrong_parameters_are_refused():
    for wrong in ({"to": "colour"}, {"to": "number", "errors": "hide"}):
        with pytest.raises(RecipeError):
            Cast(columns=("a",), **wrong)
    with pytest.raises(RecipeError, match="columns"):
        Cast(to="number")


# ---- parse_dates ----


@pytest.mark.parametrize(
    ("texts", "parameters", "expected", "message"),
    [
        (["2020-01-02", "2020-02-03T04:05", None], {}, ["2020-01-02", "2020-02-03T04:05", None], "ISO8601"),
        (["01.02.2020", "13.02.2020", None], {}, ["2020-02-01", "2020-02-13", None], "%d.%m.%Y"),
        (["01/02/2020", "12/31/2020"], {}, ["2020-01-02", "2020-12-31"], "%m/%d/%Y"),
        (["01/02/2020", "03/04/2020"], {"dayfirst": True}, ["2020-02-01", "2020-04-03"], "%d/%m/%Y"),
        (["02-2020-01"], {"format": "%d-%Y-%m"}, ["2020-01-02"], "%d-%Y-%m"),
        (["2020-01-01T00:00+02:00", "2020-07-01T00:00Z"], {}, ["2019-12-31T22:00", "2020-07-01"], "ISO8601"),
        (["1 March 2021", "12 May 1999"], {}, ["2021-03-01", "1999-05-12"], "%d %B %Y"),
    ],
)
def test_dates_are_parsed_as_people_write_them(texts, parameters, expected, message):
    frame = pd.DataFrame({"a": pd.Series(texts, dtype="str")})
    step = fitted(ParseDates(columns=("a",), **parameters), frame, size=1)
    result = made(step, frame)["a"]
    assert [str(value) for value in result] == [str(pd.Timestamp(value)) if value else "NaT" for value in expected]
    assert message in step.notes()[0]
    assert_rows_equal_batch(step, frame)


def test_dates_that_do_not_fit_are_an_error_or_missing_and_counted():
    frame = pd.DataFrame({"a": ["2020-01-02", "2020-13-45", "soon"]})
    with pytest.raises(StepError, match=r"'a': 2 of 3 values are no time, as '2020-13-45', 'soon'"):
        fitted(ParseDates(columns=("a",)), frame)
    step = fitted(ParseDates(columns=("a",), errors="missing"), frame)
    assert made(step, frame)["a"].isna().tolist() == [False, True, True]
    assert "2 of 3" in step.notes()[1]


def test_texts_that_are_no_dates_and_formats_that_are_none_are_errors():
    with pytest.raises(StepError, match=r"'a'.*format"):
        fitted(ParseDates(columns=("a",)), pd.DataFrame({"a": ["red", "green"]}))
    with pytest.raises(StepError, match=r"'a'.*format"):
        fitted(ParseDates(columns=("a",)), pd.DataFrame({"a": pd.Series([None], dtype="str")}))
    for wrong in ("yyyy", "%Q"):
        with pytest.raises(RecipeError, match="format"):
            ParseDates(columns=("a",), format=wrong)


@settings(max_examples=50)
@given(st.lists(st.one_of(st.none(), st.text(max_size=12), st.datetimes().map(str)), min_size=1, max_size=10))
def test_any_texts_are_parsed_or_refused(texts):
    frame = pd.DataFrame({"a": pd.Series(texts, dtype="str")})
    try:
        step = fitted(ParseDates(columns=("a",), errors="missing"), frame)
    except DataError:
        return
    made(step, frame)
