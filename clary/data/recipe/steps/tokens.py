"""Words of texts: tokens, without stop words, as n-grams.

Between steps words stand in the text itself, a blank between them: `tokenize` and those after it leave it so, and
`stop_words`, `n_grams`, `popular_words`, `tf_idf` … find them there again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clary.data.batch import Schema
from clary.data.recipe.step import Fitting, check_choice, need, step
from clary.data.recipe.steps.stop_words import LISTS, PARTS_OF_SPEECH, stop_words
from clary.data.recipe.steps.text import TextFitted, TextStep
from clary.data.statistics.terms import QUICK_PATTERNS, finder
from clary.data.statistics.words import Words, bytes_of, each_text, runs, split_words

# ---- tokenize ----


@step
@dataclass(frozen=True, kw_only=True)
class Tokenize(TextStep):
    """The words of a text, a blank between them; all else goes.

    pattern  a regular expression that finds words; with one group, the group is the word. It may take a second a text
             at most. White space inside of what it finds becomes "_".
    """

    name: ClassVar[str] = "tokenize"

    pattern: str = r"\w+"

    def __post_init__(self) -> None:
        finder(self.pattern)  # raises RecipeError

    def fitting(self, schema: Schema) -> Fitting:
        yield []  # nothing is learnt
        return TokenizeFitted(self.chosen(schema), self.pattern)


@dataclass(frozen=True)
class TokenizeFitted(TextFitted):
    pattern: str

    @property
    def transform_text(self) -> Callable[[str], str]:
        find = finder(self.pattern)
        return lambda text: " ".join("_".join(word.split()) for word in find(text) if not word.isspace())

    def transform_texts(self, texts: pa.Array) -> pa.Array:
        if self.pattern not in QUICK_PATTERNS:
            return super().transform_texts(texts)
        inside, least = QUICK_PATTERNS[self.pattern]
        return each_text(texts, lambda batch: runs(*bytes_of(batch), inside, least).joined(), self.transform_text)


# ---- stop_words ----


@step
@dataclass(frozen=True, kw_only=True)
class StopWords(TextStep):
    """Texts without stop words, in upper or lower case.

    Words are what white space separates (`clean_text` or `tokenize` come first, or "the," is no stop word).

    language  "english" or "german"
    parts     only these parts of speech: articles, prepositions, conjunctions, pronouns, auxiliaries, adverbs; left
              out: all of them (in English, scikit-learn's ENGLISH_STOP_WORDS)
    words     the words given, in place of a language's
    """

    name: ClassVar[str] = "stop_words"

    language: Literal["english", "german"] = "english"
    parts: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_choice("language", self.language, LISTS)
        for part in self.parts:
            check_choice("parts", part, PARTS_OF_SPEECH)
        need(not (self.words and self.parts), "give one of the two", "words, parts")
        need(all(len(word.split()) == 1 for word in self.words), "each is one word, without blanks", "words")

    def fitting(self, schema: Schema) -> Fitting:
        words = self.words or stop_words(self.language, self.parts)
        yield []  # nothing is learnt
        return StopWordsFitted(self.chosen(schema), {word.lower(): 1 for word in words})


@dataclass(frozen=True)
class StopWordsFitted(TextFitted):
    """words: in lower case (the keys)."""

    words: dict[str, int]

    @property
    def transform_text(self) -> Callable[[str], str]:
        words = self.words
        return lambda text: " ".join(word for word in text.split() if word.lower() not in words)

    def transform_texts(self, texts: pa.Array) -> pa.Array:
        found = split_words(texts)
        encoded = pc.dictionary_encode(found.words)
        kept = np.array([word.lower() not in self.words for word in encoded.dictionary.to_pylist()], bool)
        made = found.where(kept[encoded.indices.to_numpy(zero_copy_only=False)]).joined()
        return pc.if_else(texts.is_valid(), made, pa.scalar(None, pa.string())) if texts.null_count else made

    def notes(self) -> Sequence[str]:
        return [f"{len(self.words):,} words are left out."]


# ---- n_grams ----


@step
@dataclass(frozen=True, kw_only=True)
class NGrams(TextStep):
    """Runs of neighbouring words as words: "new york city" becomes "new york city new_york york_city".

    Words are what white space separates.

    ngram_range  how many words a run has, from and to
    joined_by    what stands between the words of a run
    """

    name: ClassVar[str] = "n_grams"

    ngram_range: tuple[int, int] = (1, 2)
    joined_by: str = "_"

    def __post_init__(self) -> None:
        low, high = self.ngram_range
        need(
            1 <= low <= high <= 10,
            f"{low}, {high} are not two numbers of words, 1 … 10, the fewer first",
            "ngram_range",
        )
        need(not any(character.isspace() for character in self.joined_by), "white space separates runs", "joined_by")

    def fitting(self, schema: Schema) -> Fitting:
        yield []  # nothing is learnt
        low, high = self.ngram_range
        return NGramsFitted(self.chosen(schema), low, high, self.joined_by)


@dataclass(frozen=True)
class NGramsFitted(TextFitted):
    low: int
    high: int
    joined_by: str

    @property
    def transform_text(self) -> Callable[[str], str]:
        return self._runs

    def transform_texts(self, texts: pa.Array) -> pa.Array:
        found = split_words(texts)
        places, runs = [], []
        for n in range(self.low, self.high + 1):
            count = max(0, len(found.texts) - n + 1)
            inside = found.texts[n - 1 :] == found.texts[:count]  # the run does not go on into the next text
            made = pc.binary_join_element_wise(*(found.words.slice(k, count) for k in range(n)), self.joined_by)
            places.append(found.texts[:count][inside])
            runs.append(made.filter(pa.array(inside)))
        text_numbers = np.concatenate(places)
        order = np.argsort(text_numbers, kind="stable")
        joined = Words(text_numbers[order], pa.concat_arrays(runs).take(pa.array(order)), len(texts)).joined()
        return pc.if_else(texts.is_valid(), joined, pa.scalar(None, pa.string())) if texts.null_count else joined

    def _runs(self, text: str) -> str:
        words = text.split()
        return " ".join(
            self.joined_by.join(words[start : start + n])
            for n in range(self.low, self.high + 1)
            for start in range(len(words) - n + 1)
        )
