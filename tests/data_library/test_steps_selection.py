"""Which columns are dropped, and why: beside scikit-learn's and pandas' own answers."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn import feature_selection as theirs
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from clary.data.batch import Batch, Block
from clary.data.errors import RecipeError, StepError
from clary.data.recipe.row.code import RowCode
from clary.data.recipe.steps.features import features
from clary.data.recipe.steps.selection import scores, unsupervised
from clary.data.recipe.steps.selection.fitted import selection as selected
from clary.data.recipe.steps.selection.model import SelectModel, SelectRecursive
from clary.data.recipe.steps.selection.univariate import SelectUnivariate
from clary.data.recipe.steps.selection.unsupervised import SelectCorrelation, SelectMissing, SelectVariance
from clary.data.statistics.block_moments import BlockMoments
from clary.data.statistics.gaps import Gaps
from clary.data.statistics.groups import Groups
from clary.data.statistics.pairs import Correlations
from clary.data.statistics.products import Products
from tests.data_library.feature_checks import Pieces, applied, assert_made_as_declared, fitted, merged


def with_target(loader) -> pd.DataFrame:
    """The columns of one of scikit-learn's tables, and `target`."""
    return loader(as_frame=True).frame


def left(step, frame) -> list[str]:
    """The features that stay, without the target."""
    ours = fitted(step, frame)
    assert_made_as_declared(ours, frame)
    return [name for name in applied(ours, frame) if name != "target"]


def names_of(frame: pd.DataFrame, mask: np.ndarray) -> list[str]:
    return list(frame.columns[mask])


def tables(most_rows: int = 25, missing: bool = False):
    """Small tables of few distinct numbers: constants, ties and copies of columns are likely."""
    value = st.sampled_from([-2.0, 0.0, 0.1, 1.0, 3.5, 1e6, *([np.nan] if missing else [])])
    width = st.integers(1, 5)
    return width.flatmap(
        lambda k: st.lists(st.lists(value, min_size=k, max_size=k), min_size=1, max_size=most_rows)
    ).map(lambda rows: pd.DataFrame(rows, dtype=float).rename(columns=lambda place: f"c{place}"))


# ---- variance ----


@pytest.mark.parametrize("threshold", [0.0, 0.5, 10.0])
def test_variance_equals_scikit_learns(threshold):
    frame = pd.DataFrame(load_digits().data).rename(columns=str)
    expected = theirs.VarianceThreshold(threshold).fit(frame)
    assert left(SelectVariance(threshold=threshold), frame) == names_of(frame, expected.get_support())
    assert left_in_pieces(SelectVariance(threshold=threshold), frame) == names_of(frame, expected.get_support())


def left_in_pieces(step, frame) -> list[str]:
    ours = fitted(step, Pieces(frame, 100))
    return [name for name in applied(ours, frame) if name != "target"]


@settings(max_examples=80, deadline=None)
@given(tables(missing=True), st.sampled_from([0.0, 0.3]))
def test_variance_of_any_table_equals_scikit_learns(frame, threshold):
    selector = theirs.VarianceThreshold(threshold)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = names_of(frame, selector.fit(frame).get_support())
    except ValueError:
        with pytest.raises(StepError, match="not one of its"):
            fitted(SelectVariance(threshold=threshold), frame)
        return
    assert left(SelectVariance(threshold=threshold), frame) == expected


def test_variance_reports_what_went_and_why():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.1, 0.1, 0.1], "c": [np.nan] * 3})
    ours = fitted(SelectVariance(), frame)
    assert ours.notes() == (
        "2 of 3 columns were dropped.",
        "'b' was dropped: all its values are the same.",
        "'c' was dropped: it has no values.",
    )
    assert ours.figures["a"] == pytest.approx(2 / 3)
    small = fitted(SelectVariance(threshold=0.5), pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [1.0, 1.0, 2.0]}))
    assert small.notes()[1] == "'b' was dropped: its variance 0.222222 is not above 0.5."


