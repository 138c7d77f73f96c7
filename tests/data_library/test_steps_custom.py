"""Steps of one's own: scikit-learn by path, and Python functions; and what strangers' recipes may not import."""

from __future__ import annotations

import pickle
import sys
import types

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SelectFromModel, SelectKBest
from sklearn.linear_model import Lasso
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, SplineTransformer, StandardScaler, TargetEncoder

from clary.data.batch import Batch, Kind
from clary.data.errors import RecipeError, StepError
from clary.data.recipe.steps import imports
from clary.data.recipe.steps.custom import FunctionStep, SklearnStep
from clary.data.recipe.steps.selection.model import SelectModel
from tests.data_library.feature_checks import applied, assert_made_as_declared, assert_same_by_row, fitted


def wine() -> pd.DataFrame:
    return load_wine(as_frame=True).data[["ash", "hue", "alcohol"]]


@pytest.fixture
def strange(monkeypatch):
    """A module that recipes may not import until it is allowed."""
    module = types.ModuleType("strange_features")
    exec(
        "import os\n"
        "def ratio(frame, by=1.0):\n"
        "    return (frame['ash'] / frame['hue'] / by).to_frame('ratio')\n"
        "class Doubler:\n"
        "    def fit(self, X, y=None): return self\n"
        "    def transform(self, X): return 2 * X.to_numpy()\n"
        "    def get_params(self, deep=True): return {}\n"
        "    def __sklearn_tags__(self):\n"
        "        from sklearn.utils import Tags, TargetTags\n"
        "        return Tags(estimator_type=None, target_tags=TargetTags(required=False))\n"
        "LIMIT = 3\n",
        module.__dict__,
    )
    monkeypatch.setitem(sys.modules, "strange_features", module)
    monkeypatch.setattr(imports, "_allowed", {"sklearn"})
    return module


# ---- sklearn ----


def test_a_transformer_by_path_gives_what_scikit_learn_gives():
    frame = wine().assign(name="x")
    step = SklearnStep(transformer="sklearn.preprocessing.SplineTransformer", params={"n_knots": 4}, columns="numbers")
    ours = fitted(step, frame)
    theirs = SplineTransformer(n_knots=4).fit(wine())
    made = applied(ours, frame)
    assert list(made) == ["name", *theirs.get_feature_names_out()]
    np.testing.assert_array_equal(made.drop(columns="name"), theirs.transform(wine()))
    assert isinstance(ours.sklearn(), SplineTransformer)
    assert ours.notes()[0].startswith("sklearn.preprocessing.SplineTransformer made 18 columns")
    assert_made_as_declared(ours, frame)
    assert_same_by_row(ours, frame)


def test_columns_keep_their_places_where_names_stay():
    frame = wine().assign(name="x")
    ours = fitted(SklearnStep(transformer="sklearn.preprocessing.StandardScaler", columns=("ash",)), frame)
    assert list(applied(ours, frame)) == list(frame)
    np.testing.assert_array_equal(applied(ours, frame)["ash"], StandardScaler().fit_transform(frame[["ash"]]).ravel())
    assert_made_as_declared(ours, frame)


def test_an_estimator_may_be_given_in_python_and_stays_unfitted():
    given = QuantileTransformer(n_quantiles=20)
    ours = fitted(SklearnStep(transformer=given, keep_columns=False), wine())
    assert not hasattr(given, "quantiles_")
    np.testing.assert_array_equal(applied(ours, wine()), QuantileTransformer(n_quantiles=20).fit_transform(wine()))


def test_a_sparse_result_is_one_block():
    frame = pd.DataFrame({"town": pd.Categorical(["Ulm", "Bonn", "Ulm"]), "n": [1.0, 2.0, 3.0]})
    ours = fitted(SklearnStep(transformer="sklearn.preprocessing.OneHotEncoder", columns=("town",), prefix="t"), frame)
    made = ours.transform(Batch.of_pandas(frame))
    assert made["t"].sparse
    assert made["t"].names == tuple(OneHotEncoder().fit(frame[["town"]].astype(str)).get_feature_names_out())
    np.testing.assert_array_equal(made["t"].dense(), [[0, 1], [1, 0], [0, 1]])
    assert_made_as_declared(ours, frame)
    assert_same_by_row(ours, frame)


