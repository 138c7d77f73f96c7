"""What the steps that count terms of texts have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clary.data.batch import Column, Field, Kind
from clary.data.recipe.step import Step, check_choice, need
from clary.data.recipe.steps.categories import MOST_COLUMNS, PerSource
from clary.data.recipe.steps.stop_words import LISTS, stop_words
from clary.data.statistics.terms import TOKEN_PATTERN, Analysis, finder

Norm = Literal["l1", "l2", "none"]


@dataclass(frozen=True, kw_only=True)
class TermsStep(Step):
    """How a text becomes terms: parameters that several steps have, as in scikit-learn's vectorizers.

    analyzer       "word"; "char": runs of characters; "char_wb": runs of characters within words
    lowercase      whether case plays no part
    strip_accents  whether accents play none
    token_pattern  of words: the default finds those of two letters or more. It may take a second a text at most.
    stop_words     "english", "german", or the words themselves: they are no terms
    ngram_range    lengths of runs of words or characters, from and to
    """

    kinds: ClassVar[tuple[Kind, ...]] = (Kind.TEXT,)

    analyzer: Literal["word", "char", "char_wb"] = "word"
    lowercase: bool = True
    strip_accents: bool = False
    token_pattern: str = TOKEN_PATTERN
    stop_words: str | tuple[str, ...] = ()
    ngram_range: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        check_choice("analyzer", self.analyzer, ("word", "char", "char_wb"))
        finder(self.token_pattern)  # raises RecipeError
        if isinstance(self.stop_words, str) and self.stop_words:
            check_choice("stop_words", self.stop_words, LISTS)
        low, high = self.ngram_range
        need(1 <= low <= high <= 20, f"{low}, {high} are not two lengths, 1 … 20, the shorter first", "ngram_range")

    def options(self) -> dict[str, Any]:
        """Of the Analysis, in a form that is saved."""
        words = self.stop_words
        return {
            "analyzer": self.analyzer,
            "lowercase": self.lowercase,
            "strip_accents": self.strip_accents,
            "token_pattern": self.token_pattern,
            "stop_words": (stop_words(words) if words else ()) if isinstance(words, str) else tuple(words),
            "low": self.ngram_range[0],
            "high": self.ngram_range[1],
        }


@dataclass(frozen=True)
class TermsFitted(PerSource):
    """options: of the Analysis."""

    options: dict[str, Any]

    @property
    def analysis(self) -> Analysis:
        return Analysis(**self.options)


@dataclass(frozen=True)
class KnownTerms(TermsFitted):
    """A fitted step with a list of terms for each of its columns, sorted; made_names: one for each."""

    terms: tuple[pa.Array, ...]
    made_names: tuple[tuple[str, ...], ...]

    def made_fields(self, place: int) -> Sequence[Field]:
        if self.in_block(place):
            return (Field(self.names[place], Kind.BLOCK, self.made_names[place]),)
        return tuple(Field(name, Kind.NUMBER) for name in self.made_names[place])

    def in_block(self, place: int) -> bool:
        return len(self.made_names[place]) > MOST_COLUMNS

    @cached_property
    def _numbers(self) -> tuple[dict[str, int], ...]:
        return tuple(
            {term: number for number, term in enumerate(column_terms.to_pylist())} for column_terms in self.terms
        )

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_numbers"}

    def counted(self, place: int, column: Column) -> Any:
        """csr_matrix (rows, terms), sorted, of how often each row has each term."""
        from scipy.sparse import csr_matrix

        matrix, found = self.analysis.counted(column)
        terms = self.terms[place]
        if len(found) * 20 < len(terms):  # a few rows: Arrow would read all terms to look up some
            numbers = self._numbers[place]
            table = np.array([numbers.get(term, -1) for term in found.to_pylist()], np.int64)
        else:
            places = pc.index_in(found, value_set=terms) if len(terms) else pa.nulls(len(found), pa.int32())
            table = places.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        columns = table[matrix.indices]
        known = columns >= 0
        ends = np.concatenate([[0], np.cumsum(known)])[matrix.indptr]
        made = csr_matrix((matrix.data[known], columns[known], ends), shape=(len(column), len(terms)))
        made.sort_indices()
        return made


def normalized(matrix: Any, norm: str) -> Any:
    """Each row of a csr_matrix divided by its length; rows of zeros stay."""
    if norm == "none":
        return matrix
    entries = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(matrix.shape[0]), entries)
    sizes = np.abs(matrix.data) if norm == "l1" else matrix.data * matrix.data
    lengths = np.bincount(rows, weights=sizes, minlength=matrix.shape[0])
    lengths = np.sqrt(lengths) if norm == "l2" else lengths
    matrix.data = matrix.data / np.where(lengths == 0, 1.0, lengths)[rows]
    return matrix
