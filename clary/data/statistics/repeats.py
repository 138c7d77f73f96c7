"""Rows that are the same as others, found by 128 bits of each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Block, Column, missing
from clary.data.statistics.base import ColumnsStatistic
from clary.data.statistics.hashes import Hashes, hashes_of, row_hashes, splitmix64


@dataclass
class KnownRows:
    """Of some rows, in the table's order.

    first, second  (rows,) 64 bits each
    rows           their numbers in the table
    """

    first: list[Hashes]
    second: list[Hashes]
    rows: list[NDArray[np.int64]]


@dataclass(frozen=True)
class Repeats(ColumnsStatistic[KnownRows, NDArray[np.int64]]):
    """The numbers of the rows, in order, that are the same in these columns as another and are not the one to keep.

    keep  "first", "last", or "none": no row that has another like it is kept
    Equal as pandas takes it: missing values equal each other, 0.0 equals -0.0. Two different rows are taken for the
    same once in 10^24 tables of ten million rows. Needs 24 bytes of memory a row.
    """

    keep: str = "first"

    def compute(self, batch: Batch) -> KnownRows:
        first, second = (
            row_hashes((hashes for name in self.names for hashes in _hashes(batch[name], seed)), batch.rows, seed)
            for seed in (0, 1)
        )
        return KnownRows([first], [second], [batch.row_numbers])

    def merge(self, first: KnownRows, second: KnownRows) -> KnownRows:
        first.first += second.first
        first.second += second.second
        first.rows += second.rows
        return first

    def result(self, state: KnownRows | None) -> NDArray[np.int64]:
        if state is None:
            return np.empty(0, np.int64)
        first, second, rows = (np.concatenate(parts) for parts in (state.first, state.second, state.rows))
        order = np.lexsort((second, first))  # stable: equal rows stay in the table's order
        first, second, rows = first[order], second[order], rows[order]
        # A row that was copied on purpose (`balance`) has its own number again: copies are not repeats.
        same = (first[1:] == first[:-1]) & (second[1:] == second[:-1]) & (rows[1:] != rows[:-1])
        if self.keep == "first":
            return np.unique(rows[1:][same])
        if self.keep == "last":
            return np.unique(rows[:-1][same])
        return np.unique(np.concatenate([rows[1:][same], rows[:-1][same]]))


def _hashes(column: Column, seed: int) -> list[Hashes]:
    """A hash of each value; of a block, of each value of each column."""
    if isinstance(column, Block):
        return [_of_numbers(np.ascontiguousarray(values), seed) for values in column.dense().T]
    return [_of_numbers(column, seed) if isinstance(column, np.ndarray) else hashes_of(column, seed=seed)]


def _of_numbers(values: NDArray[Any], seed: int) -> Hashes:
    """Of numbers and times 64 bits are all there is; a large whole number is more than its nearest float64."""
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8:
        return hashes_of(values, missing(values))
    nearest = values.astype(np.float64)
    with np.errstate(invalid="ignore"):  # the nearest to the largest one is no integer of 64 bits
        rest = values - nearest.astype(values.dtype)
    return hashes_of(nearest) ^ np.where(rest == 0, 0, splitmix64(rest, 3 + seed))