def test_a_vectorizer_is_given_one_columns_strings():
    frame = pd.DataFrame({"text": ["a bee", "two bees and a bee", "none"]})
    step = SklearnStep(transformer="sklearn.feature_extraction.text.CountVectorizer")
    made = applied(fitted(step, frame), frame)
    theirs = CountVectorizer().fit(frame["text"])
    assert list(made) == list(theirs.get_feature_names_out())
    np.testing.assert_array_equal(made.to_numpy(), theirs.transform(frame["text"]).toarray())
    with pytest.raises(StepError, match="it takes one column, and got 'text', 'more'"):
        fitted(step, frame.assign(more="x"))


def test_one_that_learns_from_the_target_is_given_it():
    frame = wine().assign(kind=load_wine().target)
    step = SklearnStep(transformer="sklearn.feature_selection.SelectKBest", params={"k": 1}, target="kind")
    theirs = SelectKBest(k=1).fit(wine(), frame["kind"])
    assert list(applied(fitted(step, frame), frame)) == [*theirs.get_feature_names_out(), "kind"]
    with pytest.raises(StepError, match="names no `target`"):
        fitted(SklearnStep(transformer="sklearn.preprocessing.TargetEncoder"), frame)
    with pytest.raises(StepError, match="SelectKBest failed: ValueError: estimator requires y"):
        fitted(SklearnStep(transformer="sklearn.feature_selection.SelectKBest", params={"k": 1}), frame)
    path = "sklearn.cross_decomposition.PLSRegression"
    alike = {"transformer": path, "columns": ("ash", "hue", "alcohol"), "target": "kind"}
    assert list(applied(fitted(SklearnStep(**alike), frame), frame)) == ["kind", "plsregression0", "plsregression1"]
    with pytest.raises(StepError, match="PLSRegression failed: TypeError"):
        fitted(SklearnStep(**alike, supervised=False), frame)
    chosen = SklearnStep(transformer=SelectFromModel(Lasso(0.01)), target="kind")
    assert "kind" in applied(fitted(chosen, frame), frame)
    towns = pd.DataFrame({"town": list("abab" * 5), "price": np.arange(20.0) + 0.5})
    encoded = fitted(SklearnStep(transformer="sklearn.preprocessing.TargetEncoder", target="price"), towns)
    expected = TargetEncoder().fit(towns[["town"]], towns["price"]).transform(towns[["town"]])
    np.testing.assert_allclose(applied(encoded, towns)["town"], expected.ravel(), rtol=1e-12)


def test_a_matrix_instead_of_a_frame():
    step = SklearnStep(
        transformer="sklearn.decomposition.NMF", params={"n_components": 2, "max_iter": 2_000}, frame=False
    )
    made = applied(fitted(step, wine()), wine())
    assert list(made) == ["nmf0", "nmf1"]


def test_no_rows_in_no_rows_out():
    frame = wine().assign(name="x")
    for step in (
        SklearnStep(transformer="sklearn.preprocessing.StandardScaler", columns="numbers"),
        FunctionStep(function=lambda frame: frame[["ash"]] * 2, columns="numbers"),
    ):
        ours = fitted(step, frame)
        made = ours.transform(Batch.of_pandas(frame[:0]))
        assert made.rows == 0
        assert made.schema.names == ours.after(Batch.of_pandas(frame).schema).names


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (SklearnStep(transformer="sklearn.preprocessing.MinMaxScaler", params={"range": 1}), "params: .*range"),
        (SklearnStep(transformer="sklearn.preprocessing.Scaler"), "there is no 'Scaler' in 'sklearn.preprocessing'"),
        (SklearnStep(transformer="sklearn.linear_model.Lasso"), "no `fit` and `transform`"),
        (SklearnStep(transformer="sklearn.preprocessing.__name__"), "is not the name of a class or function"),
        (SklearnStep(transformer="sklearn.preprocessing.MinMaxScaler", columns=("x",)), "column 'x'"),
        (
            SklearnStep(transformer="sklearn.preprocessing.KBinsDiscretizer", params={"n_bins": -1}),
            "KBinsDiscretizer failed: InvalidParameterError",
        ),
        (
            SklearnStep(transformer="sklearn.preprocessing.MinMaxScaler", keep_columns=True),
            "column 'alcohol': there is such a column already",
        ),
    ],
)
def test_a_transformer_that_does_not_fit_is_reported(step, message):
    with pytest.raises((StepError, RecipeError), match=message):
        fitted(step, wine())


