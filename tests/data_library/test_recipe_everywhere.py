"""Each step does the same wherever it is: in a batch, in small batches, in a row, saved, pickled, in a pipeline."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from clary.data.recipe import FittedRecipe, Recipe
from tests.data_library.recipe_support import passengers, plain_rows, table_of
from tests.data_library.steps_support import CutScan

FULL = {"impute": {"columns": "numbers"}}
SPARSE = {"one_hot": {"columns": ["c0"], "sparse": True}}

RECIPES: dict[str, list[Any]] = {
    "bin": [{"bin": {"columns": ["n0", "n1"]}}],
    "bin, one-hot": [FULL, {"bin": {"columns": ["n0"], "encode": "one_hot", "strategy": "equal_width"}}],
    "box_cox": [{"clip": {"lower": 0.1}}, {"box_cox": {"columns": ["n2", "n3"]}}],
    "cast to text": [{"cast": {"columns": ["whole", "flag"], "to": "text"}}],
    "cast to number": [{"cast": {"columns": ["flag"], "to": "number"}}],
    "cbrt": [{"cbrt": {"columns": ["n0", "n4"]}}],
    "clean_text": [{"clean_text": {"columns": ["words"]}}],
    "clip": [{"clip": {"lower": -0.5, "upper": 1}}],
    "cyclic": [{"cyclic": {"columns": ["day"]}}],
    "date_parts": [{"date_parts": {"columns": ["day"]}}],
    "elapsed": [{"elapsed": {"columns": ["day"], "since": "2024-01-01"}}],
    "expression": [
        {"expression": {"expression": "where(n0 > 0, log(n2), n1 / n3) if c0 == 'a' else -n1", "into": "e"}}
    ],
    "hash": [{"hash": {"columns": ["c0", "c1"], "n_features": 8}}],
    "hash_text": [{"hash_text": {"columns": ["words"], "n_features": 16}}],
    "impute": [FULL, {"impute": {"columns": ["c0"], "strategy": "most_frequent"}}],
    "impute, knn": [{"impute": {"columns": ["n*"], "strategy": "knn"}}],
    "keep": [{"keep": {"columns": ["n0", "c0"]}}],
    "kmeans_distance": [FULL, {"kmeans_distance": {"columns": ["n0", "n1"], "n_clusters": 3}}],
    "log": [{"log": {"columns": ["n2"], "errors": "missing"}}],
    "log1p": [{"log1p": {"columns": ["whole"]}}],
    "missing_indicator": [{"missing_indicator": {}}],
    "n_grams": [{"n_grams": {"columns": ["words"]}}],
    "normalize": [FULL, {"normalize": {"columns": ["n0", "n1", "n2"]}}],
    "one_hot": [{"one_hot": {"columns": ["c0", "whole", "flag"], "dummy_na": True}}],
    "one_hot, sparse": [SPARSE],
    "ordinal": [{"ordinal": {"columns": ["c0", "c1"]}}],
    "outliers": [{"outliers": {"columns": ["n0", "n1"], "factor": 0.5}}],
    "pca": [FULL, {"pca": {"columns": ["n*"], "n_components": 2}}],
    "polynomial": [FULL, {"polynomial": {"columns": ["n0", "n1"]}}],
    "popular_words": [{"popular_words": {"columns": ["words"], "n": 5}}],
    "quantile": [{"quantile": {"columns": ["n0"], "n_quantiles": 20, "output_distribution": "normal"}}],
    "rare": [{"rare": {"columns": ["c0"], "min_count": 0.17}}],
    "rename": [{"rename": {"names": {"n0": "n1", "n1": "n0"}}}],
    "scale a block": [SPARSE, {"scale": {"columns": ["c0", "n0"], "method": "max_abs"}}],
    "scale, robust": [{"scale": {"method": "robust"}}],
    "select_correlation": [FULL, {"select_correlation": {"columns": ["n*"]}}],
    "select_univariate": [FULL, {"select_univariate": {"columns": ["n*"], "k": 2}}],
    "select_variance": [FULL, {"select_variance": {"columns": ["n*"], "threshold": 2.0}}],
    "similarity_encode": [{"similarity_encode": {"columns": ["words"], "n_prototypes": 4}}],
    "sklearn": [FULL, {"sklearn": {"columns": ["n0"], "transformer": "sklearn.preprocessing.SplineTransformer"}}],
    "split": [{"split": {}}, {"scale": {"columns": ["n0"]}}],
    "sqrt": [{"sqrt": {"columns": ["whole"]}}],
    "stop_words": [{"stop_words": {"columns": ["words"]}}],
    "target_encode": [{"target_encode": {"columns": ["c0", "c1"]}}],
    "text_length": [{"text_length": {"columns": ["words"]}}],
    "tf_idf": [{"tf_idf": {"columns": ["words"]}}],
    "tokenize": [{"tokenize": {"columns": ["words"]}}],
    "truncated_svd": [SPARSE, {"truncated_svd": {"columns": ["c0"]}}],
    "winsorize": [{"winsorize": {"columns": ["n0", "n1"], "lower": 0.1, "upper": 0.8}}],
    "yeo_johnson": [{"yeo_johnson": {"columns": ["n0", "n1"]}}],
}
SAYINGS = ["The quick brown fox", "a LAZY dog; the dog!", "", "Ünïcode & <b>tags</b>", "fox dog fox", None]
# Of sums in another order, by threads or by matrix products, the last digits differ.
ROUNDED = {
    "impute, knn",
    "kmeans_distance",
    "pca",
    "truncated_svd",
    "sklearn",
    "similarity_encode",
    "tf_idf",
    "hash_text",
}


def frame_of(rows: int = 90) -> pd.DataFrame:
    frame = passengers(rows)
    return frame.assign(words=[SAYINGS[place % len(SAYINGS)] for place in range(rows)])


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return frame_of()


@pytest.fixture(params=RECIPES, scope="module")
def fitted(request: pytest.FixtureRequest, frame: pd.DataFrame) -> FittedRecipe:
    return Recipe(RECIPES[request.param], target="label", name=request.param).fit(frame)


def assert_same(made: pd.DataFrame, expected: pd.DataFrame, fitted: FittedRecipe) -> None:
    assert list(made.columns) == list(expected.columns)
    for name in made:
        first, second = made[name], expected[name]
        if second.dtype.kind in "biuf" or isinstance(second.dtype, pd.SparseDtype):
            tolerance = 1e-12 if fitted.recipe.name in ROUNDED else 0
            first, second = (np.asarray(values, np.float64) for values in (first, second))
            np.testing.assert_allclose(first, second, rtol=tolerance, atol=tolerance, err_msg=str(name))
        else:
            assert [None if pd.isna(value) else value for value in first] == [
                None if pd.isna(value) else value for value in second
            ]


def test_in_small_batches(frame, fitted):
    cut = CutScan(table_of(frame), 7)
    assert_same(fitted.transform(cut), fitted.transform(frame), fitted)


def test_in_rows(frame, fitted):
    inputs = frame.drop(columns="label")
    expected = fitted.transform(inputs)
    rows = [fitted.transform_row(row) for row in plain_rows(inputs)]
    made = pd.DataFrame(rows, columns=list(fitted.names), index=expected.index)
    assert_same(made, expected, fitted)
    slow = fitted.row_function().slow(plain_rows(inputs)[0])
    assert_same(pd.DataFrame([slow], columns=list(fitted.names)), expected.head(1), fitted)


def test_saved_and_pickled(frame, fitted, tmp_path):
    fitted.save(tmp_path / "recipe.clary")
    expected = fitted.transform(frame)
    for loaded in (FittedRecipe.load(tmp_path / "recipe.clary", allow_pickle=True), pickle.loads(pickle.dumps(fitted))):
        assert_same(loaded.transform(frame), expected, fitted)
        assert loaded.step_notes == fitted.step_notes


def test_in_a_pipeline(frame, fitted):
    pipeline = fitted.to_sklearn()
    inputs = frame.drop(columns="label")
    made = pickle.loads(pickle.dumps(pipeline)).transform(inputs)
    expected = fitted.transform(inputs)
    assert list(made.columns) == list(expected.columns)
    for name in made:
        if expected[name].dtype.kind in "biuf" or isinstance(expected[name].dtype, pd.SparseDtype):
            first, second = (np.asarray(frame_[name], np.float64) for frame_ in (made, expected))
            np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-12, err_msg=str(name))


def test_in_a_preview(frame, fitted):
    preview = fitted.recipe.preview(frame, rows=100)
    assert len(preview.steps) == len(fitted.steps)
    assert preview._repr_html_().count("<tr>") == len(fitted.steps) + 1


def test_without_rows_and_with_one(frame, fitted):
    nothing = fitted.transform(frame.iloc[:0])
    assert list(nothing.columns) == list(fitted.transform(frame.iloc[:1]).columns)


def test_only_estimators_of_scikit_learn_and_functions_need_pickle(frame, fitted, tmp_path):
    fitted.save(tmp_path / "recipe.clary")
    if fitted.recipe.name in ("impute, knn", "sklearn", "kmeans_distance"):
        return
    FittedRecipe.load(tmp_path / "recipe.clary")


def test_training_rows_differ_where_a_step_learns_from_the_target(frame):
    recipe = Recipe([{"target_encode": {"columns": ["c0"]}}], target="label")
    fitted = recipe.fit(frame)
    trained, after = fitted.transform(frame, training=True), fitted.transform(frame)
    pd.testing.assert_frame_equal(recipe.fit_transform(frame), trained)
    per_level = after.assign(level=frame["c0"]).groupby("level")["c0"].nunique()
    assert (per_level == 1).all()
    assert (trained.assign(level=frame["c0"]).groupby("level")["c0"].nunique() > 1).all()
