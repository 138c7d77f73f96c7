"""What a quick model makes of the target: its score, what it stands on, what leaks."""

import numpy as np
import pandas as pd
import pytest

from clary.data.profiling import profile
from clary.data.profiling.target_model import task_of

N = 1_200
RANDOM = np.random.default_rng(2)
X = RANDOM.normal(size=N)


def of(**columns):
    return pd.DataFrame(columns)


def codes(found, column):
    return {one.code for one in found.findings if one.column == column}


def test_a_target_that_can_be_told_scores_above_always_the_same_answer():
    target = profile(
        of(x=X, noise=RANDOM.normal(size=N), y=np.where(X + RANDOM.normal(size=N) * 0.3 > 0, "yes", "no")), "y"
    ).target
    assert (target.task, target.metric) == ("classification", "balanced accuracy")
    assert target.baseline == pytest.approx(0.5)
    assert 0.8 < target.score < 0.98
    assert target.importances[0].column == "x"
    assert target.importances[0].drop > 10 * abs(target.importances[1].drop)


def test_a_number_is_a_regression():
    target = profile(of(x=X, y=3 * X + RANDOM.normal(size=N)), "y").target
    assert (target.task, target.metric) == ("regression", "R²")
    assert target.baseline == pytest.approx(0.0, abs=0.02)
    assert target.score == pytest.approx(0.9, abs=0.05)


def test_a_column_that_tells_the_target_alone_is_a_leak_and_left_out_of_the_model():
    y = (X + RANDOM.normal(size=N) > 0).astype(int)
    found = profile(of(x=X, after=y * 10.0 + RANDOM.random(N), y=y), "y")
    assert "leak" in codes(found, "after")
    assert "leak" not in codes(found, "x")
    assert found.target.score < 0.95
    assert found.target.told == ("The quick model does without 'after': alone it tells the target.",)


def test_a_category_may_leak_too():
    y = RANDOM.integers(0, 3, N)
    found = profile(of(x=X, label=np.array(["a", "b", "c"])[y], y=y), "y")
    assert "leak" in codes(found, "label")


def test_noise_is_told_to_be_unpredictable():
    found = profile(of(x=X, y=RANDOM.integers(0, 2, N)), "y")
    assert "unpredictable" in codes(found, "y")


def test_unbalanced_classes_are_told_with_their_rows():
    found = profile(of(x=X, y=np.where(np.arange(N) < 100, "few", "many")), "y")
    assert [(level.value, level.rows) for level in found.target.classes.rows] == [("many", 1_100), ("few", 100)]
    assert found.target.classes.imbalance == 11
    one = next(one for one in found.findings if one.code == "unbalanced")
    assert one.step == {"balance": {}}


def test_rows_without_a_target_are_told_and_left_out():
    y = np.where(RANDOM.random(N) < 0.2, None, (X > 0).astype(float)).astype(float)
    found = profile(of(x=X + RANDOM.normal(size=N), y=y), "y")
    assert found.target.rows == found["y"].count
    one = next(one for one in found.findings if one.code == "target_missing")
    assert one.step == {"drop_missing": {"columns": ["y"]}}


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"y": [0, 1] * 50}, "no column to tell"),
        ({"x": range(10), "y": [0, 1] * 5}, "too few"),
        ({"x": range(100), "y": ["a"] * 100}, "too few"),
        ({"x": range(100), "y": [*np.arange(99) * 0.5, np.inf]}, "infinite"),
        ({"x": range(100), "y": ["a"] * 99 + ["b"]}, "Only one class"),
    ],
)
def test_where_no_model_can_be_tried_the_reason_is_told(columns, says):
    target = profile(pd.DataFrame(columns), "y").target
    assert says in " ".join(target.told)
    assert np.isnan(target.score)


def test_a_target_without_a_value_has_no_figures():
    found = profile(of(x=X, y=np.full(N, np.nan)), "y")
    assert found.target is None
    assert "target_missing" in codes(found, "y")


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([0, 1] * 20, "classification"),
        ([True, False] * 20, "classification"),
        (["a", "b"] * 20, "classification"),
        (list(range(40)), "regression"),
        ([0.5, 1.5] * 20, "regression"),
        (list(pd.date_range("2020-01-01", periods=40)), "regression"),
    ],
)
def test_the_task_is_told_by_the_target(values, task):
    assert task_of(profile(pd.DataFrame({"y": values}))["y"]) == task


def test_every_kind_of_column_takes_part():
    frame = of(
        text=RANDOM.choice(["a", "b", None], N),
        flag=X > 0.5,
        when=pd.Timestamp("2020-01-01") + pd.to_timedelta((X * 1e6).astype(int), "s"),
        infinite=np.where(X > 2, np.inf, X),
        empty=np.full(N, np.nan),
        y=(X + RANDOM.normal(size=N) * 0.5 > 0).astype(int),
    )
    assert {one.column for one in profile(frame, "y").target.importances} == {"text", "flag", "when", "infinite"}
