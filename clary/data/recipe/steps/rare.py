"""Rare levels are joined into a single level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from clary.data.batch import Column, Kind, Schema
from clary.data.recipe.step import Fitting, PerColumn, Step, need, step
from clary.data.recipe.steps.categories import MISSING, UNKNOWN, at, by_level, examples, frequent, in_order, looked_up
from clary.data.statistics.categories import Categories

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode


@step
@dataclass(frozen=True, kw_only=True)
class Rare(Step):
    """Levels that are too rare become a single level; so do those that were not there at fitting.

    Missing values stay missing, and play no part in shares.

    min_count   levels in fewer rows are rare; below 1: a share of the rows that have a value
    max_levels  so many levels stay at most, the most frequent (of equally frequent levels those that sort first)
    other       what rare levels become
    """

    name: ClassVar[str] = "rare"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.TEXT,)
    keeps_schema: ClassVar[bool] = True

    min_count: float = 0.01
    max_levels: int | None = None
    other: str = "other"

    def __post_init__(self) -> None:
        need(self.min_count >= 0, f"{self.min_count} is below 0", "min_count")
        need(self.max_levels is None or self.max_levels >= 1, f"{self.max_levels} is below 1", "max_levels")

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        found = (yield [Categories(name) for name in names]) if names else []
        kept, left, shares = [], [], []
        for column_levels in found:
            levels = in_order(column_levels, "frequency")
            often = frequent(levels, self.min_count, self.max_levels)
            kept.append(at(levels, np.flatnonzero(often)).values)
            left.append(at(levels, np.flatnonzero(~often)).values)
            shares.append(float(levels.counts[~often].sum() / max(1, levels.counts.sum())))
        return RareFitted(names, tuple(kept), tuple(left), tuple(shares), self.other)


@dataclass(frozen=True)
class RareFitted(PerColumn):
    """kept: levels that stay; left: those that became `other`, the most frequent first; shares: of rows with these."""

    kept: tuple[pa.Array, ...]
    left: tuple[pa.Array, ...]
    shares: tuple[float, ...]
    other: str

    made_kind: ClassVar[Kind | None] = Kind.TEXT

    def apply(self, place: int, column: Column) -> Column:
        kept = self.kept[place]
        codes, table, _ = looked_up(column, kept)
        levels = kept.to_pylist()
        other = levels.index(self.other) if self.other in levels else len(levels)
        table[table == UNKNOWN] = other
        found = table.take(codes)
        values = pa.array([*levels, self.other][: max(len(levels), other + 1)], pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(found, mask=found == MISSING), values)

    def notes(self) -> Sequence[str]:
        return [
            f"{name}: {len(left):,} levels ({share:.2%} of the rows with a value) became {self.other!r}: "
            f"{examples(left)}."
            for name, left, share in zip(self.names, self.left, self.shares, strict=True)
            if len(left)
        ]

    def row(self, code: RowCode) -> None:
        for name, kept in zip(self.names, self.kept, strict=True):
            value, table = code.read(name), code.constant(by_level(kept, kept.to_pylist()))
            known: Any = f"{table}.get({value}, {code.constant(self.other)})"
            code.write(name, f"None if {value} is None else {known}")
