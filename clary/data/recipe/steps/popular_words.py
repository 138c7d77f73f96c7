"""Texts as counts of the words that are popular."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa

from clary.data.batch import Block, Column, Schema
from clary.data.recipe.step import Fitting, check_choice, need, step
from clary.data.recipe.steps.categories import check_free, examples
from clary.data.recipe.steps.terms import KnownTerms, TermsStep
from clary.data.statistics.terms import Analysis, TermCounts, Terms


@step
@dataclass(frozen=True, kw_only=True)
class PopularWords(TermsStep):
    """How often each text has each of the most popular words, a column `<column>_<word>` each; the column itself goes.

    n       so many words
    by      popular is what is in many "documents", or has many "occurrences"; of equally popular words what sorts first
    values  "count", or "indicator": 1 where the text has it
    and how a text becomes words, as in `tf_idf`: analyzer, lowercase, strip_accents, token_pattern, stop_words,
    ngram_range. A missing text is 0 everywhere. Beyond 256 words they are one sparse block.
    """

    name: ClassVar[str] = "popular_words"

    n: int = 50
    by: Literal["documents", "occurrences"] = "documents"
    values: Literal["count", "indicator"] = "count"

    def __post_init__(self) -> None:
        super().__post_init__()
        need(1 <= self.n <= 1_000_000, f"{self.n} is not in 1 … 1,000,000", "n")
        check_choice("by", self.by, ("documents", "occurrences"))
        check_choice("values", self.values, ("count", "indicator"))

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        options = self.options()
        found = (yield [Terms(name, Analysis(**options)) for name in names]) if names else []
        terms = tuple(self._popular(counts) for counts in found)
        made = tuple(
            tuple(f"{name}_{term}" for term in column_terms.to_pylist())
            for name, column_terms in zip(names, terms, strict=True)
        )
        fitted = PopularWordsFitted(names, options, terms, made, self.values)
        check_free(schema, names, fitted.made)
        return fitted

    def _popular(self, counts: TermCounts) -> pa.Array:
        popularity = counts.documents if self.by == "documents" else counts.occurrences
        best = np.argsort(-popularity, kind="stable")[: self.n]
        return counts.terms.take(pa.array(best))


@dataclass(frozen=True)
class PopularWordsFitted(KnownTerms):
    """terms: the most popular first; values: "count" or "indicator"."""

    values: str

    def apply(self, place: int, column: Column) -> Mapping[str, Column]:
        matrix = self.counted(place, column)
        if self.values == "indicator":
            matrix.data[:] = 1
        if self.in_block(place):
            return {self.names[place]: Block(self.made_names[place], matrix)}
        dense = np.zeros(matrix.shape[::-1], np.uint8 if self.values == "indicator" else np.int32)
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        dense[matrix.indices, rows] = matrix.data
        return dict(zip(self.made_names[place], dense, strict=True))

    def notes(self) -> Sequence[str]:
        return [
            f"{name}: {len(terms):,} words: {examples(terms, 10)}."
            for name, terms in zip(self.names, self.terms, strict=True)
        ]
