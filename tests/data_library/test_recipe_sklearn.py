"""Fitted recipes as scikit-learn pipelines: the same features, fitted already, and of scikit-learn's own parts."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted

from clary.data import recipe
from clary.data.errors import DataError, StepError
from clary.data.recipe import FittedRecipe, Recipe
from clary.data.recipe.sklearn import StepTransformer
from tests.data_library.recipe_support import Centre, passengers

STEPS = [
    {"missing_indicator": {"columns": ["n0"]}},
    {"impute": {"columns": "numbers"}},
    {"filter": {"expression": "whole > 0"}},
    {"scale": {"columns": ["n*"]}},
    {"expression": {"expression": "n0 * 2 + n1", "into": "both"}},
    {"one_hot": {"columns": ["c0", "c1"]}},
    {"rename": {"names": {"n1": "first"}}},
    {"ordinal": {"columns": ["c2"], "unknown": "missing"}},
    {"drop": {"columns": ["c3", "c4", "day"]}},
]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return passengers()


@pytest.fixture(scope="module")
def fitted(frame: pd.DataFrame) -> FittedRecipe:
    return Recipe(STEPS, target="label").fit(frame)


def assert_equal(made: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert list(made.columns) == list(expected.columns)
    assert made.index.equals(expected.index)
    np.testing.assert_allclose(made.to_numpy(np.float64), expected.to_numpy(np.float64), atol=1e-12, rtol=1e-12)


def test_a_pipeline_gives_the_same_features(frame, fitted):
    pipeline = fitted.to_sklearn()
    assert isinstance(pipeline, Pipeline)
    assert_equal(pipeline.transform(frame), fitted.transform(frame.drop(columns="label")))
    odd = frame.iloc[5:25][list(reversed(frame.columns))].set_axis(range(100, 120))
    assert_equal(pipeline.transform(odd), fitted.transform(odd.drop(columns="label")))


def test_it_is_fitted_and_reports_its_names(fitted):
    pipeline = fitted.to_sklearn()
    check_is_fitted(pipeline)
    assert tuple(pipeline.get_feature_names_out()) == fitted.names
    assert tuple(pipeline.feature_names_in_) == fitted.needed


def test_it_holds_scikit_learns_own_estimators_where_there_are_some(fitted):
    held = {name: type(element.transformers_[0][1]).__name__ for name, element in fitted.to_sklearn().steps}
    assert held["impute_2"] == "SimpleImputer"
    assert held["scale_4"] == "StandardScaler"
    assert held["one_hot_6"] == "OneHotEncoder"
    assert held["expression_5"] == "StepTransformer"
    assert "filter_3" not in held


def test_it_is_pickled(frame, fitted):
    pipeline = fitted.to_sklearn()
    loaded = pickle.loads(pickle.dumps(pipeline))
    assert_equal(loaded.transform(frame), pipeline.transform(frame))


def test_a_model_can_stand_behind_it(frame, fitted):
    whole = frame.dropna()
    features = fitted.transform(whole).drop(columns="label")
    classifier = LogisticRegression(max_iter=500).fit(features, whole["label"])
    model = make_pipeline(fitted.to_sklearn(), classifier)
    np.testing.assert_array_equal(model.predict(whole), classifier.predict(features))


def test_a_step_in_scikit_learns_wrapper_can_be_cloned(frame):
    fitted = Recipe([Centre(columns=("n0",))], target="label").fit(frame)
    transformer = fitted.to_sklearn()[0].transformers_[0][1]
    assert isinstance(transformer, StepTransformer)
    check_is_fitted(transformer)
    copy = clone(transformer).fit(frame[["n0"]])
    assert_equal(copy.transform(frame[["n0"]]), transformer.transform(frame[["n0"]]))
    assert list(transformer.get_feature_names_out()) == ["n0"]


def test_a_clone_of_the_pipeline_is_not_fitted(frame, fitted):
    with pytest.raises(NotFittedError):
        clone(fitted.to_sklearn()).transform(frame)


def test_blocks_are_columns_under_their_own_names(frame):
    fitted = Recipe(
        [
            {"one_hot": {"columns": ["c0"], "sparse": True}},
            {"keep": {"columns": ["c0", "n0"]}},
            Centre(columns=("n0",)),
        ],
        target="label",
    ).fit(frame)
    assert sorted(fitted.names) == ["c0_a", "c0_b", "c0_c", "c0_d", "c0_e", "c0_f", "n0"]
    made = fitted.to_sklearn().transform(frame)
    assert_equal(made, fitted.transform(frame.drop(columns="label")))


def test_a_step_that_reads_a_block_reads_its_columns(frame):
    steps = [
        {"one_hot": {"columns": ["c0"], "sparse": True}},
        {"truncated_svd": {"columns": ["c0"], "n_components": 2}},
    ]
    fitted = Recipe([*steps, {"drop": {"columns": ["c1", "c2", "c3", "c4", "day"]}}], target="label").fit(frame)
    made = fitted.to_sklearn().transform(frame)
    expected = fitted.transform(frame.drop(columns="label"))
    assert list(made.columns) == list(expected.columns)
    np.testing.assert_allclose(made.to_numpy(float), expected.to_numpy(float), atol=1e-9)


def test_what_a_step_refuses_a_pipeline_refuses(frame):
    fitted = Recipe([{"expression": {"expression": "n0 + 1", "into": "m"}}, {"log": {"columns": "m"}}]).fit(
        frame.assign(n0=1.0)
    )
    with pytest.raises(StepError, match="log"):
        fitted.to_sklearn().transform(frame.assign(n0=-5.0))


def test_a_recipe_without_steps_is_a_pipeline_too(frame):
    fitted = Recipe([], target="label").fit(frame)
    made = fitted.to_sklearn().transform(frame)
    pd.testing.assert_frame_equal(made, frame.drop(columns="label"))


def test_a_recipe_that_leaves_nothing_has_no_pipeline(frame):
    fitted = Recipe([{"drop": {"columns": "n0"}}], target="label").fit(frame[["n0", "label"]])
    for made in (fitted.to_sklearn, fitted.to_onnx):
        with pytest.raises(DataError, match="leaves no features"):
            made()
    assert fitted.transform_row({}) == ()


def test_no_private_attribute_of_an_estimator_is_set():
    """Their names change from one version of scikit-learn to the next; what it documents stays."""
    found = []
    for file in sorted(Path(recipe.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Attribute(ctx=ast.Store()):  # made._scaler.mean_ = …
                    holder, *names = ast.unparse(node).split(".")
                case ast.Call(func=ast.Attribute(attr="as_fitted"), keywords=keywords):
                    holder, names = "estimator", [keyword.arg or "" for keyword in keywords]
                case _:
                    continue
            if holder not in ("self", "cls") and any(name.startswith("_") for name in names):
                found.append(f"{file.name}:{node.lineno}: {ast.unparse(node)}")
    assert found == []
