"""Which columns are missing together: each row's missing values as a pattern, and how often each pattern is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clary.data.batch import Batch
from clary.data.statistics.base import ColumnsStatistic
from clary.data.statistics.column_values import ColumnValues, Mask
from clary.data.statistics.hashes import Hashes, murmur_mix, runs_of_equal

PatternCounts = dict[int, tuple[int, tuple[int, ...]]]  # key -> (rows, columns)
Masks = Mapping[int, Mask]  # column's place -> where it is missing


class Patterns:
    """Counts patterns by a key that is a sum of one number per column; the columns of a key are found once.

    `count` is called from several threads, `add` in order from one.
    """

    def __init__(self, width: int, most: int) -> None:
        # Up to 64 columns a bit each; of more, numbers whose sums tell sets apart but once in 2^64.
        self._numbers = np.uint64(1) << np.arange(width, dtype=np.uint64)
        if width > 64:
            self._numbers = murmur_mix(np.arange(1, width + 1, dtype=np.uint64))
        self._most = most
        self.counts: dict[int, int] = {}
        self.columns: dict[int, tuple[int, ...]] = {0: ()}
        self.others = 0  # rows of patterns that came when there were too many

    def count(self, rows: int, masks: Masks) -> PatternCounts:
        """Of a batch: key -> (rows, columns)."""
        if not masks:
            return {0: (rows, ())}
        if len(masks) <= 8:
            return self._count_few(rows, masks)
        keys = np.zeros(rows, np.uint64)
        for place, mask in masks.items():
            np.add(keys, self._numbers[place], out=keys, where=mask)
        ordered = np.sort(keys)
        starts, counts = runs_of_equal(ordered)
        found = zip(map(int, ordered[starts]), map(int, counts), strict=True)
        return {key: (count, self._columns_of(key, keys, masks)) for key, count in found}

    def _count_few(self, rows: int, masks: Masks) -> PatternCounts:
        """The same, by one byte a row: a bit for each column that lacks any."""
        bits = np.zeros(rows, np.uint8)
        for bit, mask in enumerate(masks.values()):
            bits |= mask.view(np.uint8) << np.uint8(bit)
        counts = np.bincount(bits)
        found = {}
        for byte in map(int, np.flatnonzero(counts)):
            columns = tuple(place for bit, place in enumerate(masks) if byte >> bit & 1)
            key = int(self._numbers[list(columns)].sum(dtype=np.uint64))
            found[key] = (int(counts[byte]), columns)
        return found

    def _columns_of(self, key: int, keys: Hashes, masks: Masks) -> tuple[int, ...]:
        if (known := self.columns.get(key)) is not None:
            return known
        row = int(np.flatnonzero(keys == np.uint64(key))[0])
        return tuple(place for place, mask in masks.items() if mask[row])

    def add(self, more: PatternCounts) -> None:
        for key, (rows, columns) in more.items():
            if key not in self.counts and len(self.counts) >= self._most:
                self.others += rows
                continue
            self.counts[key] = self.counts.get(key, 0) + rows
            self.columns[key] = columns


@dataclass(frozen=True, eq=False)
class MissingPatterns(ColumnsStatistic[Any, Patterns]):
    """Of these columns of one table."""

    values: ColumnValues
    patterns: Patterns

    def initial(self) -> Patterns:
        return self.patterns

    def compute(self, batch: Batch) -> PatternCounts:
        masks = [(place, self.values.of(batch, name).missing) for place, name in enumerate(self.names)]
        return self.patterns.count(batch.rows, {place: mask for place, mask in masks if mask is not None})

    def result(self, state: Patterns | None) -> Patterns:
        return self.patterns