# ---- what may be imported ----


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "subprocess.Popen",
        "sklearn_evil.Thing",
        "sklearn..preprocessing.MinMaxScaler",
        "sklearn.datasets.fetch_openml",
        "sklearn.utils._joblib.Parallel",
        "sklearn.preprocessing.tests.test_data.Thing",
        "sklearn/../os.system",
        " os.system",
        "builtins.eval",
        "clary.data.batch.Batch",
        "strange_features.Doubler",
    ],
)
def test_what_recipes_may_not_import_is_refused_before_it_is_imported(path, strange, monkeypatch):
    monkeypatch.setattr(imports.importlib, "import_module", lambda name: pytest.fail(f"{name} was imported"))
    with pytest.raises(RecipeError, match="transformer: "):
        SklearnStep(transformer=path)
    with pytest.raises(RecipeError, match="function: "):
        FunctionStep(function=":".join(path.rsplit(".", 1)))


def test_what_an_allowed_module_imported_from_elsewhere_is_not_given(strange):
    imports.allow("strange_features")
    strange.path_join = __import__("os").path.join
    with pytest.raises(RecipeError, match="is of 'posixpath', which recipes may not import"):
        fitted(FunctionStep(function="strange_features:path_join"), wine())
    with pytest.raises(RecipeError, match="is neither a class nor a function"):
        fitted(FunctionStep(function="strange_features:LIMIT"), wine())
    with pytest.raises(RecipeError, match="is not the name of a class"):
        fitted(FunctionStep(function="strange_features:os.system"), wine())


def test_estimators_may_not_open_files():
    with pytest.raises(RecipeError, match="input: in recipes only 'content' is allowed"):
        SklearnStep(transformer="sklearn.feature_extraction.text.CountVectorizer", params={"input": "filename"})
    with pytest.raises(RecipeError, match="memory: in recipes only None is allowed"):
        SklearnStep(transformer="sklearn.cluster.FeatureAgglomeration", params={"memory": "/tmp/pickles"})
    with pytest.raises(RecipeError, match="memory: in recipes only None is allowed"):
        SelectModel(model="sklearn.cluster.FeatureAgglomeration", params={"memory": "/tmp/pickles"})


def test_the_message_explains_how_to_allow_a_module(strange):
    with pytest.raises(RecipeError, match=r"imports.allow\('strange_features'\)"):
        FunctionStep(function="strange_features:ratio")
    imports.allow("strange_features")
    made = applied(fitted(FunctionStep(function="strange_features:ratio", params={"by": 2.0}), wine()), wine())
    np.testing.assert_array_equal(made["ratio"], wine()["ash"] / wine()["hue"] / 2.0)
    doubled = applied(fitted(SklearnStep(transformer="strange_features.Doubler"), wine()), wine())
    assert list(doubled) == ["made_1", "made_2", "made_3"]
    with pytest.raises(RecipeError, match="is not the name of a module"):
        imports.allow("a; import os")


# ---- functions ----


def ratio(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"ratio": frame["ash"] / frame["hue"], "strong": frame["alcohol"] > 13})


