"""Rows that are the same as others, found by 128 bits of each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clary.data.batch import Batch, Block, Column, Kind, coded, kind_of, missing
from clary.data.statistics.base import Statistic
from clary.data.statistics.hashes import hashes_of, splitmix64

# Two keys for pandas' SipHash: two hashes of a text that do not know of each other.
_KEYS = ("clary.data.first", "clary.data.other")


@dataclass
class RowHashes:
    """Of some rows, in the table's order.

    first, second  (rows,) 64 bits each
    rows           their numbers in the table
    """

    first: list[NDArray[np.uint64]]
    second: list[NDArray[np.uint64]]
    rows: list[NDArray[np.int64]]


@dataclass(frozen=True)
class Repeats(Statistic[RowHashes, NDArray[np.int64]]):
    """The numbers of the rows, in order, that are the same in these columns as another and are not the one to keep.

    keep  "first", "last", or "none": no row that has another like it is kept
    Equal as pandas takes it: missing values equal each other, 0.0 equals -0.0. Two different rows are taken for the
    same once in 10^24 tables of ten million rows. Needs 24 bytes of memory a row.
    """

    names: tuple[str, ...]
    keep: str = "first"

    @property
    def columns(self) -> tuple[str, ...]:
        return self.names

    def compute(self, batch: Batch) -> RowHashes:
        first, second = np.zeros(batch.rows, np.uint64), np.zeros(batch.rows, np.uint64)
        for name in self.names:
            for one, two in _hashes(batch[name]):
                first = splitmix64(first ^ one, 1)
                second = splitmix64(second ^ two, 2)
        return RowHashes([first], [second], [batch.row_numbers])

    def merge(self, first: RowHashes, second: RowHashes) -> RowHashes:
        first.first += second.first
        first.second += second.second
        first.rows += second.rows
        return first

    def result(self, state: RowHashes | None) -> NDArray[np.int64]:
        if state is None:
            return np.empty(0, np.int64)
        one, two, rows = (np.concatenate(parts) for parts in (state.first, state.second, state.rows))
        order = np.lexsort((two, one))  # stable: equal rows stay in the table's order
        one, two, rows = one[order], two[order], rows[order]
        # A row that was copied on purpose (`balance`) has its own number again: copies are not repeats.
        same = (one[1:] == one[:-1]) & (two[1:] == two[:-1]) & (rows[1:] != rows[:-1])
        if self.keep == "first":
            return np.unique(rows[1:][same])
        if self.keep == "last":
            return np.unique(rows[:-1][same])
        return np.unique(np.concatenate([rows[1:][same], rows[:-1][same]]))


def _hashes(column: Column) -> list[tuple[NDArray[np.uint64], NDArray[np.uint64]]]:
    """Two hashes of each value; of a block, of each column."""
    if isinstance(column, Block):
        return [found for values in column.dense().T for found in _hashes(np.ascontiguousarray(values))]
    kind = kind_of(column)
    if kind not in (Kind.TEXT, Kind.OTHER):
        return [_of_numbers(column)]
    if kind is Kind.OTHER:  # lists, bytes: as they print
        column = pa.array([None if value is None else repr(value) for value in column.to_pylist()], pa.string())
    codes, levels = coded(column)
    one, two = (np.append(found, np.uint64(0)) for found in _of_texts(levels))
    return [(one[codes], two[codes])]


def _of_numbers(values: NDArray[Any]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Of numbers and times 64 bits are all there is; a large whole number is more than its nearest float64."""
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8:
        bits = hashes_of(values, missing(values))
        return bits, bits
    nearest = values.astype(np.float64)
    bits = hashes_of(nearest)
    with np.errstate(invalid="ignore"):  # the nearest to the largest one is no integer of 64 bits
        rest = values - nearest.astype(values.dtype)
    if not rest.any():
        return bits, bits
    return bits ^ np.where(rest == 0, 0, splitmix64(rest, 3)), bits ^ np.where(rest == 0, 0, splitmix64(rest, 4))


def _of_texts(levels: pa.Array) -> list[NDArray[np.uint64]]:
    from pandas.util import hash_array

    values: Any = levels.to_numpy(zero_copy_only=False)
    return [hash_array(values, hash_key=key, categorize=False) for key in _KEYS]
