"""Principal components and their kin, beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from clary.data.batch import Batch, Block
from clary.data.errors import DataError, RecipeError, StepError
from clary.data.recipe.steps import components
from clary.data.recipe.steps.components import Pca, TruncatedSvd
from clary.data.recipe.steps.discriminant import Lda
from clary.data.recipe.steps.extraction import KMeansDistance, Tsne, Umap, embedding
from clary.data.recipe.steps.features import by_row
from clary.data.statistics.gram import Gram
from clary.data.statistics.pairs import Correlations
from clary.data.statistics.pieces import pieces
from clary.data.statistics.products import Products
from tests.data_library.feature_checks import (
    Pieces,
    applied,
    assert_made_as_declared,
    assert_same_by_row,
    fitted,
    merged,
)


def wine() -> pd.DataFrame:
    return load_wine(as_frame=True).data


def standardised(frame: pd.DataFrame) -> pd.DataFrame:
    return (frame - frame.mean()) / frame.std(ddof=0)


def close(ours, theirs, tolerance=1e-9) -> None:
    scale = max(1.0, float(np.abs(np.asarray(theirs)).max()))
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=0, atol=tolerance * scale)


def sparse_batch(rows: int = 60, width: int = 12, seed: int = 0) -> Batch:
    matrix = sparse.random(rows, width, density=0.3, format="csr", random_state=seed)
    return Batch({"words": Block(tuple(f"w{place}" for place in range(width)), matrix)}, rows)


# ---- pca ----


@pytest.mark.parametrize("data", [wine, lambda: standardised(wine()), lambda: load_breast_cancer(as_frame=True).data])
@pytest.mark.parametrize("n_components", [None, 1, 3, 0.5, 0.999])
def test_components_equal_scikit_learns_signs_and_all(data, n_components):
    frame = data()
    ours = fitted(Pca(n_components=n_components), frame)
    theirs = PCA(n_components=n_components, svd_solver="full").fit(frame)
    assert ours.outputs == tuple(f"pca_{place + 1}" for place in range(theirs.n_components_))
    # Directions of the weakest components hang on rounding: what counts is how far the scores are off.
    close(applied(ours, frame), theirs.transform(frame))
    close(ours.ratio, theirs.explained_variance_ratio_)
    close(ours.noise, theirs.noise_variance_)


def test_whitened_components_equal_scikit_learns():
    frame = standardised(wine())
    ours = applied(fitted(Pca(n_components=5, whiten=True), frame), frame)
    close(ours, PCA(n_components=5, whiten=True, svd_solver="full").fit_transform(frame))


def test_components_of_pixels_that_never_change_are_scikit_learns():
    frame = pd.DataFrame(load_digits().data).rename(columns=str)
    ours = applied(fitted(Pca(n_components=20), frame), frame)
    close(ours, PCA(n_components=20, svd_solver="full").fit_transform(frame))


def test_components_are_the_same_from_many_small_batches():
    frame = standardised(wine())
    whole, pieces = fitted(Pca(n_components=4), frame), fitted(Pca(n_components=4), Pieces(frame, 11))
    close(pieces.components, whole.components, 1e-12)


def test_the_fitted_estimator_is_scikit_learns_and_gives_the_same():
    frame = standardised(wine())
    ours = fitted(Pca(n_components=0.8, whiten=True), frame)
    estimator = ours.sklearn()
    assert isinstance(estimator, PCA)
    close(applied(ours, frame), estimator.transform(frame), 1e-12)
    fresh = PCA(n_components=0.8, whiten=True, svd_solver="full").fit(frame)
    close(estimator.inverse_transform(estimator.transform(frame)), fresh.inverse_transform(fresh.transform(frame)))
    close(estimator.score(frame), fresh.score(frame))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(1, 6), st.integers(0, 2**32 - 1), st.booleans())
def test_components_of_any_table_equal_scikit_learns(rows, width, seed, integers):
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, width)) * random.uniform(0.5, 20, width) + random.uniform(-50, 50, width)
    frame = pd.DataFrame(values).rename(columns=str)
    if integers:
        frame = frame.round().astype(np.int64)
    if not frame.var().sum():
        with pytest.raises(StepError, match="constant"):
            fitted(Pca(), frame)
        return
    ours, theirs = fitted(Pca(), frame), PCA(svd_solver="full").fit(frame)
    # Directions along which nothing differs are anybody's choice.
    real = theirs.explained_variance_ > 1e-9 * theirs.explained_variance_[0]
    gaps = -np.diff(theirs.explained_variance_) > 1e-3 * theirs.explained_variance_[0]
    apart = real & np.append(gaps, True) & np.append(True, gaps)
    # So is the sign of a direction with two greatest parts.
    greatest = np.sort(np.abs(theirs.components_), axis=1)[:, -2:]
    undecided = (greatest[:, -1] - greatest[:, 0] < 1e-9) & (width > 1)
    signs = np.where(undecided, np.sign((ours.components * theirs.components_).sum(axis=1)), 1.0)
    close((np.asarray(applied(ours, frame)) * signs)[:, apart], theirs.transform(frame)[:, apart], 1e-8)
    close(ours.variance, theirs.explained_variance_)


def test_a_sparse_block_and_a_dense_one_have_the_same_components():
    batch = sparse_batch()
    dense = Batch({"words": Block(batch["words"].names, batch["words"].dense())}, batch.rows)
    found = PCA(n_components=3, svd_solver="full").fit(dense["words"].matrix)
    step = Pca(n_components=3)
    ours = step._fitted(("words",), tuple_of(batch), merged(Products(("words",)), batch, 7))
    close(ours.transform(batch).to_pandas(), found.transform(dense["words"].matrix))
    assert ours.transform(batch)["pca_1"].tobytes() == ours.transform(dense)["pca_1"].tobytes()


def tuple_of(batch: Batch):
    from clary.data.recipe.steps.features import features

    return features(batch.schema, tuple(batch))


def test_a_row_alone_has_the_same_bits_as_among_others():
    frame = standardised(load_breast_cancer(as_frame=True).data)
    for step in (Pca(n_components=7), TruncatedSvd(n_components=7), KMeansDistance(n_clusters=4)):
        assert_same_by_row(fitted(step, frame), frame)


def test_products_by_row_are_products():
    random = np.random.default_rng(0)
    matrix, weights, mean = random.normal(size=(2_500, 9)), random.normal(size=(9, 4)), random.normal(size=9)
    close(by_row(matrix, weights, mean), (matrix - mean) @ weights, 1e-12)
    close(by_row(sparse.csr_matrix(matrix), weights), matrix @ weights, 1e-12)
    assert by_row(matrix[:0], weights, mean).shape == (0, 4)


def test_columns_go_or_stay_as_set():
    frame = wine().assign(name="x")
    removed, kept = (
        fitted(Pca(n_components=2), frame),
        fitted(Pca(n_components=2, keep_columns=True, prefix="c"), frame),
    )
    assert list(applied(removed, frame)) == ["name", "pca_1", "pca_2"]
    assert list(applied(kept, frame)) == [*frame.columns, "c_1", "c_2"]
    for step in (removed, kept):
        assert_made_as_declared(step, frame)


def test_the_target_is_not_among_the_columns():
    frame = wine().assign(grade=1.0)
    assert "grade" not in fitted(Pca(target="grade"), frame).inputs


def test_pca_reports_how_much_it_explains():
    (sentence,) = fitted(Pca(n_components=2), standardised(wine())).notes()
    assert sentence == "2 components of 13 columns explain 55.4% of their variance (36.2%, 19.2%)."


@pytest.mark.parametrize(
    ("frame", "step", "message"),
    [
        ({"a": [1.0, None, 3.0], "b": [1.0, 2.0, 4.0]}, Pca(), r"column 'a': 1 of 3 values are missing.*impute"),
        ({"a": [1.0, 2.0], "b": [np.inf, 2.0]}, Pca(), r"column 'b': .* 1 are infinite"),
        ({"a": [1.0, 1.0], "b": [2.0, 2.0]}, Pca(), "every column is constant"),
        ({"a": [1.0], "b": [2.0]}, Pca(), "two rows at least"),
        ({"a": [1.0, 2.0], "b": [2.0, 5.0]}, Pca(n_components=3), "n_components: 3 is more .*: 2"),
        ({"a": [1.0, 2.0], "pca_1": [2.0, 5.0]}, Pca(columns=("a",)), "column 'pca_1': there is such a column"),
        ({"a": ["x", "y"]}, Pca(), "no columns of the kind"),
        ({"a": ["x", "y"]}, Pca(columns=("a",)), "column 'a': it holds text"),
        ({"a": [1.0, None, 3.0]}, TruncatedSvd(n_components=1), "column 'a': 1 of 3 values are missing"),
        ({"a": [1.0, 2.0]}, TruncatedSvd(n_components=2), "n_components: 2 is more .*: 1"),
        ({"a": [1.0, 1.0, 2.0]}, KMeansDistance(n_clusters=3), "n_clusters: 3 is more than .* distinct rows: 2"),
        ({"a": [1.0, None, 2.0]}, KMeansDistance(n_clusters=1), r"column 'a': row 1 .* missing.*impute"),
    ],
)
def test_what_cannot_be_is_reported(frame, step, message):
    with pytest.raises(StepError, match=message):
        fitted(step, pd.DataFrame(frame))


def test_a_missing_value_at_inference_names_its_row_and_column():
    frame = wine()
    step = fitted(Pca(n_components=2), frame)
    frame.loc[5, "hue"] = np.nan
    with pytest.raises(StepError, match=r"column 'hue': row 5 .* missing.*impute"):
        applied(step, frame)


def test_too_many_columns_for_exact_components_are_reported(monkeypatch):
    monkeypatch.setattr(components, "MOST_EXACT", 10)
    with pytest.raises(StepError, match="truncated_svd"):
        fitted(Pca(), wine())


@pytest.mark.parametrize("bad", [0, -1, 1.5, 0.0, -0.5, True])
def test_a_count_of_components_that_is_none_is_refused(bad):
    with pytest.raises(RecipeError, match="n_components"):
        Pca(n_components=bad)


# ---- truncated_svd ----


def test_truncated_svd_equals_scikit_learns():
    frame = standardised(wine())
    ours, theirs = fitted(TruncatedSvd(n_components=4), frame), TruncatedSVD(4, algorithm="arpack").fit(frame)
    close(applied(ours, frame), theirs.transform(frame), 1e-6)
    close(ours.singular, theirs.singular_values_, 1e-6)
    close(ours.ratio, theirs.explained_variance_ratio_, 1e-6)
    close(ours.sklearn().transform(frame), applied(ours, frame), 1e-12)
    assert_made_as_declared(ours, frame)


def test_truncated_svd_of_a_sparse_block_equals_scikit_learns():
    batch = sparse_batch()
    step = TruncatedSvd(n_components=3)
    base = components.DerivedColumns(("words",), batch["words"].names, step.named(3), False)
    ours = step._fit_sums(base, merged(Gram(("words",)), batch, 13))
    close(ours.transform(batch).to_pandas(), TruncatedSVD(3, algorithm="arpack").fit_transform(batch["words"].matrix))


def test_truncated_svd_of_very_many_columns_is_fitted_by_scikit_learn(monkeypatch):
    frame = standardised(wine())
    exact = fitted(TruncatedSvd(n_components=3), frame)
    monkeypatch.setattr(components, "MOST_EXACT", 5)
    close(applied(fitted(TruncatedSvd(n_components=3), frame), frame), applied(exact, frame), 1e-6)


def test_sums_of_products_leave_out_rows_that_lack_a_value():
    matrix = sparse_batch()["words"].matrix.copy()
    matrix.data[matrix.indptr[3]] = np.nan  # the first entry of row 3
    found = merged(Gram(("words",)), Batch({"words": Block(tuple("abcdefghijkl"), matrix)}, 60), 9)
    complete = np.delete(matrix.toarray(), 3, axis=0)
    assert (found.count, found.left_out) == (59, 1)
    close(found.products, complete.T @ complete, 1e-12)
    close(found.total, complete.sum(axis=0), 1e-12)


@pytest.mark.parametrize("kind", [Gram, Products, Correlations])
def test_wide_batches_are_processed_in_pieces(kind, monkeypatch):
    statistic = kind(("words",))
    whole = merged(statistic, sparse_batch(), 60)
    monkeypatch.setattr(pieces, "__defaults__", (100,))
    looked = [piece.rows for piece in pieces(sparse_batch(), ("words",))]
    assert looked == [8] * 7 + [4]
    for name, value in vars(merged(statistic, sparse_batch(), 60)).items():
        np.testing.assert_allclose(value, vars(whole)[name], rtol=1e-10, atol=1e-13, err_msg=name)


# ---- lda ----


@pytest.mark.parametrize("loader", [load_wine, load_breast_cancer, load_iris, load_digits])
@pytest.mark.parametrize("n_components", [None, 1])
def test_discriminants_equal_scikit_learns_but_for_signs(loader, n_components):
    frame = loader(as_frame=True).frame
    data, target = frame.drop(columns="target"), frame["target"]
    ours = fitted(Lda(n_components=n_components, target="target"), Pieces(frame, 50))
    theirs = LinearDiscriminantAnalysis(n_components=n_components).fit(data, target)
    wanted = theirs.transform(data)
    made = applied(ours, frame).drop(columns="target").to_numpy()
    assert made.shape == wanted.shape
    close(made, wanted * np.sign((made * wanted).sum(axis=0)), 1e-7)
    close(ours.ratio[: wanted.shape[1]], theirs.explained_variance_ratio_)
    estimator = ours.sklearn()
    close(estimator.transform(data), made, 1e-10)
    np.testing.assert_array_equal(estimator.predict(data), theirs.predict(data))
    close(estimator.predict_proba(data), theirs.predict_proba(data), 1e-7)
    assert_made_as_declared(ours, frame)
    assert_same_by_row(ours, frame)


def test_discriminants_of_classes_with_names_report_what_they_hold():
    frame = load_iris(as_frame=True).frame
    frame["target"] = frame["target"].map({0: "setosa", 1: "versicolor", 2: "virginica"})
    ours = fitted(Lda(n_components=1, target="target"), frame)
    assert ours.notes() == ("1 directions of 4 columns hold 99.1% of the variance between 3 classes.",)
    assert set(ours.sklearn().predict(frame.drop(columns="target"))) == {"setosa", "versicolor", "virginica"}


@pytest.mark.parametrize(
    ("frame", "step", "message"),
    [
        ({"a": [1.0, 2.0, 4.0], "t": list("xyx")}, Lda(), "names no `target`"),
        ({"a": [1.0, 2.0, 4.0], "t": list("xxx")}, Lda(target="t"), "two classes at least .* 1 classes and 3 rows"),
        ({"a": [1.0, 2.0], "t": list("xy")}, Lda(target="t"), "more rows than classes"),
        ({"a": [1.0, 2.0, 1.0], "t": list("xyx")}, Lda(target="t"), "within each class every column is constant"),
        ({"a": [1.0, 2.0, 1.0, 2.0], "t": list("xxyy")}, Lda(target="t"), "have the same mean"),
        ({"a": [1.0, None, 1.0, 2.0], "t": list("xxyy")}, Lda(target="t"), "column 'a': 1 of 4 values are missing"),
        ({"a": [1.0, 3.0, 1.0, 2.0], "t": ["x", "x", "y", None]}, Lda(target="t"), "column 't': 1 rows have no value"),
        ({"a": [1.0, 3.0, 1.0, 2.0], "t": list("xxyy")}, Lda(n_components=2, target="t"), "n_components: 2 .*: 1"),
    ],
)
def test_discriminants_that_cannot_be_are_reported(frame, step, message):
    with pytest.raises(StepError, match=message):
        fitted(step, pd.DataFrame(frame))


# ---- kmeans_distance ----


@pytest.mark.parametrize("algorithm", ["lloyd", "mini_batch"])
def test_distances_to_centres_equal_scikit_learns(algorithm):
    frame = standardised(wine())
    ours = fitted(KMeansDistance(n_clusters=3, algorithm=algorithm, seed=7), frame)
    close(applied(ours, frame), ours.sklearn().transform(frame), 1e-6)
    assert ours.sklearn().predict(frame).shape == (178,)
    assert_made_as_declared(ours, frame)
    if algorithm == "lloyd":
        theirs = KMeans(3, n_init=3, random_state=7).fit(frame)
        close(applied(ours, frame), theirs.transform(frame), 1e-6)


def test_a_sample_is_reported():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=150_000)})
    assert any("random sample of" in line for line in fitted(KMeansDistance(n_clusters=2, n_init=1), frame).notes())
    assert not any("sample" in line for line in fitted(KMeansDistance(n_clusters=2), frame[:100]).notes())


# ---- for looking only ----


@pytest.mark.parametrize("step", [Tsne, Umap])
def test_a_map_is_no_step_and_the_message_offers_pca(step):
    with pytest.raises(RecipeError, match=r"cannot be applied to new rows.*`pca`.*embedding"):
        step()


def test_a_pca_map_is_that_of_scikit_learn():
    frame = wine()
    found = embedding(frame, "pca", rows=1_000)
    close(found, PCA(2, svd_solver="full").fit_transform(standardised(frame)))
    assert list(found) == ["pca_1", "pca_2"]
    assert list(found.index) == list(range(178))


def test_a_tsne_map_keeps_apart_what_is_apart():
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(0, 0.1, (30, 4)), random.normal(9, 0.1, (30, 4))])
    found = embedding(pd.DataFrame(values).rename(columns=str), "tsne", options={"perplexity": 10}).to_numpy()
    centres = found[:30].mean(axis=0), found[30:].mean(axis=0)
    spread = max(found[:30].std(), found[30:].std())
    assert np.linalg.norm(centres[0] - centres[1]) > 2 * spread


def test_a_map_reports_what_it_left_out_and_sampled():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=4_000), "b": random.normal(size=4_000), "label": "x"})
    frame.loc[::10, "a"] = np.nan
    found = embedding(frame, "pca", rows=1_500, scale=False)
    assert 1_100 < len(found) < 1_500
    assert not set(found.index) & set(range(0, 4_000, 10))
    assert "random sample" in found.attrs["notes"][0]
    assert "left out" in found.attrs["notes"][1]


@pytest.mark.parametrize(
    ("frame", "arguments", "message"),
    [
        ({"a": [1.0, 2.0, 3.0]}, {"method": "mds"}, "'mds' is not one of"),
        ({"a": ["x", "y"]}, {"method": "pca"}, "no columns of numbers"),
        ({"a": [1.0, np.nan, 3.0]}, {"method": "pca"}, "three rows"),
        ({"a": [1.0, 2.0, 3.0]}, {"method": "pca", "n_components": 2}, "pca does not take"),
        ({"a": [1.0, 2.0, 3.0]}, {"method": "pca", "n_components": 0}, "1 at least"),
        ({"a": [1.0, 2.0, 3.0]}, {"method": "pca", "options": {"colour": 1}}, "pca does not take"),
    ],
)
def test_a_map_that_cannot_be_made_gives_the_reason(frame, arguments, message):
    with pytest.raises(DataError, match=message):
        embedding(pd.DataFrame(frame), **arguments)


def test_umap_without_its_package_names_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    with pytest.raises(DataError, match="pip install umap-learn"):
        embedding(wine(), "umap")


def test_an_arrow_table_has_a_map_too():
    assert embedding(pa.table({"a": [1.0, 2.0, 4.0], "b": [1, 5, 2]}), "pca").shape == (3, 2)