def test_infinite_values_have_no_variance():
    with pytest.raises(StepError, match="column 'a': 1 values are infinite"):
        fitted(SelectVariance(), pd.DataFrame({"a": [1.0, np.inf], "b": [1.0, 2.0]}))


@pytest.mark.parametrize("cut", [4, 50])
@pytest.mark.parametrize("dense", [True, False])
def test_statistics_of_a_block_are_those_of_its_columns(dense, cut):
    matrix = sparse.random(50, 6, density=0.4, format="csr", random_state=1)
    matrix.data[3], matrix.data[7] = np.nan, np.inf
    matrix = sparse.hstack([matrix, sparse.csr_matrix((50, 1))], format="csr")
    values = matrix.toarray()
    block = Block(tuple("abcdefg"), values if dense else matrix)
    found = merged(BlockMoments("b"), Batch({"b": block}, 50), cut)
    finite = np.where(np.isfinite(values), values, np.nan)
    np.testing.assert_allclose(found.mean, np.nanmean(finite, axis=0), atol=1e-13)
    np.testing.assert_allclose(found.variance(), np.nanvar(finite, axis=0), atol=1e-13)
    np.testing.assert_array_equal(found.missing, np.isnan(values).sum(axis=0))
    np.testing.assert_array_equal(found.infinite, np.isinf(values).sum(axis=0))
    np.testing.assert_array_equal(found.low, np.nanmin(values, axis=0))
    np.testing.assert_array_equal(found.high, np.nanmax(values, axis=0))


# ---- blocks ----


def test_a_block_loses_columns_and_a_row_of_code_gives_the_same():
    batch = Batch({"x": np.arange(3.0), "b": Block(("p", "q", "r"), np.arange(9.0).reshape(3, 3))}, 3)
    flat = features(batch.schema, ("x", "b"))
    ours = selected(flat, np.array([False, True, False, True]), ["", "", "", ""])
    made = ours.transform(batch)
    assert made.schema.flat_names == ("p", "r")
    np.testing.assert_array_equal(made["b"].dense(), [[0, 2], [3, 5], [6, 8]])
    code = RowCode(batch.schema)
    code.add(ours, "1")
    names = {"v0": 1.0, "v1": (3.0, 4.0, 5.0)}
    exec("\n".join(code.lines), names)
    assert eval(code.result(["b"]), names) == (3.0, 5.0)


def test_a_sparse_block_stays_sparse_and_one_without_a_column_left_goes():
    matrix = sparse.csr_matrix(np.eye(3))
    batch = Batch({"x": np.arange(3.0), "b": Block(("p", "q", "r"), matrix)}, 3)
    flat = features(batch.schema, ("x", "b"))
    some = selected(flat, np.array([True, True, False, True]), [""] * 4).transform(batch)
    assert some["b"].sparse
    assert some.schema.flat_names == ("x", "p", "r")
    none = selected(flat, np.array([True, False, False, False]), [""] * 4)
    assert none.transform(batch).schema.flat_names == ("x",)
    assert (none.inputs, none.removed) == ((), ("b",))


def test_columns_that_go_need_not_be_read():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 1.0]})
    ours = fitted(SelectVariance(), frame)
    assert ours.inputs == ()
    assert list(ours.transform(Batch.of_pandas(frame[["a"]]))) == ["a"]


def test_of_very_many_reasons_the_first_are_reported():
    frame = pd.DataFrame({"a": [1.0, 2.0]} | {f"c{place}": [1.0, 1.0] for place in range(120)})
    notes = fitted(SelectVariance(), frame).notes()
    assert notes[0] == "120 of 121 columns were dropped."
    assert (len(notes), notes[-1]) == (101, "… and 21 more.")


# ---- missing ----


@settings(max_examples=60, deadline=None)
@given(tables(missing=True), st.sampled_from([0.0, 0.25, 0.5]))
def test_columns_with_too_much_missing_go(frame, share):
    expected = list(frame.columns[frame.isna().mean() <= share])
    if not expected:
        with pytest.raises(StepError, match="not one of its"):
            fitted(SelectMissing(share=share), frame)
        return
    assert left(SelectMissing(share=share), frame) == expected


