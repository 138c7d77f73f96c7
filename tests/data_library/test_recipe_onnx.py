"""Fitted recipes as ONNX graphs, run by onnxruntime: the same numbers, or a clear word on what has no such form."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.data.errors import DataError
from clary.data.recipe import FittedRecipe, Recipe
from tests.data_library.recipe_support import Centre, passengers

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

FULL = {"impute": {"columns": "numbers"}}
SKIP = ["c3", "c4", "day"]
ALL = [
    {"missing_indicator": {"columns": ["n0", "c0"]}},
    {"impute": {"columns": "numbers"}},
    {"impute": {"columns": ["c1"], "strategy": "most_frequent"}},
    {"scale": {"columns": ["n*"]}},
    {"rename": {"names": {"n1": "first"}}},
    {"rare": {"columns": ["c2"], "min_count": 70}},
    {"one_hot": {"columns": ["c0", "c2"], "unknown": "ignore"}},
    {"ordinal": {"columns": ["c1"], "unknown": "value"}},
    {"one_hot": {"columns": ["whole"], "unknown": "other"}},
    {"drop": {"columns": SKIP}},
]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return passengers()


def fit(frame: pd.DataFrame, *steps: Any) -> FittedRecipe:
    return Recipe([*steps, {"drop": {"columns": SKIP}}], target="label").fit(frame)


def session_of(fitted: FittedRecipe) -> Any:
    return onnxruntime.InferenceSession(fitted.to_onnx().SerializeToString(), providers=["CPUExecutionProvider"])


def fed(frame: pd.DataFrame, names: Any) -> dict[str, Any]:
    """Columns as the graph takes them."""
    texts = {name for name in names if frame[name].dtype == "str" or frame[name].dtype == object}
    return {
        name: frame[[name]].astype(object).where(frame[[name]].notna(), "").to_numpy()
        if name in texts
        else frame[[name]].to_numpy(np.float64)
        for name in names
    }


def assert_same(fitted: FittedRecipe, frame: pd.DataFrame, tolerance: float = 1e-12) -> None:
    session = session_of(fitted)
    (made,) = session.run(["features"], fed(frame, fitted.needed))
    expected = fitted.transform(frame.drop(columns="label")).to_numpy(np.float64)
    assert made.dtype == np.float64
    np.testing.assert_allclose(made, expected, rtol=tolerance, atol=tolerance)


def test_a_graph_gives_the_same_features(frame):
    fitted = Recipe(ALL, target="label").fit(frame)
    assert_same(fitted, frame)
    assert_same(fitted, frame.head(1))
    strange = frame.assign(c0="new", c1="new", c2="new", whole=77, n0=np.nan)
    assert_same(fitted, strange)


def test_a_graph_reports_its_inputs_and_names(frame):
    fitted = fit(frame, {"one_hot": {"columns": ["c0", "c1", "c2"]}})
    model = fitted.to_onnx()
    assert [input_.name for input_ in model.graph.input] == list(fitted.needed)
    (named,) = (property_.value for property_ in model.metadata_props if property_.key == "names")
    assert json.loads(named) == list(fitted.names)


TEXTS = {"drop": {"columns": ["c0", "c1", "c2"]}}


@pytest.mark.parametrize(
    "steps",
    [
        [{"scale": {"method": "standard", "with_mean": False}}],
        [{"scale": {"method": "min_max", "feature_range": [-1, 2]}}],
        [{"scale": {"method": "min_max", "clip": True}}],
        [{"scale": {"method": "max_abs"}}],
        [{"scale": {"method": "robust"}}],
        [{"clip": {"lower": 0.5}}],
        [{"winsorize": {"lower": 0.1, "upper": 0.9}}],
        [{"outliers": {"action": "missing"}}],
        [{"log": {"columns": ["n0"], "errors": "missing"}}],
        [{"log1p": {"columns": ["n0"], "errors": "missing"}}],
        [{"sqrt": {"columns": ["n0"], "errors": "missing"}}],
        [{"cbrt": {"columns": ["n0"]}}],
        [{"clip": {"lower": 0.01}}, {"box_cox": {"columns": ["n2", "n3"]}}],
        [{"yeo_johnson": {"columns": ["n0", "n4"]}}],
        [{"yeo_johnson": {"columns": ["n0"], "standardize": False}}],
        [{"bin": {"columns": ["n0", "whole"]}}],
        [{"bin": {"columns": ["n0", "n1"], "encode": "one_hot", "n_bins": 3}}],
        [{"expression": {"expression": "whole * 0", "into": "one"}}, {"bin": {"columns": ["one"]}}],
        [
            {"impute": {"columns": "numbers"}},
            {"polynomial": {"columns": ["n0", "n1"], "degree": 3, "include_bias": True}},
        ],
        [FULL, {"normalize": {"columns": ["n0", "n1"]}}],
        [FULL, {"pca": {"columns": ["n*"], "n_components": 2}}],
        [{"filter": {"expression": "whole > 0"}}],
    ],
    ids=str,
)
def test_each_step_on_numbers_has_a_graph(frame, steps):
    assert_same(fit(frame, TEXTS, *steps), frame, 1e-10 if "pca" in str(steps) else 1e-13)


FORMULAS = [
    "n0 + n1 * n2 - n3 / (n4 - 1)",
    "-n0 ** 2 + n1 ** 3 + 2 ** n2",
    "where(n0 > 0, log(n2), log1p(n3))",
    "max(n0, n1, 1) - min(n2, 0)",
    "abs(n0) + sqrt(abs(n1)) + exp(-n2) + floor(n3) + ceil(n3) + round(n4)",
    "n0 < n1 and n2 >= 0 or not n3 == 1 or flag",
    "isnull(n0) or isnull(c0)",
    "c0 == 'a' or c1 != 'b'",
    "c0 in ['a', 'b'] and whole not in [1, 2]",
    "where(c0 != c1, 1, 2)",
    "flag * 2 + 1",
    "n0 > 1 or 3 > 2",
    "where(isnull(n0), 7, 8)",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_have_a_graph(frame, formula):
    fitted = Recipe(
        [{"expression": {"expression": formula, "into": "made"}}, {"drop": {"columns": ["c*", "day"]}}], target="label"
    ).fit(frame)
    assert_same(fitted, frame, 1e-14)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("n0 % 3", "its formula has %"),
        ("n0 // 3", "its formula has //"),
        ("c0 > 'b'", "orders texts"),
        ("c0 == ''", "stands for a missing text"),
        ("day > '2024-01-01'", "holds time"),
    ],
)
def test_a_formula_that_onnx_cannot_express_is_reported(frame, formula, message):
    steps = [{"expression": {"expression": formula, "into": "made"}}, {"keep": {"columns": ["made"]}}]
    with pytest.raises(DataError, match=message):
        Recipe(steps, target="label").fit(frame).to_onnx()


def test_odd_names_are_only_names():
    names = ["t1", "t_2", "a b", "größe", "x.out", "v0"]
    frame = pd.DataFrame({name: [1.0, 2.0, float(place)] for place, name in enumerate(names)})
    fitted = Recipe(["scale", {"expression": {"expression": "v0 + 1", "into": "more"}}]).fit(frame)
    (made,) = session_of(fitted).run(None, {name: frame[[name]].to_numpy() for name in names})
    np.testing.assert_allclose(made, fitted.transform(frame).to_numpy(), atol=1e-12)
    for name in ("", "features"):
        with pytest.raises(DataError, match="which no input of a graph can be: rename it"):
            Recipe([]).fit(pd.DataFrame({name: [1.0]})).to_onnx()


@pytest.mark.parametrize("dummy_na", [True, False])
@pytest.mark.parametrize("drop_first", [True, False])
@pytest.mark.parametrize("unknown", ["ignore", "other"])
@pytest.mark.parametrize("sparse", [True, False])
def test_one_hot_in_all_its_forms_has_a_graph(frame, dummy_na, drop_first, unknown, sparse):
    parameters = {"dummy_na": dummy_na, "drop_first": drop_first, "unknown": unknown, "sparse": sparse}
    step = {"one_hot": {"columns": ["c0", "c1", "c2", "whole", "flag"], **parameters}}
    fitted = fit(frame, step)
    assert_same(fitted, frame)
    assert_same(fitted, frame.assign(c0="new", c1=None, whole=99))


def test_what_transform_refuses_is_not_a_number_in_a_graph(frame):
    steps = [{"ordinal": {"columns": ["c0"]}}, {"one_hot": {"columns": ["c1"], "unknown": "error"}}]
    fitted = fit(frame, *steps, {"log1p": {"columns": ["whole"]}}, {"drop": {"columns": ["c2"]}})
    assert_same(fitted, frame)
    strange = frame.head(2).assign(c0="new", c1="new", whole=-3)
    with pytest.raises(DataError):
        fitted.transform(strange)
    (made,) = session_of(fitted).run(None, fed(strange, fitted.needed))
    found = dict(zip(fitted.names, made[0], strict=True))
    assert np.isnan([found["c0"], found["c1_a"], found["c1_f"], found["whole"]]).all()


def test_a_text_that_is_left_has_an_output_of_its_own(frame):
    fitted = fit(frame, {"impute": {"columns": ["c0"], "strategy": "constant", "value": "?"}})
    made = dict(
        zip(
            ["features", "c0.out", "c1.out", "c2.out"],
            session_of(fitted).run(None, fed(frame, fitted.needed)),
            strict=True,
        )
    )
    assert made["c0.out"][:, 0].tolist() == frame["c0"].fillna("?").tolist()
    assert made["c1.out"][:, 0].tolist() == frame["c1"].fillna("").tolist()
    assert made["features"].shape == (len(frame), 7)


def test_small_numbers_keep_their_digits_in_log1p():
    values = np.array([0.0, -0.0, 1e-300, 1e-17, -1e-9, 3e-5, 0.3, 1e10, np.inf, np.nan, -0.999999])
    frame = pd.DataFrame({"n": values, "label": 0})
    fitted = Recipe(["log1p"], target="label").fit(frame)
    (made,) = session_of(fitted).run(None, {"n": values[:, None]})
    np.testing.assert_allclose(made[:, 0], np.log1p(values), rtol=1e-15)


def test_each_step_without_a_form_is_named_and_why(frame):
    steps = [Centre(columns=("n0",)), {"impute": {"strategy": "knn"}}, {"scale": {"columns": "n0"}}]
    with pytest.raises(DataError) as caught:
        fit(frame.drop(columns=["c0", "c1", "c2"]), *steps).to_onnx()
    message = str(caught.value)
    assert "- step 1 (centre): it is not implemented for ONNX" in message
    assert "- step 2 (impute): KNNImputer cannot be converted without losing digits" in message
    assert "scale" not in message


def test_columns_without_onnx_values_are_reported(frame):
    with pytest.raises(DataError, match="column 'day' holds time, for which ONNX has no values"):
        Recipe([], target="label").fit(frame).to_onnx()


def test_a_level_that_looks_missing_is_reported():
    frame = pd.DataFrame({"c": ["", "a"], "n": [1.0, 2.0]})
    with pytest.raises(DataError, match=r'step 1 .one_hot.: column .c. has the level "", which in ONNX stands for'):
        Recipe([{"one_hot": {}}]).fit(frame).to_onnx()


TEN = passengers(80).drop(columns=["day", "flag", "whole"])
_MADE: dict[str, Any] = {}


@settings(max_examples=40, deadline=None)
@given(
    numbers=st.lists(st.floats(-1e9, 1e9) | st.just(np.nan), min_size=5, max_size=5),
    texts=st.lists(st.sampled_from(["a", "b", "f", "z", "ü", None]), min_size=5, max_size=5),
)
def test_any_row_gives_the_same_numbers(numbers, texts):
    if not _MADE:
        steps = [{"impute": {"columns": "numbers"}}, {"scale": {}}, {"one_hot": {}}]
        _MADE["fitted"] = Recipe(steps, target="label").fit(TEN)
        _MADE["session"] = session_of(_MADE["fitted"])
    row = dict(zip(TEN.columns, [*numbers, *texts], strict=False))
    frame = TEN.head(1).assign(**row)
    (made,) = _MADE["session"].run(None, fed(frame, _MADE["fitted"].needed))
    np.testing.assert_allclose(made[0], _MADE["fitted"].transform_row(row), rtol=1e-12)
