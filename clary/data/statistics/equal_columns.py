"""Columns that hold the same in every row, by a sum of each column's hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clary.data.batch import Batch, Field, Kind
from clary.data.statistics.base import ColumnsStatistic
from clary.data.statistics.column_values import ColumnValues
from clary.data.statistics.hashes import Hashes, murmur_mix


@dataclass(frozen=True, eq=False)
class Fingerprints(ColumnsStatistic[Hashes, dict[str, int]]):
    """A number for each of these columns of one table: the same for columns that hold the same in every row."""

    values: ColumnValues

    def compute(self, batch: Batch) -> Hashes:
        if not self.names:
            return np.empty(0, np.uint64)
        weights = murmur_mix(batch.row_numbers.astype(np.uint64)) | np.uint64(1)
        sums = [(self.values.of(batch, name).hashes * weights).sum() for name in self.names]
        return np.array(sums, np.uint64)

    def merge(self, first: Hashes, second: Hashes) -> Hashes:
        return first + second

    def result(self, state: Hashes | None) -> dict[str, int]:
        sums = np.zeros(len(self.names), np.uint64) if state is None else state
        return dict(zip(self.names, map(int, sums), strict=True))


def digest(hashes: Hashes) -> str:
    """Of some rows of a column: the same for columns that hold the same there."""
    return hashlib.blake2b(hashes.data).hexdigest()


def candidates(digests: Mapping[str, str], fields: Sequence[Field]) -> tuple[str, ...]:
    """Columns that may be equal to another: those with the same digest as another, and those without a digest.

    digests  of those columns of the table of which rows were read
    """
    groups: dict[str, list[str]] = {}
    for name, found in digests.items():
        groups.setdefault(found, []).append(name)
    wanted = {name for group in groups.values() if len(group) > 1 for name in group}
    if len(digests) < len(fields):  # of other kinds than those that were read, but bytes may be the same as texts
        wanted |= {field.name for field in fields if field.name not in digests or field.kind is Kind.TEXT}
    return tuple(field.name for field in fields if field.name in wanted)