def test_columns_of_every_kind_can_be_missing():
    frame = pd.DataFrame(
        {
            "text": ["a", None, None],
            "time": pd.to_datetime(["2020-01-01", None, None]),
            "flag": [True, False, True],
            "other": [b"x", None, None],
        }
    )
    ours = fitted(SelectMissing(share=0.4), Pieces(frame, 2))
    assert ours.removed == ("text", "time", "other")
    assert ours.notes()[1] == "'text' was dropped: 2 of 3 values are missing (66.7%, more than 40.0%)."


def test_gaps_of_a_sparse_block_are_counted_by_column():
    matrix = sparse.csr_matrix(np.array([[0, np.nan, 1.0], [np.inf, np.nan, 0]]))
    found = merged(Gaps(("b",)), Batch({"b": Block(tuple("abc"), matrix)}, 2), 1)
    assert (found.rows, found.missing.tolist(), found.infinite.tolist()) == (2, [0, 2, 0], [1, 0, 0])


# ---- correlation ----


@settings(max_examples=80, deadline=None)
@given(tables(missing=True), st.integers(1, 30))
def test_correlations_equal_pandas(frame, cut):
    found = merged(Correlations(tuple(frame)), frame, cut)
    count = frame.notna().to_numpy(dtype=float)
    np.testing.assert_array_equal(found.count, count.T @ count)
    for first in range(frame.shape[1]):
        for second in range(frame.shape[1]):
            pair = frame.iloc[:, [first, second]].dropna().to_numpy()
            if len(pair) < 2 or (pair == pair[0]).all(axis=0).any():
                assert np.isnan(found.r[first, second])
            else:
                assert found.r[first, second] == pytest.approx(np.corrcoef(pair.T)[0, 1], abs=1e-9)


def test_of_two_columns_that_give_the_same_the_later_one_goes():
    frame = load_breast_cancer(as_frame=True).data
    r = frame.corr().abs().to_numpy()
    expected: list[int] = []
    for place in range(frame.shape[1]):
        if not (r[place, expected] > 0.9).any():
            expected.append(place)
    assert left(SelectCorrelation(threshold=0.9), frame) == list(frame.columns[expected])
    assert left_in_pieces(SelectCorrelation(threshold=0.9), frame) == list(frame.columns[expected])


def test_correlation_reports_with_which_one():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0, 5.0], "b": [2.0, -1.0, 0.5, 0.0], "c": [-2.0, -4.0, -6.0, -10.0]})
    ours = fitted(SelectCorrelation(), frame)
    assert ours.removed == ("c",)
    assert ours.notes()[1] == (
        "'c' was dropped: its correlation with 'a', which stays, is -1 (|r| above 0.95, 4 rows)."
    )


def test_constant_columns_correlate_with_nothing():
    frame = pd.DataFrame({"a": [0.1] * 7, "b": [0.3] * 7, "c": np.arange(7.0)})
    assert left(SelectCorrelation(threshold=0.5), frame) == ["a", "b", "c"]
    assert left_in_pieces(SelectCorrelation(threshold=0.5), frame) == ["a", "b", "c"]


def test_too_many_columns_to_compare_are_reported(monkeypatch):
    monkeypatch.setattr(unsupervised, "MOST_PAIRED", 2)
    with pytest.raises(StepError, match="3 columns, more than 2"):
        fitted(SelectCorrelation(), pd.DataFrame(np.eye(3)).rename(columns=str))


# ---- univariate ----


