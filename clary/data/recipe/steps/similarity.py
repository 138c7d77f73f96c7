"""Levels as their similarity to the most frequent levels: misspelt and related names come out alike."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clary.data.batch import Column, Field, Kind, Schema, coded
from clary.data.recipe.step import Fitting, Step, need, step
from clary.data.recipe.steps.categories import PerSource, check_free, examples, in_order
from clary.data.statistics.categories import Categories
from clary.data.statistics.words import text_of


@step
@dataclass(frozen=True, kw_only=True)
class SimilarityEncode(Step):
    """Each of the most frequent levels becomes a column: how similar, from 0 to 1, the row's level is to it.

    Similarity is the share of n-grams of characters that two strings have in common, of those that either has
    (Jaccard), lower and upper case alike; equal strings have 1. A level that was not there at fitting is no exception.
    A missing value stays missing in every column. The columns are called `<column>_<level>`; the column itself goes.

    n_prototypes  so many levels, the most frequent, become columns
    ngram_range   lengths of n-grams, from and to; strings have a blank before and behind

    Reference  Cerda, Varoquaux & Kégl (2018), Similarity encoding for learning with dirty categorical variables,
               Machine Learning 107.
    """

    name: ClassVar[str] = "similarity_encode"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.TEXT,)

    n_prototypes: int = 30
    ngram_range: tuple[int, int] = (2, 4)

    def __post_init__(self) -> None:
        need(1 <= self.n_prototypes <= 1_000, f"{self.n_prototypes} is not in 1 … 1000", "n_prototypes")
        low, high = self.ngram_range
        need(1 <= low <= high <= 20, f"{low}, {high} are not two lengths, 1 … 20, the shorter first", "ngram_range")

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        found = (yield [Categories(name) for name in names]) if names else []
        levels = tuple(
            in_order(column_levels, "frequency").values.slice(0, self.n_prototypes) for column_levels in found
        )
        made = tuple(
            tuple(f"{name}_{level}" for level in column_levels.to_pylist())
            for name, column_levels in zip(names, levels, strict=True)
        )
        low, high = self.ngram_range
        fitted = SimilarityFitted(names, levels, made, low, high)
        check_free(schema, names, fitted.made)
        return fitted


@dataclass(frozen=True)
class SimilarityFitted(PerSource):
    """prototypes: of each column, the most frequent first; made_names: the new columns; n-grams from low to high."""

    prototypes: tuple[pa.Array, ...]
    made_names: tuple[tuple[str, ...], ...]
    low: int
    high: int

    def made_fields(self, place: int) -> Sequence[Field]:
        return tuple(Field(name, Kind.NUMBER) for name in self.made_names[place])

    def apply(self, place: int, column: Column) -> Mapping[str, Column]:
        made = self.made_names[place]
        codes, dictionary = coded(text_of(column))
        used, places = np.unique(codes, return_inverse=True)
        similar = np.empty((len(made), len(used)))
        for number, code in enumerate(used):
            level = None if code < 0 else dictionary[int(code)].as_py()
            similar[:, number] = np.nan if level is None else self._prepared[place].similar(level, self.low, self.high)
        return dict(zip(made, similar.take(places, axis=1), strict=True))

    @cached_property
    def _prepared(self) -> tuple[Prototypes, ...]:
        return tuple(Prototypes(column_levels.to_pylist(), self.low, self.high) for column_levels in self.prototypes)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_prepared"}

    def notes(self) -> Sequence[str]:
        return [
            f"{name}: similarity to {len(levels):,} levels: {examples(levels)}."
            for name, levels in zip(self.names, self.prototypes, strict=True)
        ]


class Prototypes:
    """Levels by their n-grams."""

    def __init__(self, levels: Sequence[str], low: int, high: int) -> None:
        grams = [ngrams(level, low, high) for level in levels]
        self._sizes: NDArray[np.float64] = np.array([len(level_grams) for level_grams in grams], np.float64)
        self._having: dict[str, list[int]] = {}
        for number, level_grams in enumerate(grams):
            for gram in level_grams:
                self._having.setdefault(gram, []).append(number)

    def similar(self, level: str, low: int, high: int) -> NDArray[np.float64]:
        """(prototypes,), Jaccard's index of the sets of n-grams."""
        grams = ngrams(level, low, high)
        shared = [number for gram in grams & self._having.keys() for number in self._having[gram]]
        common = np.bincount(shared, minlength=len(self._sizes)).astype(np.float64)
        return common / (self._sizes + len(grams) - common)


def ngrams(text: str, low: int, high: int) -> set[str]:
    """The distinct n-grams of a string with a blank before and behind, without regard to case; never none.

    A string shorter than n has itself in place of its n-grams.
    """
    padded = f" {unicodedata.normalize('NFKC', text).casefold()} "
    found: set[str] = set()
    for n in range(low, high + 1):
        found.update(padded[start : start + n] for start in range(max(1, len(padded) - n + 1)))
    return found
