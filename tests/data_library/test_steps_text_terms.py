"""Texts as terms: popular_words, tf_idf, hash_text."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer

from clary.data.batch import Block
from clary.data.errors import RecipeError, StepError
from clary.data.recipe.steps.hash_text import HashText
from clary.data.recipe.steps.popular_words import PopularWords
from clary.data.recipe.steps.tf_idf import TfIdf
from clary.data.statistics.terms import Analysis, Terms
from tests.data_library.steps_support import assert_rows_equal_batch, batch_of, fitted, made

words = st.sampled_from(
    ["cat", "Dog", "the", "a", "été", "ﬁn", "x_y", "42", "ẞ", "don't", "e-mail", "   ", ".", "日本 語"]
)
texts = st.one_of(st.lists(words, max_size=8).map(" ".join), st.text(max_size=10))
lists_of_texts = st.lists(texts, min_size=1, max_size=12)
analyses = st.fixed_dictionaries(
    {
        "lowercase": st.booleans(),
        "ngram_range": st.sampled_from([(1, 1), (1, 2), (2, 3)]),
        "analyzer": st.sampled_from(["word", "word", "char", "char_wb"]),
        "token_pattern": st.sampled_from([r"(?u)\b\w\w+\b", r"\w+", r"\S+", r"[a-z]+"]),
    }
)


def text_table(values) -> pa.Table:
    return pa.table({"c": pa.array(values, pa.string())})


def dense(step, values) -> np.ndarray:
    block = step.transform(batch_of(text_table(values)))["c"]
    assert isinstance(block, Block)
    return block.dense()


@settings(max_examples=300)
@given(lists_of_texts, analyses, st.booleans(), st.sampled_from([(), ("the", "cat"), "english"]))
def test_tf_idf_equals_scikit_learn(values, analysis, accents, stop_words):
    if analysis["analyzer"] != "word":
        stop_words = ()
        analysis["token_pattern"] = r"(?u)\b\w\w+\b"
    if stop_words == "english":
        analysis["lowercase"] = True
    theirs = TfidfVectorizer(
        **analysis,
        strip_accents="unicode" if accents else None,
        stop_words=stop_words if isinstance(stop_words, str) else list(stop_words) or None,
    )
    step = TfIdf(**analysis, strip_accents=accents, stop_words=stop_words)
    try:
        expected = theirs.fit_transform(values).toarray()
    except ValueError:  # no terms
        with pytest.raises(StepError, match="no terms are left"):
            fitted(step, text_table(values))
        return
    vectorizer = fitted(step, text_table(values))
    assert vectorizer.terms[0].to_pylist() == list(theirs.get_feature_names_out())
    assert vectorizer.made[0].names == tuple(f"c_{term}" for term in theirs.get_feature_names_out())
    np.testing.assert_allclose(dense(vectorizer, values), expected, atol=1e-12)
    loaded = pickle.loads(pickle.dumps(vectorizer)).vectorizer("c")
    np.testing.assert_allclose(loaded.transform(values).toarray(), expected, atol=1e-12)


@settings(max_examples=150)
@given(
    lists_of_texts,
    lists_of_texts,
    st.sampled_from([1, 2, 0.3]),
    st.sampled_from([1.0, 0.7, 3]),
    st.sampled_from([None, 1, 3]),
    st.sampled_from(["l1", "l2", "none"]),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_tf_idf_of_other_texts_equals_scikit_learn(values, others, min_df, max_df, max_features, norm, flags):
    use_idf, smooth_idf, sublinear_tf = flags
    shared = {
        "min_df": min_df,
        "max_df": max_df,
        "max_features": max_features,
        "use_idf": use_idf,
        "smooth_idf": smooth_idf,
        "sublinear_tf": sublinear_tf,
    }
    theirs = TfidfVectorizer(**shared, norm=None if norm == "none" else norm)
    try:
        theirs.fit(values)
    except ValueError:
        with pytest.raises(StepError, match=r"no terms are left|max_df .* is below min_df"):
            fitted(TfIdf(**shared, norm=norm), text_table(values))
        return
    step = fitted(TfIdf(**shared, norm=norm), text_table(values))
    np.testing.assert_allclose(dense(step, others), theirs.transform(others).toarray(), atol=1e-12)
    np.testing.assert_allclose(
        step.vectorizer("c").transform(others).toarray(), theirs.transform(others).toarray(), atol=1e-12
    )
    assert_rows_equal_batch(step, text_table(others))


def test_terms_are_counted_exactly_however_the_table_is_cut():
    rng = np.random.default_rng(0)
    values = [" ".join(f"w{number}" for number in rng.zipf(1.3, 12) % 20_000) for _ in range(5_000)]
    table = text_table([*values, None])
    whole, cut = (fitted(TfIdf(min_df=2), table, size) for size in (0, 37))
    assert whole.terms == cut.terms
    np.testing.assert_array_equal(whole.idf[0], cut.idf[0])
    theirs = TfidfVectorizer(min_df=2).fit([*values, ""])
    np.testing.assert_allclose(cut.idf[0], theirs.idf_, rtol=1e-12)
    few = text_table(values[:3])
    np.testing.assert_allclose(
        cut.transform(batch_of(few))["c"].dense(), theirs.transform(values[:3]).toarray(), atol=1e-12
    )


def test_a_missing_text_has_no_terms():
    step = fitted(TfIdf(), text_table(["cat dog", None, "dog"]))
    assert dense(step, [None, "dog"]).tolist() == [[0, 0], [0, 1]]
    assert step.notes() == ["c: 2 terms of the 2 found."]
    assert made(step, pd.DataFrame({"c": [np.nan]})).to_numpy().tolist() == [[0, 0]]


def test_more_terms_than_memory_should_hold_are_refused():
    statistic = Terms("c", Analysis(), most=3)
    with pytest.raises(StepError, match="column 'c': its texts have more than 3 distinct terms; use `hash_text`"):
        statistic.result(statistic.compute(batch_of(text_table(["aa bb cc dd"]))))


def test_what_is_no_recipe_is_refused():
    for wrong, message in [
        ({"min_df": 0}, "min_df"),
        ({"max_df": 1.5}, "max_df"),
        ({"norm": "l3"}, "norm"),
        ({"stop_words": "latin"}, "stop_words"),
        ({"ngram_range": (0, 1)}, "ngram_range"),
        ({"token_pattern": "["}, "is no regular expression"),
        ({"analyzer": "sentence"}, "analyzer"),
    ]:
        with pytest.raises(RecipeError, match=message):
            TfIdf(**wrong)


# ---- popular_words ----


@given(lists_of_texts, st.integers(1, 5), st.sampled_from(["documents", "occurrences"]), st.booleans())
def test_popular_words_are_counted(values, n, by, indicator):
    table = text_table(values)
    step = fitted(PopularWords(n=n, by=by, values="indicator" if indicator else "count"), table)
    counted = [Counter(CountVectorizer().build_analyzer()(value)) for value in values]
    popularity = Counter()
    for counts in counted:
        popularity.update(counts if by == "occurrences" else counts.keys())
    popular = sorted(popularity, key=lambda word: (-popularity[word], word))[:n]
    assert [field.name for field in step.made] == [f"c_{word}" for word in popular]
    expected = [[min(counts[word], 1) if indicator else counts[word] for word in popular] for counts in counted]
    assert made(step, table).to_numpy().tolist() == expected
    assert_rows_equal_batch(step, table)


def test_many_popular_words_are_a_sparse_block():
    values = [f"w{number:03} w{number + 1:03}" for number in range(300)]
    step = fitted(PopularWords(n=300), text_table(values), size=0)
    assert len(step.made) == 1
    assert dense(step, values).sum() == 599
    assert "300 words" in step.notes()[0]


# ---- hash_text ----


@given(lists_of_texts, analyses, st.sampled_from([1, 5, 4096]), st.booleans(), st.sampled_from(["l1", "l2", "none"]))
def test_hashed_texts_equal_scikit_learn(values, analysis, n_features, alternate_sign, norm):
    assume(analysis["analyzer"] == "word" or analysis["token_pattern"] == r"(?u)\b\w\w+\b")
    step = fitted(
        HashText(n_features=n_features, alternate_sign=alternate_sign, norm=norm, **analysis), text_table(values)
    )
    theirs = HashingVectorizer(
        n_features=n_features, alternate_sign=alternate_sign, norm=None if norm == "none" else norm, **analysis
    )
    np.testing.assert_allclose(dense(step, values), theirs.transform(values).toarray(), atol=1e-12)


def test_texts_that_hash_nothing():
    step = fitted(HashText(n_features=3), text_table(["a"]))
    assert dense(step, [None, "", "."]).tolist() == [[0, 0, 0]] * 3