@pytest.mark.parametrize(("k", "percentile"), [(3, None), (None, 25.0), (None, None), (400, None), (None, 100.0)])
@pytest.mark.parametrize(
    ("score", "loader"),
    [
        ("f_classif", load_wine),
        ("f_classif", load_breast_cancer),
        ("chi2", load_wine),
        ("chi2", load_digits),
        ("f_regression", load_diabetes),
        ("mutual_info_classif", load_wine),
        ("mutual_info_regression", load_diabetes),
    ],
)
def test_univariate_selection_equals_scikit_learns(score, loader, k, percentile):
    frame = with_target(loader)
    data, target = frame.drop(columns="target"), frame["target"]
    function = getattr(theirs, score)
    if score.startswith("mutual"):
        ours_function = function

        def function(matrix, y):
            return ours_function(matrix, y, random_state=0)

    if percentile is None:
        chooser = theirs.SelectKBest(function, k=min(data.shape[1], k or 10))
    else:
        chooser = theirs.SelectPercentile(function, percentile=percentile)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chooser.fit(data.to_numpy(), target.to_numpy())
    step = SelectUnivariate(score_func=score, k=k, percentile=percentile, target="target")
    ours = fitted(step, Pieces(frame, 37))
    expected = chooser.scores_
    finite = np.isfinite(expected)
    figures = np.array([ours.figures[name] for name in data])
    np.testing.assert_allclose(figures[finite], expected[finite], rtol=1e-9)
    assert [name for name in applied(ours, frame) if name != "target"] == names_of(data, chooser.get_support())
    if chooser.pvalues_ is not None:
        assert len(ours.reasons) == 1 + int((~chooser.get_support()).sum())


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(6, 40), st.integers(1, 5), st.integers(2, 4), st.integers(1, 50))
def test_scores_of_any_table_equal_scikit_learns(seed, rows, width, classes, cut):
    random = np.random.default_rng(seed)
    values = random.integers(0, 9, (rows, width)).astype(float)
    labels = np.arange(rows) % classes
    random.shuffle(labels)
    frame = pd.DataFrame(values).rename(columns=lambda place: f"c{place}")
    names = tuple(frame)
    frame = frame.assign(target=labels)
    groups = merged(Groups(names, "target"), frame, cut)
    varying = np.ptp(values, axis=0) > 0
    spread = np.array([any(np.ptp(values[labels == class_, j]) for class_ in range(classes)) for j in range(width)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, ours, usable in (
            ("f_classif", scores.f_classif(groups), spread),
            ("chi2", scores.chi2(groups), values.any(axis=0)),
            ("f_regression", scores.f_regression(merged(Products((*names, "target")), frame, cut)), varying),
        ):
            expected, p = getattr(theirs, name)(values, labels)
            real = usable & (expected < 1e12)
            np.testing.assert_allclose(ours[0][real], expected[real], rtol=1e-7, atol=1e-9, err_msg=name)
            np.testing.assert_allclose(ours[1][real], p[real], rtol=1e-6, atol=1e-9, err_msg=name)


def test_a_constant_column_never_beats_one_that_varies():
    frame = pd.DataFrame({"a": [0.1] * 9, "b": [1.0, 2, 3, 2, 1, 2, 3, 2, 8], "target": list("xyxyxyxyx")})
    for function in ("f_classif", "chi2"):
        assert left(SelectUnivariate(score_func=function, k=1, target="target"), frame) == ["b"]
    measured = frame.assign(target=np.arange(9.0))
    assert left(SelectUnivariate(score_func="f_regression", k=1, target="target"), measured) == ["b"]


def test_univariate_selection_reports_scores():
    frame = with_target(load_wine)
    notes = fitted(SelectUnivariate(k=12, target="target"), frame).notes()
    assert notes[0] == "1 of 13 columns were dropped."
    f, p = theirs.f_classif(frame.drop(columns="target"), frame["target"])
    low = int(f.argmin())
    assert notes[1] == (
        f"{frame.columns[low]!r} was dropped: its f_classif {f[low]:.6g} (p = {p[low]:.3g}) is not among the best 12."
    )


def test_columns_named_alone_are_scored_and_the_others_stay():
    frame = with_target(load_wine)
    step = SelectUnivariate(columns=("ash", "hue"), k=1, target="target")
    assert left(step, frame) == [name for name in frame if name not in ("ash", "target")]


@pytest.mark.parametrize(
    ("frame", "step", "message"),
    [
        ({"a": [1.0, 2.0], "t": [0, 1]}, SelectUnivariate(), "names no `target`"),
        ({"a": [1.0, 2.0], "t": [0, 1]}, SelectUnivariate(target="u"), "column 'u': there is no such column"),
        ({"a": [1.0, 2.0], "t": [0, 1]}, SelectUnivariate(columns=("a", "t"), target="t"), "column 't': it is what"),
        ({"a": [1.0, None, 2.0, 3.0], "t": list("xyxy")}, SelectUnivariate(target="t"), "column 'a': 1 of 4 .*impute"),
        ({"a": [1.0, 2.0, 3.0], "t": ["x", None, "y"]}, SelectUnivariate(target="t"), "column 't': 1 rows have no"),
        ({"a": [1.0, 2.0, 3.0], "t": ["x"] * 3}, SelectUnivariate(target="t"), "two classes at least"),
        ({"a": [1.0, 2.0], "t": ["x", "y"]}, SelectUnivariate(target="t"), "no more rows"),
        ({"a": [1.0, -2.0], "t": list("xy")}, SelectUnivariate(score_func="chi2", target="t"), "column 'a': chi²"),
        (
            {"a": [1.0, 2.0, 3.0], "t": list("xyx")},
            SelectUnivariate(score_func="f_regression", target="t"),
            "column 't': it holds text",
        ),
        (
            {"a": [1.0, 2.0, 3.0], "t": [1.0, None, 3.0]},
            SelectUnivariate(score_func="f_regression", target="t"),
            "column 't': 1 of 3 values are missing",
        ),
        (
            {"a": [1.0, 2.0, 3.0], "t": [1.0, None, 3.0]},
            SelectUnivariate(score_func="mutual_info_regression", target="t"),
            "column 't': row 1 .*no finite value",
        ),
        (
            {"a": np.arange(1_500.0), "t": np.arange(1_500.0)},
            SelectUnivariate(target="t"),
            "column 't': .*f_regression",
        ),
        ({"a": ["x"]}, SelectVariance(), "no columns of the kind"),
        ({"a": [1.0, 2.0, 3.0], "t": list("xyz")}, SelectModel(params={"depth": 3}, target="t"), "params: forest"),
        ({"a": [1.0, 2.0], "t": [1.0, np.nan]}, SelectModel(target="t", task="regression"), "column 't': row 1"),
        (
            {"a": [1.0, 2.0], "t": list("xy")},
            SelectRecursive(target="t", n_features_to_select=5),
            "n_features_to_select: 5 is more",
        ),
        (
            {"a": [1.0, 2.0, 4.0, 3.0], "t": list("xyxy")},
            SelectModel(model="sklearn.neighbors.KNeighborsClassifier", target="t"),
            "the model .* failed",
        ),
    ],
)
def test_what_cannot_be_is_reported(frame, step, message):
    with pytest.raises((StepError, RecipeError), match=message):
        fitted(step, pd.DataFrame(frame))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SelectUnivariate(score_func="anova"), "score_func: 'anova' is not one of"),
        (lambda: SelectUnivariate(k=3, percentile=10), "not both"),
        (lambda: SelectUnivariate(k=0), "k: 1 at least"),
        (lambda: SelectVariance(threshold=-1), "threshold"),
        (lambda: SelectMissing(share=2), "share"),
        (lambda: SelectCorrelation(threshold=0), "threshold"),
        (lambda: SelectModel(model="bush"), "model: 'bush' is not one of"),
        (lambda: SelectModel(model="os.path.join"), "may not import 'os.path'"),
        (lambda: SelectModel(threshold="most"), "mean, median"),
        (lambda: SelectModel(threshold="x*mean"), "is not a number"),
        (lambda: SelectModel(task="ranking"), "task"),
        (lambda: SelectRecursive(step=0), "step"),
        (lambda: SelectRecursive(n_features_to_select=1.5), "n_features_to_select"),
    ],
)
def test_parameters_that_are_wrong_for_any_table_are_refused(make, message):
    with pytest.raises(RecipeError, match=message):
        make()


