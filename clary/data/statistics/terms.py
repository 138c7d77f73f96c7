"""Which terms texts have: words, runs of words, runs of characters; and in how many texts each is."""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.batch import Batch, Column, strings
from clary.data.errors import RecipeError, StepError
from clary.data.statistics.base import ColumnStatistic
from clary.data.statistics.words import LOWER, SAME, SPACE, WORD, Words, bytes_of, each_word, runs, text_of

# scikit-learn's: words of two letters or more.
TOKEN_PATTERN = r"(?u)\b\w\w+\b"  # noqa: S105
# Patterns that need no search: which bytes words are of, and how many at least.
QUICK_PATTERNS = {TOKEN_PATTERN: (WORD, 2), r"(?u)\b\w+\b": (WORD, 1), r"\w+": (WORD, 1), r"\S+": (~SPACE, 1)}
# A pattern is given by whoever wrote the recipe: so long may it take on one text.
PATTERN_TIMEOUT_S = 1.0
PATTERN_CHARACTERS = 1_000
# The engine writes counted repetitions out when it compiles: x{1000000000} takes all memory there is.
PATTERN_REPETITIONS = 10_000
_COUNTED = re.compile(r"\{[^{}]*\}")


def finder(pattern: str) -> Callable[[str], list[str]]:
    """A function that finds a pattern's matches in a text, or what the pattern's one group matches.

    Raises RecipeError for what is no such pattern. The function raises StepError where it takes too long.
    """
    if pattern in QUICK_PATTERNS:
        return re.compile(pattern).findall
    import regex

    if len(pattern) > PATTERN_CHARACTERS:
        raise RecipeError(f"the pattern has {len(pattern):,} characters, and may have {PATTERN_CHARACTERS:,}")
    counts = [max(map(int, some)) for braces in _COUNTED.findall(pattern) if (some := re.findall(r"\d+", braces))]
    if math.prod(max(1, count) for count in counts) > PATTERN_REPETITIONS:
        raise RecipeError(f"{pattern!r} repeats more than {PATTERN_REPETITIONS:,} times; use * or + without a count")
    try:
        compiled = regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        raise RecipeError(f"{pattern!r} is no regular expression: {error}") from None
    if compiled.groups > 1:
        raise RecipeError(f"{pattern!r} has {compiled.groups} groups; make all but one of them (?:…)")

    def found(text: str) -> list[str]:
        try:
            return [match for match in compiled.findall(text, timeout=PATTERN_TIMEOUT_S) if match]
        except TimeoutError:
            raise StepError(
                f"the pattern {pattern!r} took more than {PATTERN_TIMEOUT_S:g} s on a text of {len(text):,} "
                "characters; write it without nested repetitions"
            ) from None

    return found


def without_accents(text: str) -> str:
    """As scikit-learn's strip_accents="unicode"."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))


@dataclass(frozen=True)
class Analysis:
    """How a text becomes terms, in the order and with the names of scikit-learn's text vectorizers.

    analyzer  "word", "char" (runs of characters), "char_wb" (these within words, which have a blank at either end)
    """

    analyzer: str = "word"
    lowercase: bool = True
    strip_accents: bool = False
    token_pattern: str = TOKEN_PATTERN
    stop_words: tuple[str, ...] = ()
    low: int = 1
    high: int = 1

    def counted(self, column: Column) -> tuple[Any, pa.Array]:
        """(csr_matrix of how often each text has each term, the terms as a pa.StringArray, in no order)."""
        from scipy.sparse import coo_matrix

        texts = strings(text_of(column))
        places, codes, terms = self._terms(texts)
        shape = (len(texts), len(terms))
        matrix = coo_matrix((np.ones(len(codes)), (places, codes)), shape=shape).tocsr()
        return matrix, terms

    def _terms(self, texts: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int32], pa.Array]:
        """(text of each, its code, terms by code)."""
        words = self._words(texts)
        encoded = pc.dictionary_encode(words.words)
        codes, terms = encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary
        if self.analyzer != "word":
            return words.texts, codes, terms
        places = words.texts
        if self.stop_words:
            stops = pc.is_in(terms, value_set=pa.array(self.stop_words, pa.string())).to_numpy(zero_copy_only=False)
            kept = ~stops[codes]
            places, codes = places[kept], codes[kept]
        return _runs_of_words(places, codes, terms, self.low, self.high)

    def _words(self, texts: pa.Array) -> Words:
        if self.analyzer != "word" or self.token_pattern not in QUICK_PATTERNS:
            return self._text_by_text(texts)
        inside, least = QUICK_PATTERNS[self.token_pattern]
        table = LOWER if self.lowercase else SAME

        def quick(some: pa.Array) -> Words:
            data, ends = bytes_of(some)
            return runs(table.take(data), ends, inside, least)

        return each_word(texts, quick, self._slow)

    def _text_by_text(self, texts: pa.Array) -> Words:
        found = [self._slow(text) if text is not None else [] for text in texts.to_pylist()]
        places = np.repeat(np.arange(len(found)), [len(terms) for terms in found])
        return Words(places, pa.array([term for terms in found for term in terms], pa.string()), len(found))

    @property
    def _slow(self) -> Callable[[str], Sequence[str]]:
        return _analyzer(self)

    def vectorizer_options(self) -> dict[str, Any]:
        """scikit-learn's parameters that say the same."""
        return {
            "analyzer": self.analyzer,
            "lowercase": self.lowercase,
            "strip_accents": "unicode" if self.strip_accents else None,
            "token_pattern": self.token_pattern,
            "stop_words": list(self.stop_words) or None,
            "ngram_range": (self.low, self.high),
        }


