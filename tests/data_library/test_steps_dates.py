"""Steps on times: date_parts, cyclic, elapsed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.data.errors import RecipeError, StepError
from clary.data.recipe.steps.calendar import PARTS
from clary.data.recipe.steps.cyclic import PERIODS, Cyclic
from clary.data.recipe.steps.dates import DateParts
from clary.data.recipe.steps.elapsed import Elapsed
from tests.data_library.steps_support import assert_rows_equal_batch, batch_of, fitted, made

LOW, HIGH = -(62_135_596_800 * 10**6), 253_402_300_799 * 10**6  # years 1 to 9999
moments = st.lists(
    st.one_of(
        st.none(),
        st.integers(LOW, HIGH),
        st.sampled_from(
            ["2020-02-29", "1900-02-28T23:59:59.999999", "2000-12-31", "1969-12-31T23:59:59", "2021-01-03"]
        ),
    ),
    min_size=1,
    max_size=20,
)


def a_table(values) -> pd.DataFrame:
    times = ["NaT" if value is None else value for value in values]
    return pd.DataFrame({"t": np.array([np.datetime64(value, "us") for value in times], "datetime64[us]")})


def pandas_part(times: pd.Series, part: str) -> np.ndarray:
    if part == "is_weekend":
        found = times.dt.day_of_week >= 5
    elif part == "week":
        found = times.dt.isocalendar().week.astype("float64")
    else:
        found = getattr(times.dt, {"dayofyear": "day_of_year", "weekday": "day_of_week"}.get(part, part))
    return found.astype("float64").where(times.notna()).to_numpy()


@given(moments)
def test_parts_equal_pandas(values):
    frame = a_table(values)
    step = fitted(DateParts(parts=PARTS), frame)
    result = made(step, frame)
    assert list(result.columns) == [f"t_{part}" for part in PARTS]
    for part in PARTS:
        np.testing.assert_array_equal(result[f"t_{part}"], pandas_part(frame["t"], part), err_msg=part)
    assert_rows_equal_batch(step, frame)


def test_many_rows_of_few_days_equal_pandas():
    frame = pd.DataFrame({"t": pd.date_range("1999-12-20", periods=5_000, freq="37min").astype("datetime64[us]")})
    frame.loc[17, "t"] = pd.NaT
    result = made(fitted(DateParts(parts=PARTS), frame, size=0), frame)
    for part in PARTS:
        np.testing.assert_array_equal(result[f"t_{part}"], pandas_part(frame["t"], part), err_msg=part)


def test_years_beyond_pythons_calendar_are_the_same_in_a_row_and_in_a_batch():
    frame = a_table([2**61, -(2**61), 2**62 + 1, -(2**63) + 1, HIGH, LOW])
    for step in (DateParts(parts=PARTS), Cyclic(), Elapsed(since="2020-01-01")):
        assert_rows_equal_batch(fitted(step, frame), frame)


def test_text_is_to_be_parsed_first():
    frame = pd.DataFrame({"t": ["2020-01-01"]})
    for step in (DateParts(columns=("t",)), Cyclic(columns="t"), Elapsed(columns="t", since="2020-01-01")):
        with pytest.raises(StepError, match="column 't': it holds text, not times; put the step `parse_dates` before"):
            fitted(step, frame)
    with pytest.raises(StepError, match="'t': it holds text, not times; put the step `parse_dates`"):
        fitted(DateParts(), a_table([0])).transform(batch_of(frame))


def test_the_column_stays_if_set():
    frame = a_table([0])
    assert list(made(fitted(DateParts(parts=("year",), drop=False), frame), frame).columns) == ["t", "t_year"]


def test_only_all_parts_of_columns_needed():
    frame = pd.concat([a_table([0]), a_table([0]).rename(columns={"t": "u"})], axis=1)
    assert fitted(DateParts(), frame).only({"u_year"}).names == ("u",)


def test_wrong_parts_are_refused():
    with pytest.raises(RecipeError, match="parts: 'yaer' is not one of 'year'"):
        DateParts(parts=("yaer",))
    with pytest.raises(RecipeError, match="at least one"):
        Cyclic(parts=())
    with pytest.raises(RecipeError, match="twice"):
        DateParts(parts=("year", "year"))


# ---- cyclic ----


@given(moments)
def test_cyclic_parts_are_points_on_a_circle(values):
    frame = a_table(values)
    step = fitted(Cyclic(parts=tuple(PERIODS)), frame)
    result = made(step, frame)
    for part, period in PERIODS.items():
        angle = pandas_part(frame["t"], part) * 2 * np.pi / period
        np.testing.assert_allclose(result[f"t_{part}_sin"], np.sin(angle), atol=1e-12)
        np.testing.assert_allclose(result[f"t_{part}_cos"], np.cos(angle), atol=1e-12)
    assert_rows_equal_batch(step, frame)


@given(st.lists(st.floats(), min_size=1, max_size=40), st.floats(1e-3, 1e3))
def test_numbers_with_a_period_go_round_too(values, period):
    frame = pd.DataFrame({"x": values})
    step = fitted(Cyclic(columns="x", period=period), frame)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(made(step, frame)["x_sin"], np.sin(frame["x"].to_numpy() * (2 * np.pi / period)))
    assert_rows_equal_batch(step, frame)


def test_a_number_needs_a_period_and_is_left_alone_unless_named():
    frame = pd.DataFrame({"x": [1.0], "t": a_table([0])["t"]})
    with pytest.raises(StepError, match="column 'x': it holds numbers: give the `period`"):
        fitted(Cyclic(columns=("x",)), frame)
    assert "x" in made(fitted(Cyclic(), frame), frame)


# ---- elapsed ----


@given(moments, st.sampled_from(["weeks", "days", "hours", "minutes", "seconds", "milliseconds"]))
def test_elapsed_since_a_date_equals_pandas(values, unit):
    frame = a_table(values)
    step = fitted(Elapsed(since="2020-02-29T01:02:03", unit=unit), frame)
    unit_ = {"weeks": pd.Timedelta(days=7), "milliseconds": pd.Timedelta(milliseconds=1)}.get(unit) or pd.Timedelta(
        **{unit: 1}
    )
    expected = (frame["t"] - pd.Timestamp("2020-02-29T01:02:03").as_unit("us")) / unit_.as_unit("us")
    np.testing.assert_allclose(made(step, frame)["t_elapsed"], expected, rtol=1e-15)
    assert_rows_equal_batch(step, frame)


@given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(LOW, HIGH)), st.integers(LOW, HIGH)), min_size=1, max_size=9)
)
def test_elapsed_between_two_columns(pairs):
    frame = pd.DataFrame(
        {"a": a_table([pair[0] for pair in pairs])["t"], "b": a_table([pair[1] for pair in pairs])["t"]}
    )
    step = fitted(Elapsed(since_column="a", unit="hours", drop=False), frame)
    result = made(step, frame)
    assert list(result.columns) == ["a", "b", "b_elapsed"]
    expected = [np.nan if a is None else (b - a) / 3.6e9 for a, b in pairs]
    np.testing.assert_allclose(result["b_elapsed"], expected, rtol=1e-15)
    assert_rows_equal_batch(step, frame)


def test_a_time_zone_in_the_recipe_is_heeded():
    frame = a_table(["2020-01-01T00:00:00"])
    step = fitted(Elapsed(since="2020-01-01T00:00:00+02:00", unit="hours"), frame)
    assert made(step, frame)["t_elapsed"].tolist() == [2.0]


def test_what_elapsed_refuses():
    for wrong in ({}, {"since": "2020-01-01", "since_column": "t"}):
        with pytest.raises(RecipeError, match="give one of the two"):
            Elapsed(**wrong)
    with pytest.raises(RecipeError, match="'yesterday' is not a date"):
        Elapsed(since="yesterday")
    with pytest.raises(StepError, match="column 'n': it holds number, not times"):
        fitted(Elapsed(since_column="n"), a_table([0]).assign(n=1))
    with pytest.raises(StepError, match="there would be two columns 't_elapsed'"):
        fitted(Elapsed(since="2020-01-01"), a_table([0]).assign(t_elapsed=1))


def test_a_column_without_any_value_is_missing_everywhere():
    step = fitted(DateParts(parts=("year",)), a_table([0]))
    assert made(step, pd.DataFrame({"t": [None, None]}))["t_year"].isna().all()
