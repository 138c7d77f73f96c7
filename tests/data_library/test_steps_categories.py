"""Steps on categories: ordinal, one_hot, rare, hash, similarity_encode."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction import FeatureHasher
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from clary.data.batch import Block
from clary.data.errors import RecipeError, StepError
from clary.data.recipe.steps.hashing import Hash
from clary.data.recipe.steps.one_hot import OneHot
from clary.data.recipe.steps.ordinal import Ordinal
from clary.data.recipe.steps.rare import Rare
from clary.data.recipe.steps.similarity import SimilarityEncode, ngrams
from tests.data_library.steps_support import assert_rows_equal_batch, batch_of, fitted, made

texts = st.lists(st.one_of(st.none(), st.text(max_size=4), st.sampled_from(["a", "b", ""])), min_size=1, max_size=25)
small_numbers = st.lists(st.sampled_from([np.nan, 0.0, -0.0, 1.0, 2.5, -3.0, 1e300]), min_size=1, max_size=25)


def text_table(values) -> pa.Table:
    return pa.table({"c": pa.array(values, pa.string())})


def as_sklearn_has_it(values) -> pd.DataFrame:
    return pd.DataFrame({"c": np.array([np.nan if value is None else value for value in values], dtype=object)})


# ---- ordinal ----


@given(texts)
def test_ordinal_equals_scikit_learn(values):
    step = fitted(Ordinal(), text_table(values))
    ours = made(step, text_table(values))["c"].to_numpy()
    theirs = OrdinalEncoder().fit_transform(as_sklearn_has_it(values))[:, 0]
    np.testing.assert_array_equal(ours, theirs)
    assert_rows_equal_batch(step, text_table(values))


@given(small_numbers)
def test_numbers_are_levels_too_where_they_are_named(values):
    frame = pd.DataFrame({"c": values})
    step = fitted(Ordinal(columns=("c",)), frame)
    np.testing.assert_array_equal(made(step, frame)["c"], OrdinalEncoder().fit_transform(frame)[:, 0])
    assert_rows_equal_batch(step, frame)


@given(texts, texts)
def test_unknown_levels_become_a_value_as_in_scikit_learn(values, others):
    step = fitted(Ordinal(unknown="value", unknown_value=-7, encoded_missing_value=-9), text_table(values))
    theirs = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-7, encoded_missing_value=-9)
    theirs.fit(as_sklearn_has_it([*values, None]))
    expected = theirs.transform(as_sklearn_has_it(others))[:, 0]
    np.testing.assert_array_equal(made(step, text_table(others))["c"], expected)
    np.testing.assert_array_equal(step.sklearn().transform(as_sklearn_has_it(others))[:, 0], expected)
    assert_rows_equal_batch(step, text_table(others))


def test_unknown_levels_may_become_missing():
    step = fitted(Ordinal(unknown="missing"), text_table(["a", "b"]))
    np.testing.assert_array_equal(made(step, text_table(["b", "z", None]))["c"], [1, np.nan, np.nan])


def test_an_unknown_level_is_an_error_that_names_it_and_the_column():
    step = fitted(Ordinal(), text_table(["a"]))
    with pytest.raises(StepError, match=r"column 'c': 'z': the level was not there at fitting; choose unknown: value"):
        step.transform(batch_of(text_table(["a", "z"])))


def test_the_order_is_learnt_by_frequency_by_appearance_or_given():
    values = ["m", "z", "z", "a", "m", "z", None]
    for step, levels in [
        (Ordinal(order="frequency"), ["z", "m", "a"]),
        (Ordinal(order="appearance"), ["m", "z", "a"]),
        (Ordinal(categories=("a", "z", "m")), ["a", "z", "m"]),
    ]:
        values_ = fitted(step, text_table(values))
        expected = [np.nan if value is None else float(levels.index(value)) for value in values]
        np.testing.assert_array_equal(made(values_, text_table(values))["c"], expected)
        sklearn = values_.sklearn().transform(as_sklearn_has_it(values))[:, 0]
        np.testing.assert_array_equal(sklearn, expected)


def test_numbers_given_out_of_order_have_no_scikit_learn_form():
    frame = pd.DataFrame({"c": [3, 1, 2, 3]})
    step = fitted(Ordinal(columns="c", categories=(3, 1, 2)), frame)
    assert made(step, frame)["c"].tolist() == [0, 1, 2, 0]
    assert step.sklearn() is None


def test_an_integer_column_that_lacks_values_in_some_batches_is_one_category():
    table = pa.table({"c": pa.array([1, 2, 3, None, 1, 2, None, 3, 3], pa.int64())})
    step = fitted(Ordinal(columns="c"), table, size=2)
    np.testing.assert_array_equal(made(step, table)["c"], [0, 1, 2, np.nan, 0, 1, np.nan, 2, 2])


def test_integers_that_float64_does_not_hold_are_refused():
    frame = pd.DataFrame({"c": [2**53 + 1, 2**53]})
    with pytest.raises(StepError, match="beyond 2\\^53; cast it to text"):
        fitted(Ordinal(columns="c"), frame)


def test_text_where_numbers_were_is_an_error_and_a_column_without_values_is_not():
    step = fitted(Ordinal(columns="c"), pd.DataFrame({"c": [1.0, 2.0]}))
    with pytest.raises(StepError, match="holds text, and held numbers at fitting"):
        step.transform(batch_of(text_table(["1"])))
    text = fitted(Ordinal(), text_table(["a"]))
    assert made(text, pd.DataFrame({"c": [np.nan, np.nan]}))["c"].isna().all()


def test_ten_thousand_levels_in_any_cut_of_the_table():
    values = [f"level {number % 10_000}" for number in np.random.default_rng(0).integers(0, 10**6, 60_000)]
    table = text_table(values)
    whole, cut = fitted(Ordinal(), table, size=0), fitted(Ordinal(), table, size=7_001)
    assert whole.levels == cut.levels
    expected = pd.Categorical(values, categories=sorted(set(values))).codes
    np.testing.assert_array_equal(made(whole, table)["c"], expected)


def test_a_few_rows_of_a_large_dictionary_are_looked_up_alone():
    dictionary = pa.array([f"v{number}" for number in range(5_000)])
    column = pa.DictionaryArray.from_arrays(pa.array([4_999, None, 3], pa.int32()), dictionary)
    table = pa.table({"c": column})
    step = fitted(Ordinal(), table)
    np.testing.assert_array_equal(made(step, table)["c"], [1, np.nan, 0])


def test_a_null_inside_a_dictionary_is_a_missing_value():
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), pa.array(["a", None]))
    step = fitted(Ordinal(), text_table(["a"]))
    np.testing.assert_array_equal(made(step, pa.table({"c": column}))["c"], [0, np.nan])


def test_levels_of_the_wrong_kind_are_refused():
    with pytest.raises(StepError, match="it holds text, and 1 is not; put quotes around it"):
        fitted(Ordinal(categories=("a", 1)), text_table(["a"]))
    with pytest.raises(RecipeError, match="is given twice"):
        Ordinal(categories=("a", "a"))


# ---- one_hot ----


@given(texts, st.booleans(), st.booleans())
def test_one_hot_equals_get_dummies(values, drop_first, dummy_na):
    if dummy_na and "nan" in values:
        values = [None if value == "nan" else value for value in values]
    step = fitted(OneHot(drop_first=drop_first, dummy_na=dummy_na), text_table(values))
    ours = made(step, text_table(values))
    frame = pd.DataFrame({"c": pd.Series(values, dtype=object)})
    theirs = pd.get_dummies(frame, columns=["c"], drop_first=drop_first, dummy_na=dummy_na, dtype=np.uint8)
    if not (drop_first and not step.levels[0]):  # then pandas drops the column for missing values
        assert list(ours.columns) == list(theirs.columns)
        np.testing.assert_array_equal(ours.to_numpy(), theirs.to_numpy())
    assert_rows_equal_batch(step, text_table(values))


@given(texts, texts, st.booleans())
def test_one_hot_equals_scikit_learn_on_other_rows(values, others, sparse):
    step = fitted(OneHot(sparse=sparse), text_table(values))
    ours = step.transform(batch_of(text_table(others))).matrix()
    ours = ours if isinstance(ours, np.ndarray) else ours.toarray()
    known = [value for value in values if value is not None]
    if known:
        theirs = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(as_sklearn_has_it(known))
        np.testing.assert_array_equal(ours, theirs.transform(as_sklearn_has_it(others)))
        if not sparse:
            estimator = pickle.loads(pickle.dumps(step.sklearn()))
            np.testing.assert_array_equal(estimator.transform(as_sklearn_has_it(others)), ours)
            assert tuple(estimator.get_feature_names_out()) == tuple(field.name for field in step.made)
    assert_rows_equal_batch(step, text_table(others))


def test_numbers_and_booleans_are_named_as_get_dummies_names_them():
    frame = pd.DataFrame({"n": [1, 2, 1], "b": [True, False, True], "x": [0.5, 2.5, 0.5]})
    step = fitted(OneHot(columns="all"), frame)
    theirs = pd.get_dummies(frame, columns=["n", "b", "x"], dtype=np.uint8)
    pd.testing.assert_frame_equal(made(step, frame), theirs)
    assert_rows_equal_batch(step, frame)


def test_numbers_are_left_alone_unless_named():
    frame = pd.DataFrame({"n": [1, 2], "t": ["a", "b"]})
    assert list(made(fitted(OneHot(), frame), frame).columns) == ["n", "t_a", "t_b"]


def test_an_unknown_level_is_ignored_refused_or_other():
    table, new = text_table(["a", "b", "a"]), text_table(["z", "a"])
    assert made(fitted(OneHot(), table), new).to_numpy().tolist() == [[0, 0], [1, 0]]
    other = made(fitted(OneHot(unknown="other"), table), new)
    assert list(other.columns) == ["c_a", "c_b", "c_other"]
    assert other.to_numpy().tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(StepError, match="column 'c': 'z': the level was not there at fitting; choose unknown: ignore"):
        made(fitted(OneHot(unknown="error"), table), new)


def test_rare_levels_have_no_column_and_are_not_unknown():
    table = text_table(["a"] * 5 + ["b"] * 3 + ["c", "d", None])
    step = fitted(OneHot(min_count=2, unknown="error"), table)
    assert list(made(step, table).columns) == ["c_a", "c_b"]
    assert step.notes()[1] == "c: 2 levels are too rare for a column (0 in every column): 'c', 'd'."
    assert_rows_equal_batch(step, table)
    most = fitted(OneHot(max_levels=1, unknown="other"), table)
    assert made(most, table)["c_other"].tolist() == [0] * 5 + [1] * 5 + [0]
    assert_rows_equal_batch(most, table)


def test_many_levels_become_a_sparse_block():
    values = [f"{number:03}" for number in range(300)] * 2
    step = fitted(OneHot(), text_table(values), size=0)
    block = step.transform(batch_of(text_table(values)))["c"]
    assert isinstance(block, Block)
    assert block.sparse
    assert block.names[:2] == ("c_000", "c_001")
    np.testing.assert_array_equal(block.dense(), np.vstack([np.eye(300)] * 2))
    assert step.sklearn() is None
    assert_rows_equal_batch(step, text_table(values[:5]))


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(StepError, match="there would be two columns 'c_a'; rename"):
        fitted(OneHot(columns="c"), pd.DataFrame({"c": ["a", "b"], "c_a": [1, 2]}))
    with pytest.raises(StepError, match="a level is called like that"):
        fitted(OneHot(dummy_na=True), text_table(["nan", None]))


def test_only_the_columns_that_are_needed_are_made():
    frame = pd.DataFrame({"a": ["x", "y"], "b": ["z", "w"]})
    step = fitted(OneHot(), frame).only({"b_z"})
    assert step.names == ("b",)
    assert [field.name for field in step.made] == ["b_w", "b_z"]
    assert fitted(OneHot(), frame).only({"other"}) is None


def test_no_rows_no_levels():
    empty = text_table([])
    for step in (OneHot(), OneHot(drop_first=True, dummy_na=True), Ordinal(), Rare()):
        assert len(made(fitted(step, empty), empty)) == 0


# ---- rare ----


@given(texts, st.integers(0, 4))
def test_rare_levels_become_other(values, least):
    table = text_table(values)
    step = fitted(Rare(min_count=least), table)
    counts = pd.Series(values, dtype=object).value_counts()
    expected = [None if value is None else value if counts[value] >= least else "other" for value in values]
    result = made(step, table)["c"].astype(object)
    assert [None if pd.isna(value) else value for value in result] == expected
    assert_rows_equal_batch(step, table)


def test_a_share_counts_rows_that_have_a_value_and_new_levels_are_rare():
    table = text_table(["a"] * 8 + ["b"] * 2 + [None] * 90)
    step = fitted(Rare(min_count=0.2, other="b"), table)
    assert step.notes() == []
    assert made(step, text_table(["b", "new", None]))["c"].astype(object).fillna("-").tolist() == ["b", "b", "-"]
    rare = fitted(Rare(max_levels=1), table)
    assert rare.notes() == ["c: 1 levels (20.00% of the rows with a value) became 'other': 'b'."]


# ---- hash ----


@given(texts, st.sampled_from([1, 7, 300]), st.booleans())
def test_hashes_are_those_of_feature_hasher(values, n_features, alternate_sign):
    table = text_table(values)
    step = fitted(Hash(n_features=n_features, alternate_sign=alternate_sign), table)
    ours = step.transform(batch_of(table)).matrix()
    ours = ours if isinstance(ours, np.ndarray) else ours.toarray()
    hasher = FeatureHasher(n_features, alternate_sign=alternate_sign)
    theirs = hasher.transform([{} if value is None else {"c": value} for value in values]).toarray()
    np.testing.assert_array_equal(ours, theirs)
    assert_rows_equal_batch(step, table.slice(0, 0))


def test_numbers_hash_by_their_names_whatever_their_type():
    step = fitted(Hash(columns="c", n_features=50), pd.DataFrame({"c": [1]}))
    integers, floats = pd.DataFrame({"c": [3, 4]}), pd.DataFrame({"c": [3.0, 4.0]})
    pd.testing.assert_frame_equal(made(step, integers), made(step, floats))


# ---- similarity_encode ----


def test_similar_levels_are_near_and_a_level_is_most_similar_to_itself():
    table = text_table(["Police Officer II"] * 3 + ["Firefighter"] * 2 + ["Librarian"])
    step = fitted(SimilarityEncode(n_prototypes=2), table)
    assert [field.name for field in step.made] == ["c_Police Officer II", "c_Firefighter"]
    result = made(step, text_table(["Police Officer II", "police officer III", "Fire fighter", None])).to_numpy()
    assert result[0, 0] == 1
    assert result[1, 0] > 0.7 > 0.2 > result[1, 1]
    assert result[2, 1] > 0.4
    assert np.isnan(result[3]).all()


@given(texts, st.text(max_size=6))
def test_similarity_is_the_jaccard_index_of_ngrams(values, other):
    table = text_table(values)
    step = fitted(SimilarityEncode(n_prototypes=3, ngram_range=(1, 3)), table)
    result = made(step, text_table([other])).to_numpy()
    prototypes = [value for value, _ in Counter(sorted(v for v in values if v is not None)).most_common(3)]
    for number, prototype in enumerate(prototypes):
        a, b = ngrams(prototype, 1, 3), ngrams(other, 1, 3)
        assert result[0, number] == pytest.approx(len(a & b) / len(a | b), abs=1e-12)
    assert_rows_equal_batch(pickle.loads(pickle.dumps(step)), table.slice(0, 0))