# ---- by a model ----


@pytest.mark.parametrize("threshold", [None, "median", "1.25*mean", 0.1])
def test_selection_by_a_model_equals_scikit_learns(threshold):
    frame = with_target(load_wine)
    data, target = frame.drop(columns="target"), frame["target"]
    chooser = theirs.SelectFromModel(RandomForestClassifier(20, random_state=3), threshold=threshold)
    chooser.fit(data.to_numpy(), target)
    step = SelectModel(params={"n_estimators": 20}, seed=3, threshold=threshold, target="target")
    assert left(step, frame) == names_of(data, chooser.get_support())
    sentences = fitted(step, frame).notes()
    assert sentences[1] == (
        "The target 'target' was taken for 3 distinct whole numbers (classification); set `task` to change that."
    )
    assert f"is below {chooser.threshold_:.6g}" in sentences[2]


def test_a_model_may_be_named_by_its_path_and_the_task_given():
    frame = with_target(load_wine)
    data, target = frame.drop(columns="target"), frame["target"]
    chooser = theirs.SelectFromModel(ExtraTreesClassifier(15, random_state=0), max_features=2, threshold=-np.inf)
    chooser.fit(data.to_numpy(), target)
    path = "sklearn.ensemble.ExtraTreesClassifier"
    step = SelectModel(
        model=path,
        params={"n_estimators": 15},
        max_features=2,
        threshold=-np.inf,
        target="target",
        task="classification",
    )
    assert left(step, frame) == names_of(data, chooser.get_support())
    assert "not among the best 2" in fitted(step, frame).notes()[1]