def test_a_function_makes_columns_of_columns():
    frame = wine().assign(name="x")
    ours = fitted(FunctionStep(function=ratio, columns="numbers"), frame)
    made = applied(ours, frame)
    assert list(made) == ["name", "ratio", "strong"]
    pd.testing.assert_frame_equal(made[["ratio", "strong"]], ratio(frame))
    assert [field.kind for field in ours.made] == [Kind.NUMBER, Kind.BOOLEAN]
    assert ours.notes() == ("ratio made the columns 'ratio', 'strong'.",)
    assert_made_as_declared(ours, frame)
    assert_same_by_row(ours, frame)
    loaded = pickle.loads(pickle.dumps(ours))
    pd.testing.assert_frame_equal(applied(loaded, frame), made)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda frame: frame.to_numpy()[:, :2] * 2, ["made_1", "made_2"]),
        (lambda frame: frame["ash"] * 2, ["ash"]),
        (lambda frame: (frame["ash"] * 2).to_list(), ["made_1"]),
        (lambda frame: np.where(frame["ash"] > 2, "much", None), ["made_1"]),
    ],
)
def test_arrays_and_series_are_columns_too(function, names):
    ours = fitted(FunctionStep(function=function), wine())
    assert list(applied(ours, wine())) == names
    assert_made_as_declared(ours, wine())


def test_text_is_strings_for_a_function_however_it_is_coded():
    frame = pd.DataFrame({"town": pd.Categorical(["Ulm", "Bonn", None])})
    ours = fitted(FunctionStep(function=lambda frame: frame.assign(town=frame["town"].str.upper())), frame)
    assert applied(ours, frame)["town"].fillna("").tolist() == ["ULM", "BONN", ""]
    assert_same_by_row(ours, frame)


def test_columns_given_may_stay_and_those_returned_be_made_anew():
    ours = fitted(FunctionStep(function=lambda frame: frame[["ash"]] * 2, keep_columns=True), wine())
    made = applied(ours, wine())
    assert list(made) == list(wine())
    np.testing.assert_array_equal(made["ash"], wine()["ash"] * 2)


def test_a_text_column_without_a_value_in_a_batch_is_still_text():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    ours = fitted(FunctionStep(function=lambda frame: pd.DataFrame({"c": frame["b"].where(frame["a"] > 1)})), frame)
    made = ours.transform(Batch.of_pandas(frame[:1]))
    assert made.schema["c"].kind is Kind.TEXT


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda frame: frame[:3], r"returned a table of shape \(3, 3\) for 178 rows"),
        (lambda frame: frame["wine"], "failed: KeyError: 'wine'"),
        (lambda frame: None, "returned a table of shape"),
        (lambda frame: np.zeros((len(frame), 2, 2)), "returned a table of shape"),
        (lambda frame: [[1], [2, 3]], "failed: ValueError"),
        (lambda frame: pd.concat([frame, frame], axis=1), "two columns of one name: 'alcohol', 'ash', 'hue'"),
    ],
)
def test_a_function_that_fails_is_reported(function, message):
    with pytest.raises(StepError, match=message):
        fitted(FunctionStep(function=function), wine()[:178])


def test_a_function_whose_columns_change_is_reported():
    frame = wine()
    once = fitted(FunctionStep(function=lambda frame: frame.T[:1].T if len(frame) > 3 else frame), frame)
    with pytest.raises(StepError, match=r"made the columns .*; while fitting it made 'ash'"):
        applied(once, frame[:2])
    kinds = fitted(FunctionStep(function=lambda frame: frame if len(frame) > 3 else frame.astype(str)), frame)
    with pytest.raises(StepError, match=r"column 'ash': .* made text; while fitting it made number"):
        applied(kinds, frame[:2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FunctionStep(function="ratio"), "a module and a function are wanted"),
        (lambda: FunctionStep(function=3), "neither a function"),
        (lambda: SklearnStep(transformer="MinMaxScaler"), "a module and a class are wanted"),
        (lambda: SklearnStep(transformer=3), "neither an estimator"),
    ],
)
def test_what_is_no_function_and_no_transformer_is_refused(make, message):
    with pytest.raises(RecipeError, match=message):
        make()


def test_a_column_that_is_made_may_not_be_there_already():
    with pytest.raises(StepError, match="column 'hue': there is such a column already"):
        fitted(FunctionStep(function=lambda frame: frame.rename(columns={"ash": "hue"}), columns=("ash",)), wine())
