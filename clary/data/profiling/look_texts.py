"""What a pass sees of a column of text, or of anything that is no number: mostly codes of a dictionary."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.arrow import dictionary_codes, missing_mask, to_arrow, to_numpy
from clary.data.batch import Kind
from clary.data.profiling.limits import Limits
from clary.data.statistics.hashes import MISSING, Hashes, hashes_of
from clary.data.statistics.tally import Tally

_SHORT = 1 << 16  # characters; lengths up to it are counted in a table
_TABLES = 8  # dictionaries remembered of a column: each core works on one


@dataclass(frozen=True)
class Table:
    """The levels of a dictionary, looked at once for the many batches that share it."""

    levels: pa.Array
    hashes: Hashes  # one more than levels: MISSING, which the code -1 finds
    lengths: NDArray[np.int64]  # in characters


def table_of(levels: pa.Array) -> Table:
    hashes = hashes_of(levels) if len(levels) else np.empty(0, np.uint64)
    return Table(levels, np.append(hashes, MISSING), _lengths(levels))


def _lengths(array: pa.Array) -> NDArray[np.int64]:
    if not pa.types.is_string(array.type):
        return np.zeros(len(array), np.int64)
    lengths: NDArray[np.int64] = _whole(pc.utf8_length(array))
    return lengths


def _whole(array: pa.Array) -> NDArray[np.int64]:
    """Without missing values: 0 stands there."""
    if not array.null_count:
        return to_numpy(array).astype(np.int64)
    data = np.frombuffer(array.buffers()[1], array.type.to_pandas_dtype())[array.offset : array.offset + len(array)]
    return np.where(missing_mask(array), 0, data).astype(np.int64)


def _counted(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(the different lengths, how many texts there are of each)."""
    if int(lengths.max(initial=0)) > _SHORT:
        return np.unique(lengths, return_counts=True)
    counts = np.bincount(lengths)
    there = np.flatnonzero(counts)
    return there, counts[there]


@dataclass(frozen=True)
class Texts:
    """A batch of a column: codes of a table, or the values themselves where a dictionary would not help."""

    rows: int
    missing: NDArray[np.bool_] | None
    hashes: Hashes
    table: Table | None
    codes: NDArray[np.int32] | None
    array: pa.Array


@dataclass
class Lengths:
    """Of texts, in characters."""

    count: int = 0
    total: float = 0.0
    shortest: float = math.inf
    longest: float = -math.inf
    empty: int = 0

    def add(self, lengths: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        """counts: how many texts there are of each length, all more than none."""
        if len(lengths):
            self.count += int(counts.sum())
            self.total += float(lengths @ counts)
            self.shortest = min(self.shortest, int(lengths.min()))
            self.longest = max(self.longest, int(lengths.max()))
            self.empty += int(counts[lengths == 0].sum())


@dataclass(frozen=True)
class TextPart:
    """Of one batch: counts by the codes of a table, or hashes, and counts by lengths."""

    rows: int
    missing: int
    table: Table | None
    counts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    hashes: Hashes


class TextLook:
    """Of a column, all a pass has seen so far. `of` and `part` are called from several threads, `merge` from one."""

    def __init__(self, kind: Kind, limits: Limits) -> None:
        self.kind = kind
        self.rows = self.missing = 0
        self.tally = Tally(limits.text_levels, limits.distinct)
        self.lengths = Lengths()
        self._tables: tuple[Table, ...] = ()
        self._open: tuple[Table, NDArray[np.int64]] | None = None
        if kind is Kind.OTHER:
            self.tally.lose()

    def of(self, array: pa.Array) -> Texts:
        missing = missing_mask(array) if array.null_count else None
        known = pa.types.is_dictionary(array.type)
        if known and (self.kind is Kind.OTHER or array.dictionary.null_count):
            array, known = array.dictionary_decode(), False
        if not known and (self.tally.lost or self.kind is Kind.OTHER):
            return Texts(len(array), missing, hashes_of(array), None, None, array)
        coded = array if known else pc.dictionary_encode(array)
        table = self._table(coded.dictionary) if known else table_of(coded.dictionary)
        codes = dictionary_codes(coded)
        return Texts(len(array), missing, table.hashes.take(codes), table, codes, array)

    def _table(self, levels: pa.Array) -> Table:
        """Readers make the same dictionary anew for every batch: comparing it is far quicker than looking at it."""
        for table in self._tables:
            if len(table.levels) == len(levels) and table.levels.equals(levels):
                return table
        table = table_of(levels)
        self._tables = (table, *self._tables[: _TABLES - 1])  # replaced as a whole: other threads may be reading it
        return table

    def part(self, texts: Texts) -> TextPart:
        gone = 0 if texts.missing is None else int(np.count_nonzero(texts.missing))
        if texts.table is not None and texts.codes is not None:
            size = len(texts.table.levels)
            counts = np.bincount(texts.codes + 1 if gone else texts.codes, minlength=size + bool(gone))
            nothing = np.empty(0, np.int64)
            return TextPart(texts.rows, gone, texts.table, counts[bool(gone) :], nothing, nothing.view(np.uint64))
        lengths, counts = _counted(_lengths(texts.array.drop_null() if gone else texts.array))
        return TextPart(texts.rows, gone, None, counts, lengths, self.tally.useful(texts.hashes))

    def merge(self, more: TextPart) -> None:
        self.rows += more.rows
        self.missing += more.missing
        if more.table is None:
            self.lengths.add(more.lengths, more.counts)
            self.tally.add_hashes(more.hashes)
        elif self._open is not None and self._open[0] is more.table:
            np.add(self._open[1], more.counts, out=self._open[1])
        else:
            self.fold()
            self._open = (more.table, more.counts.copy())

    def fold(self) -> None:
        """Take the counts by the codes of the table at hand into the tally: the next batch has another table."""
        if self._open is None:
            return
        (table, counts), self._open = self._open, None
        present = np.flatnonzero(counts)
        counts = counts[present]
        self.lengths.add(table.lengths[present], counts)
        values: Any = None if self.tally.lost else table.levels.take(to_arrow(present))
        self.tally.add(table.hashes[present], counts, values)
