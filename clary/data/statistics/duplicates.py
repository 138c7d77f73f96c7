"""Rows that are there more than once: how many, by a hash of 64 bits of each. Which ones, is in repeats.py."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from clary.data.batch import Batch
from clary.data.errors import DataError
from clary.data.statistics.base import ColumnsStatistic
from clary.data.statistics.column_values import ColumnValues
from clary.data.statistics.hashes import Hashes, distinct, row_hashes

_HASHES = 1 << 64
_HELD = 1 << 22  # hashes in memory at once; those of more rows lie in a file
_READ = 1 << 17  # hashes


@dataclass(frozen=True)
class DuplicateRows:
    """count: rows that equal one before them; share: of the different rows that were compared; exact: all were."""

    count: int
    share: float
    exact: bool


@dataclass(frozen=True, eq=False)
class Duplicates(ColumnsStatistic[Any, DuplicateRows]):
    """Of one table with these columns."""

    values: ColumnValues
    hashes: HashStore

    def initial(self) -> HashStore:
        return self.hashes

    def compute(self, batch: Batch) -> Hashes:
        columns = (self.values.of(batch, name).hashes for name in self.names)
        return self.hashes.take(row_hashes(columns, batch.rows), batch.first_row)

    def result(self, state: HashStore | None) -> DuplicateRows:
        store = self.hashes
        count = store.duplicates() if self.names else max(0, store.rows - 1)
        return DuplicateRows(count, store.share, store.exact)


class HashStore:
    """Keeps the hash of every row, or, of a table of too many, of a share of the different rows.

    Those of a large table lie in a file without a name: eight bytes a row would be a large part of the memory that a
    profile takes. Raises DataError where there is no room for it.
    """

    def __init__(self, rows: int, most: int) -> None:
        self.rows = rows
        self.share = min(1.0, most / max(rows, 1))
        self.exact = rows <= most
        self._limit = np.uint64(int(self.share * _HASHES) if not self.exact else _HASHES - 1)
        self._room = rows if self.exact else round(most * 1.01) + 1_000
        self._filled = rows if self.exact else 0
        self._left_out = 0  # there is room for as many different rows as were expected: these are copies
        self._on_disk = self._room > _HELD
        self._held: Hashes = np.zeros(0 if self._on_disk else self._room, np.uint64)
        if self._on_disk:
            try:
                self._file = tempfile.TemporaryFile(prefix="clary-rows-")  # noqa: SIM115 - closed with this object
            except OSError as error:
                raise _no_room(error) from None

    def take(self, hashes: Hashes, first_row: int) -> Hashes:
        """What `add` needs of a batch. Where all are kept they are put in their place at once, by any thread."""
        if self.exact:
            self._put(hashes, first_row)
            return hashes[:0]
        return hashes[hashes < self._limit]

    def add(self, hashes: Hashes) -> None:
        fits = min(len(hashes), self._room - self._filled)
        if fits and not self.exact:
            self._put(hashes[:fits], self._filled)
            self._filled += fits
        self._left_out += len(hashes) - fits

    def _put(self, hashes: Hashes, place: int) -> None:
        if not self._on_disk:
            self._held[place : place + len(hashes)] = hashes
            return
        left, at = np.ascontiguousarray(hashes).view(np.uint8).data, place * 8
        try:
            while left:
                done = os.pwrite(self._file.fileno(), left, at)
                left, at = left[done:], at + done
        except OSError as error:
            raise _no_room(error) from None

    def duplicates(self) -> int:
        """How many rows equal one before them."""
        if not self._filled:
            return 0
        # Of as many ranges of the hashes as it takes to hold one of them in memory.
        bits = max(0, (self._filled - 1) // _HELD).bit_length()
        found = self._filled - sum(self._distinct(place, bits) for place in range(1 << bits))
        # Every row of a hash is kept or none is, so the share of duplicates is the table's.
        return found if self.exact else round((found + self._left_out) / self.share)

    def _distinct(self, place: int, bits: int) -> int:
        """How many different hashes begin with these bits."""
        room: Hashes = np.empty(min(self._filled, (self._filled >> bits) * 21 // 20 + 1_000), np.uint64)
        filled = 0
        for hashes in self._read():
            mine = hashes[hashes >> np.uint64(64 - bits) == np.uint64(place)] if bits else hashes
            if filled + len(mine) > len(room):  # many copies of a row: they are all in one range
                mine = distinct(np.concatenate([room[:filled], mine]))
                room, filled = np.empty(max(len(room), 2 * len(mine)), np.uint64), 0
            room[filled : filled + len(mine)] = mine
            filled += len(mine)
        room = room[:filled]
        room.sort()
        return filled - int(np.count_nonzero(room[1:] == room[:-1]))

    def _read(self) -> Iterator[Hashes]:
        for start in range(0, self._filled, _READ):
            count = min(_READ, self._filled - start)
            if not self._on_disk:
                yield self._held[start : start + count]
                continue
            yield np.frombuffer(os.pread(self._file.fileno(), count * 8, start * 8), np.uint64)


def _no_room(error: OSError) -> DataError:
    return DataError(
        f"the hashes of the rows, eight bytes each, cannot be put into {tempfile.gettempdir()}: {error.strerror}; "
        "name another folder in TMPDIR"
    )
