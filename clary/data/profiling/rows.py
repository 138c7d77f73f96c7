"""Rows that are there more than once: by a hash of each."""

from __future__ import annotations

import numpy as np

from clary.data.statistics.hashes import Hashes

_HASHES = 1 << 64


class RowHashes:
    """Keeps the hash of every row, or, of a table of too many, of a share of the different rows."""

    def __init__(self, rows: int, most: int) -> None:
        self.share = min(1.0, most / max(rows, 1))
        self.exact = rows <= most
        self._limit = np.uint64(int(self.share * _HASHES) if not self.exact else _HASHES - 1)
        self._room = rows if self.exact else round(most * 1.01) + 1_000
        self._kept = np.empty(self._room, np.uint64)
        self._filled = 0
        self._left_out = 0  # there is room for as many different rows as were expected: these are copies

    def take(self, hashes: Hashes, first_row: int) -> Hashes:
        """What `add` needs of a batch. Where all are kept they are put in their place at once, by any thread."""
        if self.exact:
            self._kept[first_row : first_row + len(hashes)] = hashes
            return hashes[:0]
        return hashes[hashes < self._limit]

    def add(self, hashes: Hashes) -> None:
        fits = min(len(hashes), self._room - self._filled)
        self._kept[self._filled : self._filled + fits] = hashes[:fits]
        self._filled += fits
        self._left_out += len(hashes) - fits

    def duplicates(self) -> int:
        """How many rows equal one before them. Sorts in place, so that no second copy is needed."""
        kept = self._kept if self.exact else self._kept[: self._filled]
        kept.sort()
        # Every row of a hash is kept or none is, so the share of duplicates is the table's.
        found = int(np.count_nonzero(kept[1:] == kept[:-1]))
        return found if self.exact else round((found + self._left_out) / self.share)
