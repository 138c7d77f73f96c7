"""Previews: what each step did to a few rows, in numbers that a person can check."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clary.data.errors import DataError, StepError
from clary.data.recipe import Recipe
from tests.data_library.recipe_support import Centre, passengers, table_of
from tests.data_library.steps_support import CutScan


@pytest.fixture
def frame() -> pd.DataFrame:
    return passengers(100)


def test_it_counts_columns_rows_and_cells(frame):
    steps = [
        {"impute": {"columns": ["n0", "n1"], "strategy": "constant", "value": 7.0}},
        {"filter": {"expression": "whole > 1"}},
        {"one_hot": {"columns": "c0"}},
        {"drop": {"columns": ["n4", "day"]}},
    ]
    impute, kept, one_hot, drop = Recipe(steps, target="label", name="ship").preview(frame).steps
    missing = frame[["n0", "n1"]].isna()
    assert impute.touched == {**dict.fromkeys(frame.columns, 0), **missing.sum().to_dict()}
    assert impute.rows_touched == missing.any(axis=1).sum()
    assert [example.before for example in impute.examples] == ["missing"] * len(impute.examples)
    assert {example.after for example in impute.examples} == {"7"}
    assert {example.row for example in impute.examples if example.column == "n0"} <= set(np.flatnonzero(missing["n0"]))
    assert (kept.rows_before, kept.rows_after) == (100, int((frame["whole"] > 1).sum()))
    assert kept.rows_touched == 0
    assert one_hot.removed == ("c0",)
    assert set(one_hot.added) == {f"c0_{level}" for level in "abcdef"}
    assert one_hot.rows_touched == one_hot.rows_after
    assert drop.removed == ("n4", "day")
    assert drop.added == ()


def test_it_prints_for_terminals_and_notebooks(frame):
    odd = frame.rename(columns={"n0": "<script>alert(1)</script>"})
    preview = Recipe([Centre(), {"one_hot": {"columns": "c0"}}], target="label", name="<b>").preview(odd, rows=50)
    text, page = str(preview), preview._repr_html_()
    assert text.startswith("<b> on 50 of 100 rows\n\nstep 1 (centre)\n  14 → 14 columns, 50 → 50 rows\n")
    assert "  6 columns lost their mean." in text
    assert "<script>" not in page
    assert "<b>" not in page
    assert page.count("<tr>") == 3
    assert '<th scope="row">2 (one_hot)</th>' in page


def test_it_is_drawn_from_the_whole_table_and_always_the_same():
    frame = passengers(5000)
    recipe = Recipe([Centre(columns=("n0",))], target="label")
    cut = recipe.preview(CutScan(table_of(frame), 100), rows=200)
    assert cut == recipe.preview(frame, rows=200)
    assert (cut.rows, cut.table_rows, cut.steps[0].rows_before) == (200, 5000, 200)
    assert max(example.row for example in cut.steps[0].examples) < 5000


def test_a_kind_that_changes_is_a_change_of_every_value(frame):
    (step,) = Recipe([{"ordinal": {"columns": "c0"}}]).preview(frame).steps
    assert step.touched["c0"] == frame["c0"].notna().sum()


@pytest.mark.parametrize("rows", [0, -1, 1.5, True, 10**9, "all"])
def test_a_number_of_rows_that_is_none_is_reported(frame, rows):
    with pytest.raises(DataError, match="rows: a number from 1 to 100,000 is wanted"):
        Recipe([]).preview(frame, rows)


def test_a_step_that_fails_is_named(frame):
    with pytest.raises(StepError, match=r"step 2 \(log\)"):
        Recipe([Centre(), {"log": {}}, {"scale": {}}]).preview(frame)


def test_an_empty_table_and_an_empty_recipe_have_previews(frame):
    assert Recipe([]).preview(frame).steps == ()
    (step,) = Recipe([{"drop": {"columns": "n0"}}]).preview(frame.iloc[:0]).steps
    assert (step.rows_before, step.rows_after) == (0, 0)


def test_a_flag_that_is_nowhere_there_is_a_flag_still():
    table = pd.DataFrame({"flag": pd.array([None, None], "boolean"), "n": [1.0, 2.0]})
    (step,) = Recipe([{"impute": {"columns": "numbers"}}]).preview(table).steps
    assert step.touched == {"flag": 0, "n": 0}
