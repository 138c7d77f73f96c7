"""Steps that make texts of texts, and measure them: clean_text, tokenize, stop_words, n_grams, text_length."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from clary.data.errors import RecipeError, StepError
from clary.data.recipe.steps.hash_text import HashText
from clary.data.recipe.steps.similarity import SimilarityEncode
from clary.data.recipe.steps.stop_words import LISTS, PARTS_OF_SPEECH
from clary.data.recipe.steps.text import CleanText
from clary.data.recipe.steps.text_length import TextLength, measures_of
from clary.data.recipe.steps.tf_idf import TfIdf
from clary.data.recipe.steps.tokens import NGrams, StopWords, Tokenize
from tests.data_library.steps_support import assert_rows_equal_batch, batch_of, fitted, made

# Blanks, ends of sentences, tags, entities, accents, ligatures, white space that is not ASCII, and anything else.
ASCII = st.text(st.sampled_from(list("ab Z.!?_-\t\n\x1c\x00'\")<>&;1")), max_size=25)
ANY = st.one_of(
    st.none(), ASCII, st.text(max_size=12), st.text(st.sampled_from(list("aÉß ﬁ\u00a0\u2003İ.…<b>&;²٣")), max_size=9)
)
lists_of_texts = st.lists(ANY, min_size=1, max_size=12)


def text_table(values, *, coded=False) -> pa.Table:
    array = pa.array(values, pa.string())
    return pa.table({"c": array.dictionary_encode() if coded else array})


def texts_of(step, values, *, coded=False) -> list[str | None]:
    result = made(fitted(step, text_table(values, coded=coded)), text_table(values, coded=coded))["c"].astype(object)
    return [None if pd.isna(value) else value for value in result]


def applied_singly(step, values) -> list[str | None]:
    apply = fitted(step, text_table(values)).transform_text
    return [None if value is None else apply(value) for value in values]


options = st.fixed_dictionaries(
    {name: st.booleans() for name in ("html", "lowercase", "strip_accents", "punctuation", "digits", "white_space")}
)


@settings(max_examples=300)
@given(lists_of_texts, options, st.booleans())
def test_many_texts_are_cleaned_as_one_is(values, cleaning, coded):
    step = CleanText(**cleaning)
    assert texts_of(step, values, coded=coded) == applied_singly(step, values)
    assert_rows_equal_batch(fitted(step, text_table(values)), text_table(values))


def test_what_cleaning_does():
    messy = ["  Hello,   <b>WORLD</b>!\n", "Fish &amp; Chips", "Café №5 — ﬁn", None, ""]
    assert texts_of(CleanText(), messy) == [
        "hello b world b",
        "fish amp chips",
        "café 5 fin".replace("fin", "ﬁn"),
        None,
        "",
    ]
    assert texts_of(CleanText(html=True, strip_accents=True, digits=True), messy) == [
        "hello world",
        "fish chips",
        "cafe no fin",
        None,
        "",
    ]
    assert texts_of(CleanText(lowercase=False, punctuation=False, white_space=False), messy) == messy


def test_many_open_brackets_are_cleaned_in_linear_time():
    started = time.process_time()
    texts_of(CleanText(html=True), ["<" * 200_000, "<é" * 100_000])
    assert time.process_time() - started < 2


def test_distinct_texts_that_become_one_are_one_level():
    column = fitted(CleanText(), text_table(["A", "a"])).transform(batch_of(text_table(["A", "a", "A"], coded=True)))[
        "c"
    ]
    assert column.dictionary.to_pylist() == ["a"]
    assert column.indices.to_pylist() == [0, 0, 0]


# ---- tokenize ----


@settings(max_examples=200)
@given(lists_of_texts, st.sampled_from([r"\w+", r"(?u)\b\w\w+\b", r"\S+", r"[a-z]+ ?", r"(\w)\w*"]))
def test_many_texts_are_cut_into_words_as_one_is(values, pattern):
    step = Tokenize(pattern=pattern)
    assert texts_of(step, values) == applied_singly(step, values)
    assert_rows_equal_batch(fitted(step, text_table(values)), text_table(values))


def test_words_stand_in_the_text_with_a_blank_between_them():
    assert texts_of(Tokenize(), ["Don't panic!", "naïve—yes", None, "  "]) == ["Don t panic", "naïve yes", None, ""]
    assert texts_of(Tokenize(pattern="New York|[a-z]+"), ["in New York now"]) == ["in New_York now"]
    assert texts_of(Tokenize(pattern=r"#(\w+)"), ["a #b c #d"]) == ["b d"]


def test_patterns_that_are_none_are_refused_and_those_that_never_end_are_stopped():
    with pytest.raises(RecipeError, match="is no regular expression"):
        Tokenize(pattern="(")
    with pytest.raises(RecipeError, match="has 2 groups"):
        Tokenize(pattern="(a)(b)")
    with pytest.raises(RecipeError, match="has 2,000 characters"):
        Tokenize(pattern="a" * 2_000)
    for bomb in ("x{1000000000}", "(?:a{1000}){1000}", "(?:(?:a{,999}){999}){999}"):
        with pytest.raises(RecipeError, match="repeats more than 10,000 times"):
            Tokenize(pattern=bomb)
    assert texts_of(Tokenize(pattern=r"\d{2,4}"), ["1 22 333"]) == ["22 333"]
    hostile = fitted(Tokenize(pattern=r"(?:a|aa|a.?)+$"), text_table(["a"]))
    with pytest.raises(StepError, match=r"column 'c': the pattern .* took more than 1 s"):
        hostile.transform(batch_of(text_table(["a" * 5_000 + "\n\nb"])))


# ---- stop_words ----


@settings(max_examples=200)
@given(
    st.lists(st.one_of(ANY, st.lists(st.sampled_from(["the", "The", "cat", "ÜBER", "of"])).map(" ".join)), min_size=1)
)
def test_many_texts_lose_their_stop_words_as_one_does(values):
    step = StopWords(words=("the", "OF", "über"))
    assert texts_of(step, values) == applied_singly(step, values)
    assert_rows_equal_batch(fitted(step, text_table(values)), text_table(values))


def test_stop_words_by_language_and_part_of_speech():
    assert texts_of(StopWords(), ["The cat sat on the mat", None]) == ["cat sat mat", None]
    assert texts_of(StopWords(parts=("articles",)), ["The cat sat on the mat"]) == ["cat sat on mat"]
    german = ["Die Katze saß auf der Matte"]
    assert texts_of(StopWords(language="german"), german) == ["Katze saß Matte"]
    assert texts_of(StopWords(language="german", parts=("prepositions",)), german) == ["Die Katze saß der Matte"]
    assert set(fitted(StopWords(), text_table(["a"])).words) == set(ENGLISH_STOP_WORDS)


def test_every_language_has_every_part_of_speech_in_lower_case():
    for lists in LISTS.values():
        assert tuple(lists) == PARTS_OF_SPEECH
        for words in lists.values():
            assert words == words.lower()
            assert len(set(words.split())) == len(words.split())


def test_wrong_stop_words_are_refused():
    with pytest.raises(RecipeError, match="parts: 'nouns' is not one of"):
        StopWords(parts=("nouns",))
    with pytest.raises(RecipeError, match="language: 'latin' is not one of"):
        StopWords(language="latin")
    with pytest.raises(RecipeError, match="words: each is one word"):
        StopWords(words=("two words",))
    with pytest.raises(RecipeError, match="give one of the two"):
        StopWords(words=("a",), parts=("articles",))


# ---- n_grams ----


@settings(max_examples=200)
@given(lists_of_texts, st.sampled_from([(1, 1), (1, 2), (2, 2), (2, 4)]))
def test_many_texts_get_runs_of_words_as_one_does(values, ngram_range):
    step = NGrams(ngram_range=ngram_range)
    assert texts_of(step, values) == applied_singly(step, values)


def test_runs_of_words():
    assert texts_of(NGrams(), ["new york  city", "one", "", None]) == [
        "new york city new_york york_city",
        "one",
        "",
        None,
    ]
    assert texts_of(NGrams(ngram_range=(2, 3), joined_by="+"), ["a b c"]) == ["a+b b+c a+b+c"]
    table = text_table(["new york", None])
    assert_rows_equal_batch(fitted(NGrams(), table), table)
    with pytest.raises(RecipeError, match="ngram_range"):
        NGrams(ngram_range=(2, 1))
    with pytest.raises(RecipeError, match="joined_by"):
        NGrams(joined_by=" ")


# ---- text_length ----


@settings(max_examples=300)
@given(lists_of_texts, st.booleans())
def test_many_texts_are_measured_as_one_is(values, coded):
    table = text_table(values, coded=coded)
    step = fitted(TextLength(drop=True), table)
    expected = [(np.nan,) * 4 if value is None else measures_of(value) for value in values]
    np.testing.assert_array_equal(made(step, table).to_numpy(), np.array(expected))
    assert_rows_equal_batch(step, table)


def test_what_is_measured():
    assert measures_of('Hi there! "Are you ok?" Yes') == (27, 6, 3, pytest.approx(22 / 6))
    assert measures_of("") == (0, 0, 0, 0)
    assert measures_of("Wie geht’s… Gut") == (15, 3, 2, pytest.approx(13 / 3))
    assert measures_of("no end") == (6, 2, 1, 2.5)
    step = fitted(TextLength(measures=("words",)), text_table(["a b"]))
    assert list(made(step, text_table(["a b"])).columns) == ["c", "c_words"]


def test_numbers_are_no_text():
    for step in (CleanText(), StopWords(), TextLength(), TfIdf(), HashText(), SimilarityEncode()):
        with pytest.raises(StepError, match="column 'c': it holds number, not text; cast it"):
            fitted(step, text_table(["some text"])).transform(batch_of(pd.DataFrame({"c": [1.0, 2.0]})))


def test_a_column_without_any_text():
    empty = pd.DataFrame({"c": [np.nan, np.nan]})
    for step in (CleanText(), Tokenize(), StopWords(), NGrams()):
        assert made(fitted(step, text_table(["a"])), empty)["c"].isna().all()
    assert made(fitted(TextLength(drop=True), text_table(["a"])), empty).isna().all(axis=None)
    assert len(made(fitted(TextLength(), text_table([])), text_table([]))) == 0