def test_a_target_that_is_measured_is_regressed_on():
    frame = with_target(load_diabetes)
    data, target = frame.drop(columns="target"), frame["target"]
    chooser = theirs.SelectFromModel(RandomForestRegressor(10, random_state=0)).fit(data.to_numpy(), target)
    step = SelectModel(params={"n_estimators": 10}, target="target")
    assert left(step, frame) == names_of(data, chooser.get_support())


@pytest.mark.parametrize("model", ["l1", "linear", "tree", "extra_trees"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_named_model_selects(model, task):
    frame = with_target(load_wine)
    columns = [name for name in frame if name != "target"]
    frame[columns] = (frame[columns] - frame[columns].mean()) / frame[columns].std()
    params = {"alpha": 0.01} if (model, task) == ("l1", "regression") else {}
    assert 0 < len(left(SelectModel(model=model, task=task, params=params, target="target"), frame)) <= 13


@pytest.mark.parametrize(("count", "step"), [(None, 1), (3, 1), (0.5, 0.2), (4, 3)])
def test_recursive_elimination_equals_scikit_learns(count, step):
    frame = with_target(load_wine)
    columns = [name for name in frame if name != "target"]
    frame[columns] = (frame[columns] - frame[columns].mean()) / frame[columns].std()
    chooser = theirs.RFE(LogisticRegression(max_iter=1_000, random_state=0), n_features_to_select=count, step=step)
    chooser.fit(frame[columns].to_numpy(), frame["target"])
    ours = SelectRecursive(n_features_to_select=count, step=step, target="target")
    assert left(ours, frame) == names_of(frame[columns], chooser.get_support())
    assert "it went in round 1 of" in " ".join(fitted(ours, frame).notes())


def test_recursive_elimination_for_a_number_uses_a_linear_regression():
    frame = with_target(load_diabetes)
    data, target = frame.drop(columns="target"), frame["target"]
    chooser = theirs.RFE(Ridge(random_state=0), n_features_to_select=4).fit(data.to_numpy(), target)
    assert left(SelectRecursive(n_features_to_select=4, target="target"), frame) == names_of(
        data, chooser.get_support()
    )
