"""Exactly so many rows of a table, or of each class of it, chosen by chance: below which hash they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, coded
from clary.data.errors import StepError
from clary.data.statistics.base import AnotherPass, Statistic
from clary.data.statistics.hashes import splitmix64

_BITS = 12  # rows are counted by the first bits of their hash; only the few that share a threshold's are then kept
_MOST_CLASSES = 10_000
Wanted = Callable[[int], tuple[int, ...]]


@dataclass
class Seen:
    """Of each class: rows by the first bits of their hash, and the hashes kept."""

    buckets: dict[Any, NDArray[np.int64]]
    kept: dict[Any, list[NDArray[np.uint64]]]


@dataclass(frozen=True)
class Thresholds(Statistic[Seen, dict[Any, tuple[int, ...]]]):
    """Of each class of the column `by` (None: of the whole table, as class None), hashes below which so many rows are.

    wanted  from the rows of a class to how many are wanted below each threshold; the same for the same rows
    A row's hash is `splitmix64(row_number, seed)`. Takes two passes, and memory for a few thousandths of the table.
    Rows without a class are the class None. Raises StepError for more than 10,000 classes.
    """

    wanted: Wanted
    by: str | None = None
    seed: int = 0
    buckets: Mapping[Any, NDArray[np.int64]] = field(default_factory=dict, compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.by,) if self.by is not None else ()

    def compute(self, batch: Batch) -> Seen:
        hashes = splitmix64(batch.row_numbers, self.seed)
        seen = Seen({}, {})
        for level, rows in classes_of(batch, self.by).items():
            mine = hashes[rows]
            first_bits = (mine >> np.uint64(64 - _BITS)).astype(np.int64)
            if not self.buckets:
                seen.buckets[level] = np.bincount(first_bits, minlength=1 << _BITS)
            else:
                seen.kept[level] = [mine[np.isin(first_bits, self._places(level))]]
        return seen

    def merge(self, first: Seen, second: Seen) -> Seen:
        for level, counts in second.buckets.items():
            first.buckets[level] = first.buckets[level] + counts if level in first.buckets else counts
        for level, kept in second.kept.items():
            first.kept.setdefault(level, []).extend(kept)
        if len(first.buckets) > _MOST_CLASSES:
            raise StepError(f"it has more than {_MOST_CLASSES:,} distinct values: no classes", column=self.by or "")
        return first

    def result(self, state: Seen | None) -> dict[Any, tuple[int, ...]]:
        if state is None:
            return {}
        if not self.buckets:
            raise AnotherPass(replace(self, buckets=state.buckets))
        return {level: self._of_class(level, np.sort(np.concatenate(kept))) for level, kept in state.kept.items()}

    def _places(self, level: Any) -> list[int]:
        """The buckets that hold the first row beyond each threshold."""
        below = np.cumsum(self.buckets[level])
        return [int(np.searchsorted(below, rank, side="right")) for rank in self.wanted(int(below[-1]))]

    def _of_class(self, level: Any, hashes: NDArray[np.uint64]) -> tuple[int, ...]:
        counts = self.buckets[level]
        below = np.cumsum(counts) - counts
        made = []
        for rank, place in zip(self.wanted(int(counts.sum())), self._places(level), strict=True):
            if place >= len(counts):
                made.append((1 << 64) - 1)  # all rows: no row has this hash, but for one in 2^64
                continue
            first = int(np.searchsorted(hashes, np.uint64(place << (64 - _BITS))))
            made.append(int(hashes[first + rank - int(below[place])]))
        return tuple(made)


def classes_of(batch: Batch, by: str | None) -> dict[Any, NDArray[Any]]:
    """Of each class the places of its rows in the batch."""
    if by is None:
        return {None: np.arange(batch.rows)}
    codes, levels = coded(batch[by])
    values = [*levels.to_pylist(), None]
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(-1, len(levels) + 1))
    return {
        _level(values[code]): order[starts[code + 1] : starts[code + 2]]
        for code in range(-1, len(levels))
        if starts[code + 2] > starts[code + 1]
    }


def _level(value: Any) -> Any:
    """Numbers as floats: a class is the same whether or not values are missing around it."""
    return float(value) if isinstance(value, bool | int) else value
