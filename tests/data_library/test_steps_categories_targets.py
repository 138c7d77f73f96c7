"""target_encode: levels as means of the target, cross-fitted in training."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import TargetEncoder

from clary.data.errors import RecipeError, StepError
from clary.data.recipe.recipe import Recipe
from clary.data.recipe.steps.target_encoding import TargetEncode
from clary.data.statistics.targets import folds_of
from tests.data_library.steps_support import assert_rows_equal_batch, batch_of, fitted, made

levels = st.sampled_from(["a", "b", "c", "ä", "", None])
smooths = st.sampled_from(["auto", 0.0, 3.5])


def a_table(categories, target) -> pd.DataFrame:
    return pd.DataFrame({"c": pd.Series(categories, dtype="str"), "y": target})


def theirs_of(frame, kind, smooth) -> TargetEncoder:
    return TargetEncoder(target_type=kind, smooth=smooth).fit(as_sklearn_has_it(frame), frame["y"].to_numpy())


def as_sklearn_has_it(frame) -> pd.DataFrame:
    return pd.DataFrame({"c": np.array([np.nan if pd.isna(v) else v for v in frame["c"].tolist()], dtype=object)})


@given(st.lists(st.tuples(levels, st.floats(-1e6, 1e6)), min_size=1, max_size=30), smooths)
def test_numbers_as_targets_equal_scikit_learn(rows, smooth):
    frame = a_table([row[0] for row in rows], [row[1] for row in rows])
    step = fitted(TargetEncode(target="y", target_type="continuous", smooth=smooth), frame)
    with np.errstate(invalid="ignore", divide="ignore"):
        theirs = theirs_of(frame, "continuous", smooth)
    ours = made(step, frame)["c"].to_numpy()
    np.testing.assert_allclose(ours, theirs.transform(as_sklearn_has_it(frame))[:, 0], rtol=1e-9, atol=1e-6)
    assert_rows_equal_batch(step, frame)


@given(st.lists(st.tuples(levels, st.booleans()), min_size=1, max_size=30), smooths)
def test_two_classes_equal_scikit_learn(rows, smooth):
    frame = a_table([row[0] for row in rows], ["yes" if row[1] else "no" for row in rows])
    step = fitted(TargetEncode(target="y", smooth=smooth), frame)
    other = a_table(["a", "b", "never seen", None], ["no"] * 4)
    theirs = theirs_of(frame, "binary", smooth)
    np.testing.assert_allclose(
        made(step, other)["c"], theirs.transform(as_sklearn_has_it(other))[:, 0], rtol=1e-9, atol=1e-12
    )
    estimator = step.sklearn()
    if estimator is not None:
        inputs = as_sklearn_has_it(other)
        np.testing.assert_allclose(estimator.transform(inputs)[:, 0], made(step, other)["c"], rtol=1e-12)
    assert_rows_equal_batch(step, other)


@given(st.lists(st.tuples(levels, st.sampled_from([1, 2, 3])), min_size=6, max_size=30), smooths)
def test_three_classes_equal_scikit_learn(rows, smooth):
    frame = a_table([row[0] for row in rows], [1, 2, 3, *(row[1] for row in rows[3:])])
    step = fitted(TargetEncode(target="y", smooth=smooth), frame)
    result = made(step, frame).drop(columns="y")
    assert list(result.columns) == ["c_1", "c_2", "c_3"]
    expected = theirs_of(frame, "multiclass", smooth).transform(as_sklearn_has_it(frame))
    np.testing.assert_allclose(result.to_numpy(), expected, rtol=1e-9, atol=1e-12)
    if step.sklearn() is not None:
        np.testing.assert_allclose(
            pickle.loads(pickle.dumps(step.sklearn())).transform(as_sklearn_has_it(frame)),
            expected,
            rtol=1e-9,
            atol=1e-12,
        )
    assert_rows_equal_batch(step, frame)


def large(rows=4_000, seed=0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = a_table(rng.choice(list("abcdefgh"), rows), rng.normal(size=rows))
    frame["y"] += frame["c"].map(dict(zip("abcdefgh", range(8), strict=True)))
    return frame


def test_a_training_row_gets_what_the_other_folds_taught():
    frame = large()
    step = fitted(TargetEncode(target="y", cv=4, seed=1), frame, size=999)
    ours = step.training().transform(batch_of(frame))["c"]
    folds = folds_of(np.arange(len(frame)), 4, 1)
    for fold in range(4):
        in_fold = folds == fold
        assert 800 < in_fold.sum() < 1_200
        theirs = theirs_of(frame[~in_fold].reset_index(), "continuous", "auto")
        np.testing.assert_allclose(ours[in_fold], theirs.transform(as_sklearn_has_it(frame[in_fold]))[:, 0], rtol=1e-9)


def test_folds_do_not_depend_on_how_the_table_is_cut():
    frame = large()
    uncut, other = (fitted(TargetEncode(target="y"), frame, size) for size in (0, 123))
    np.testing.assert_allclose(uncut.crossed[0], other.crossed[0], rtol=1e-12)
    batch = batch_of(frame)
    part = batch.take(np.arange(1_000, 1_500))
    whole = uncut.training().transform(batch)["c"][1_000:1_500]
    np.testing.assert_array_equal(uncut.training().transform(part)["c"], whole)


def test_a_category_that_without_information_reveals_nothing_of_its_own_row_in_training():
    """A level for each row: the plain mean would be the target itself."""
    rows = 2_000
    frame = a_table([str(number) for number in range(rows)], np.random.default_rng(0).normal(size=rows))
    step = fitted(TargetEncode(target="y", smooth=0.0), frame, size=0)
    leaking = made(step, frame)["c"]
    assert np.corrcoef(leaking, frame["y"])[0, 1] > 0.99
    crossed = step.training().transform(batch_of(frame))["c"]
    assert abs(np.corrcoef(crossed, frame["y"])[0, 1]) < 0.2


def test_rows_without_a_target_are_not_learnt_from():
    frame = a_table(["a", "a", "b", "b"], [1.0, np.nan, 2.5, 3.5])
    step = fitted(TargetEncode(target="y", smooth=0.0), frame)
    assert made(step, frame)["c"].tolist() == [1.0, 1.0, 3.0, 3.0]


def test_what_kind_of_target_it_is():
    def kind(values):
        return fitted(TargetEncode(target="y"), a_table(["a"] * len(values), values)).target_type

    assert kind([0.5, 2.5, 0.5]) == "binary"
    assert kind([True, False]) == "binary"
    assert kind([1, 2, 3, 1]) == "multiclass"
    assert kind(["x", "y", "z"]) == "multiclass"
    assert kind([0.5, 1.5, 2.5]) == "continuous"
    assert kind(list(range(30))) == "continuous"


def test_more_sums_than_memory_should_hold_are_refused():
    rows = 3_000
    frame = a_table([f"{number}" for number in range(rows)], [f"class {number % 200}" for number in range(rows)])
    with pytest.raises(StepError, match="column 'c': 3,000 levels, 200 classes and 5 folds make more sums than memory"):
        fitted(TargetEncode(target="y"), frame, size=0)


def test_what_cannot_be_is_an_error():
    frame = a_table(["a", "b"], ["x", "y"])
    with pytest.raises(RecipeError, match="give the recipe its `target`"):
        fitted(TargetEncode(), frame)
    with pytest.raises(StepError, match="column 'z': there is no such column"):
        fitted(TargetEncode(target="z"), frame)
    with pytest.raises(StepError, match="column 'y': it holds text, and target_type is continuous"):
        fitted(TargetEncode(target="y", target_type="continuous"), frame)
    with pytest.raises(StepError, match="it has 3 values, and target_type is binary"):
        fitted(TargetEncode(target="y", target_type="binary"), a_table(["a"] * 3, [1, 2, 3]))
    with pytest.raises(StepError, match="infinite in some rows"):
        fitted(TargetEncode(target="y", target_type="continuous"), a_table(["a"], [np.inf]))
    with pytest.raises(StepError, match="infinite in some rows"):
        fitted(TargetEncode(target="y"), a_table(["a", "b"], [np.inf, 1]))
    with pytest.raises(RecipeError, match="cv"):
        TargetEncode(cv=1)


@settings(max_examples=20)
@given(st.integers(0, 5))
def test_few_rows_are_enough(rows):
    frame = a_table(["a"] * rows, np.arange(rows, dtype=float) + 0.5)
    step = fitted(TargetEncode(target="y", target_type="continuous"), frame)
    assert not np.isnan(made(step, frame)["c"]).any()
    assert not np.isnan(step.training().transform(batch_of(frame))["c"]).any()


def test_a_recipes_training_rows_are_cross_fitted_and_later_steps_learn_from_these():
    frame = large()
    recipe = Recipe([{"target_encode": {"columns": ["c"], "seed": 3}}, {"scale": {"columns": ["c"]}}], target="y")
    fitted_recipe = recipe.fit(frame)
    encoding = fitted(TargetEncode(target="y", columns=("c",), seed=3), frame, size=0)
    crossed = encoding.training().transform(batch_of(frame))["c"]
    scaled = (crossed - crossed.mean()) / crossed.std()
    np.testing.assert_allclose(recipe.fit_transform(frame)["c"], scaled, rtol=1e-9)
    whole = (made(encoding, frame)["c"] - crossed.mean()) / crossed.std()
    np.testing.assert_allclose(fitted_recipe.transform(frame)["c"], whole, rtol=1e-9)
    assert not np.allclose(whole, scaled, atol=1e-12)
