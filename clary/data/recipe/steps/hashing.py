"""The hashing trick: levels become numbered columns without anything being learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Block, Column, Field, Kind, Schema, coded
from clary.data.recipe.step import Fitting, need, step
from clary.data.recipe.steps.categories import MOST_COLUMNS, CategoryStep, PerSource, check_free, level_name
from clary.data.statistics.categories import category


@step
@dataclass(frozen=True, kw_only=True)
class Hash(CategoryStep):
    """Each level becomes 1 or -1 in one of `n_features` columns, chosen by its hash; the column itself goes.

    Nothing is learnt, so no level is unknown; two levels may share a column. A missing value is 0 everywhere. The new
    columns are called `<column>_<number>`; beyond 256 of them they are one sparse block.

    n_features      of each column
    alternate_sign  whether half of the levels are -1, so that those that share a column cancel out on average

    As scikit-learn's FeatureHasher of {column: level}, each column hashed to columns of its own.
    Reference  Weinberger et al. (2009), Feature hashing for large scale multitask learning, ICML.
    """

    name: ClassVar[str] = "hash"

    n_features: int = 1024
    alternate_sign: bool = True

    def __post_init__(self) -> None:
        # Every column has a name: more of them cost more than they help.
        need(1 <= self.n_features <= 2**20, f"{self.n_features} is not in 1 … 2^20", "n_features")

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        made = tuple(tuple(f"{name}_{number}" for number in range(self.n_features)) for name in names)
        fitted = HashFitted(names, made, self.n_features, self.alternate_sign)
        check_free(schema, names, fitted.made)
        yield []  # nothing is learnt
        return fitted


@dataclass(frozen=True)
class HashFitted(PerSource):
    """made_names: of each column, the new columns."""

    made_names: tuple[tuple[str, ...], ...]
    n_features: int
    alternate_sign: bool

    def made_fields(self, place: int) -> Sequence[Field]:
        if self.n_features > MOST_COLUMNS:
            return (Field(self.names[place], Kind.BLOCK, self.made_names[place]),)
        return tuple(Field(name, Kind.NUMBER) for name in self.made_names[place])

    def apply(self, place: int, column: Column) -> Mapping[str, Column]:
        codes, dictionary = coded(category(column))
        used, rows = np.unique(codes, return_inverse=True)
        levels = [None if code < 0 else dictionary[int(code)].as_py() for code in used]
        places, signs = self._hashed(self.names[place], levels)
        places, signs = places[rows], signs[rows]
        made = self.made_names[place]
        if self.n_features > MOST_COLUMNS:
            return {self.names[place]: Block(made, _sparse(places, signs, self.n_features))}
        flags = np.zeros((self.n_features, len(codes)), np.int8)
        flags[places, np.arange(len(codes))] = signs
        return dict(zip(made, flags, strict=True))

    def _hashed(self, name: str, levels: Sequence[str | float | None]) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
        """(column, sign) of each level; the sign of a missing value is 0."""
        from sklearn.feature_extraction import FeatureHasher

        hasher = FeatureHasher(self.n_features, input_type="string", alternate_sign=self.alternate_sign)
        known = [place for place, level in enumerate(levels) if level is not None]
        places, signs = np.zeros(len(levels), np.int32), np.zeros(len(levels), np.int8)
        if known:
            found = hasher.transform([[f"{name}={level_name(levels[place])}"] for place in known])
            places[known], signs[known] = found.indices, found.data
        return places, signs


def _sparse(places: NDArray[np.int32], signs: NDArray[np.int8], width: int) -> object:
    from scipy.sparse import csr_matrix

    present = signs != 0
    ends = np.concatenate([[0], np.cumsum(present)]).astype(np.int32)
    return csr_matrix((signs[present].astype(np.float64), places[present], ends), shape=(len(places), width))
