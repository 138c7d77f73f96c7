"""Steps that leave out rows or columns, or rename them, beside pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.data.batch import Batch
from clary.data.errors import RecipeError, StepError
from clary.data.recipe.fit import fit_steps
from clary.data.recipe.plan import in_one_batch, transformed
from clary.data.recipe.steps.expressions import Filter
from clary.data.recipe.steps.rows import Deduplicate, Drop, DropMissing, Keep, Rename
from clary.data.recipe.steps.sampling import Balance
from clary.data.recipe.steps.scaling import Scale
from clary.data.statistics.repeats import Repeats
from tests.data_library.steps_support import assert_rows_equal_batch, fitted, made, scan_of

cells = st.tuples(
    st.sampled_from([np.nan, 0.0, -0.0, 1.0]), st.sampled_from([None, "", "a", "ä"]), st.sampled_from([None, 1, 2**60])
)
tables = st.lists(cells, max_size=25).map(
    lambda rows: pd.DataFrame(
        {
            "number": pd.Series([row[0] for row in rows], dtype=float),
            "text": pd.Series([row[1] for row in rows], dtype="str"),
            "whole": pd.array([row[2] for row in rows], dtype="Int64"),
        }
    )
)


def trained(frame, *steps, size=3):
    """The rows that a model learns from, however the table is cut."""
    fitted_steps = fit_steps(steps, scan_of(frame, size))
    return in_one_batch(transformed(fitted_steps, scan_of(frame, size), training=True)).to_pandas()


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert list(found) == list(expected)
    assert len(found) == len(expected)
    for name in expected:
        mine, theirs = (
            [None if pd.isna(value) else value for value in table[name].tolist()] for table in (found, expected)
        )
        assert mine == theirs, name


@settings(max_examples=20)
@given(frame=tables, size=st.integers(1, 9))
@pytest.mark.parametrize("parameters", [{}, {"how": "all"}, {"thresh": 2}, {"thresh": 0}])
def test_rows_with_missing_values_go_as_in_pandas(parameters, frame, size):
    expected = frame.dropna(**parameters)
    assert_same(trained(frame, DropMissing(**parameters), size=size), expected)
    assert_same(
        trained(frame, DropMissing(columns=("text",)), size=size),
        frame.dropna(subset=["text"]),
    )


@settings(max_examples=20)
@given(frame=tables.filter(len))
@pytest.mark.parametrize("parameters", [{}, {"how": "all"}, {"thresh": 2}])
def test_columns_with_missing_values_go_as_in_pandas(parameters, frame):
    step = fitted(DropMissing(axis="columns", **parameters), frame)
    assert_same(made(step, frame), frame.dropna(axis="columns", **parameters))
    assert len(step.notes()) == frame.shape[1] - made(step, frame).shape[1]


@settings(max_examples=25)
@given(frame=tables, size=st.integers(1, 9))
@pytest.mark.parametrize(("keep", "theirs"), [("first", "first"), ("last", "last"), ("none", False)])
def test_repeated_rows_go_as_in_pandas(keep, theirs, frame, size):
    assert_same(trained(frame, Deduplicate(keep=keep), size=size), frame.drop_duplicates(keep=theirs))
    subset = trained(frame, Deduplicate(columns=("number", "text"), keep=keep), size=size)
    assert_same(subset, frame.drop_duplicates(["number", "text"], keep=theirs))


def test_large_whole_numbers_are_not_taken_for_each_other():
    frame = pd.DataFrame({"a": [2**60, 2**60 + 1, 2**60]})
    assert trained(frame, Deduplicate())["a"].tolist() == [2**60, 2**60 + 1]


def test_rows_of_lists_and_bytes_are_compared_too():
    table = pa.table({"a": pa.array([[1], [1], [1, 2], None, None]), "b": pa.array([b"x", b"x", b"x", b"y", b"y"])})
    assert Repeats(("a", "b")).result(Repeats(("a", "b")).compute(Batch.of_arrow(table))).tolist() == [1, 4]


def test_rows_copied_to_balance_classes_are_not_repeats():
    frame = pd.DataFrame({"a": ["x"] * 6 + ["y"], "b": range(7)})
    assert len(trained(frame, Balance(column="a", strategy="up"), Deduplicate())) == 12


def test_what_was_left_out_is_reported():
    frame = pd.DataFrame({"a": [1, 1, 2], "b": [1.0, None, None]})
    assert "1 row(s)" in fitted(Deduplicate(columns=("a",)), frame).notes()[0]
    assert fitted(DropMissing(axis="columns"), frame).notes() == ("'b' was dropped: 2 of 3 values are missing.",)


@pytest.mark.parametrize("step", [DropMissing(), Deduplicate(), Filter(expression="a > 1")])
def test_at_inference_every_row_stays(step):
    frame = pd.DataFrame({"a": [1.0, 1.0, None, 2.0]})
    steps = fit_steps([step], scan_of(frame))
    assert in_one_batch(transformed(steps, scan_of(frame))).rows == 4


def test_steps_behind_learn_from_the_rows_that_are_left():
    frame = pd.DataFrame({"a": [1.0, 3.0, 1000.0]})
    _, scaled = fit_steps([Filter(expression="a < 100"), Scale(method="min_max")], scan_of(frame))
    np.testing.assert_allclose(made(scaled, frame)["a"], [0.0, 1.0, 499.5])


# ---- columns ----


def test_columns_are_dropped_kept_and_renamed():
    frame = pd.DataFrame({"a1": [1.0], "a2": [2.0], "b": ["x"], "y": [0]})
    assert list(made(fitted(Drop(columns=("a*",)), frame), frame)) == ["b", "y"]
    assert list(made(fitted(Keep(columns=("b",), target="y"), frame), frame)) == ["b", "y"]
    step = fitted(Rename(names={"a1": "one", "b": "a2", "a2": "b"}), frame)
    result = made(step, frame)
    assert result["one"].tolist() == [1.0]
    assert result["a2"].tolist() == ["x"]
    assert result["b"].tolist() == [2.0]
    for dropping in (step, fitted(Drop(columns=("b",)), frame), fitted(Keep(columns=("b",)), frame)):
        assert_rows_equal_batch(dropping, frame)


def test_names_that_clash_or_are_not_there_are_errors():
    frame = pd.DataFrame({"a": [1.0], "b": [2.0]})
    with pytest.raises(StepError, match="'b'"):
        fitted(Rename(names={"a": "b"}), frame)
    with pytest.raises(StepError, match="'c'"):
        fitted(Rename(names={"c": "d"}), frame)
    with pytest.raises(StepError, match="'c'"):
        fitted(Drop(columns=("c",)), frame)
    with pytest.raises(RecipeError, match="names"):
        Rename(names={"a": "x", "b": "x"})
    with pytest.raises(RecipeError, match="columns"):
        Drop()
    with pytest.raises(RecipeError, match="axis"):
        DropMissing(axis="diagonal")