@functools.lru_cache(maxsize=64)
def _analyzer(analysis: Analysis) -> Callable[[str], Sequence[str]]:
    """A text's words, or its runs of characters."""
    prepare: list[Callable[[str], str]] = []
    if analysis.lowercase:
        prepare.append(str.lower)
    if analysis.strip_accents:
        prepare.append(without_accents)
    find: Callable[[str], Sequence[str]]
    if analysis.analyzer == "word":
        find = finder(analysis.token_pattern)
    else:
        from sklearn.feature_extraction.text import CountVectorizer

        find = CountVectorizer(
            analyzer=analysis.analyzer, lowercase=False, ngram_range=(analysis.low, analysis.high)
        ).build_analyzer()

    def terms(text: str) -> Sequence[str]:
        return find(functools.reduce(lambda changed, change: change(changed), prepare, text))

    return terms


def _runs_of_words(
    places: NDArray[np.int64], codes: NDArray[np.int32], words: pa.Array, low: int, high: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], pa.Array]:
    """n-grams of words with a blank between them, for n from low to high."""
    every: list[tuple[NDArray[np.int64], NDArray[Any], pa.Array]] = []
    grams, terms = codes.astype(np.int64), words
    for n in range(1, high + 1):
        if n > 1:
            inside = places[n - 1 :] == places[: len(places) - n + 1] if len(places) >= n else np.zeros(0, bool)
            # Numbers of the runs one shorter that begin at each place, and of the word that follows.
            pairs = grams[: len(inside)] * max(1, len(words)) + codes[n - 1 :].astype(np.int64)
            used, numbered = np.unique(pairs, return_inverse=True)
            first, second = used // max(1, len(words)), used % max(1, len(words))
            terms = pc.binary_join_element_wise(terms.take(pa.array(first)), words.take(pa.array(second)), " ")
            grams = numbered.reshape(-1)
        else:
            inside = np.ones(len(places), bool)
        if n >= low:
            every.append((places[: len(inside)][inside], grams[inside], terms))
    if len(every) == 1:
        return every[0][0], every[0][1].astype(np.int32), every[0][2]
    # A word with a blank inside may be equal to a run of two.
    texts, numbers, runs_of_words = zip(*every, strict=True)
    encoded = pc.dictionary_encode(pa.concat_arrays(runs_of_words))
    table = encoded.indices.to_numpy(zero_copy_only=False)
    starts = np.cumsum([0, *map(len, runs_of_words[:-1])])
    found = [table[run + start] for run, start in zip(numbers, starts, strict=True)]
    return np.concatenate(texts), np.concatenate(found), encoded.dictionary


@dataclass(frozen=True)
class TermCounts:
    """Terms of a column's texts.

    terms        pa.StringArray, sorted by code points
    documents    (terms,), texts that have it
    occurrences  (terms,), how often it is there
    rows         all texts, with the missing ones: they are texts without terms
    """

    terms: pa.Array
    documents: NDArray[np.int64]
    occurrences: NDArray[np.int64]
    rows: int


@dataclass
class Pieces:
    """Counts of batches that are not yet one: putting them together each time would look at all terms each time."""

    pieces: list[tuple[pa.Array, NDArray[np.int64], NDArray[np.int64]]]
    rows: int
    large: int  # terms in the first piece, which is all that was put together


@dataclass(frozen=True)
class Terms(ColumnStatistic[Pieces, TermCounts]):
    """Exact counts of every term. Raises StepError for more than `most` distinct ones."""

    analysis: Analysis
    most: int = 5_000_000

    def compute(self, batch: Batch) -> Pieces:
        matrix, terms = self.analysis.counted(batch[self.column])
        documents = np.bincount(matrix.indices, minlength=len(terms))
        occurrences = np.bincount(matrix.indices, weights=matrix.data, minlength=len(terms)).astype(np.int64)
        there = documents > 0  # stop words are among the terms, and in no text
        if not there.all():
            terms, documents, occurrences = terms.filter(pa.array(there)), documents[there], occurrences[there]
        return Pieces([(terms, documents, occurrences)], batch.rows, len(terms))

    def merge(self, first: Pieces, second: Pieces) -> Pieces:
        first.pieces.extend(second.pieces)
        first.rows += second.rows
        if sum(len(terms) for terms, _, _ in first.pieces[1:]) > first.large + 200_000:
            self._together(first)
        return first

    def _together(self, state: Pieces) -> None:
        pieces, *counts_of_pieces = zip(*state.pieces, strict=True)
        encoded = pc.dictionary_encode(pa.concat_arrays(pieces))
        codes, terms = encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary
        if len(terms) > self.most:
            raise StepError(
                f"its texts have more than {self.most:,} distinct terms; use `hash_text`, or shorter n-grams",
                column=self.column,
            )
        counts = []
        for of_pieces in counts_of_pieces:
            values = np.zeros(len(terms), np.int64)
            np.add.at(values, codes, np.concatenate(of_pieces))
            counts.append(values)
        state.pieces = [(terms, counts[0], counts[1])]
        state.large = len(terms)

    def result(self, state: Pieces | None) -> TermCounts:
        if state is None:
            return TermCounts(pa.array([], pa.string()), np.empty(0, np.int64), np.empty(0, np.int64), 0)
        self._together(state)
        terms, documents, occurrences = state.pieces[0]
        order = pc.sort_indices(terms)
        places = order.to_numpy()
        return TermCounts(terms.take(order), documents[places], occurrences[places], state.rows)
