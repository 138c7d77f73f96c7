"""How often each value of a column is there, while there are not too many different ones; then, how many there are.

Values are distinguished by their hashes (hashes.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clary.data.arrow import to_arrow
from clary.data.statistics.hashes import MISSING, Hashes, runs_of_equal
from clary.data.statistics.hashes import distinct as distinct_hashes

_HASHES = float(1 << 64)


class Distinct:
    """Counts different hashes: exactly up to a limit, then by the smallest ones, with an error of 1 / sqrt(limit).

    Reference  Bar-Yossef, Jayram, Kumar, Sivakumar & Trevisan (2002), Counting distinct elements in a data stream.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: Hashes = np.empty(0, np.uint64)
        self._pending: list[Hashes] = []
        self._waiting = 0
        self.threshold = np.uint64(0xFFFF_FFFF_FFFF_FFFF)  # hashes above it are of no use
        self.exact = True

    def add(self, hashes: Hashes) -> None:
        self._pending.append(hashes)
        self._waiting += len(hashes)
        if self._waiting > max(4_096, len(self._kept)):
            self._compact()

    def _compact(self) -> None:
        kept = distinct_hashes(np.concatenate([self._kept, *self._pending]))
        self._pending, self._waiting = [], 0
        if len(kept) > self._limit:
            kept, self.exact = kept[: self._limit].copy(), False
        if not self.exact:
            self.threshold = kept[-1]
        self._kept = kept

    def count(self) -> int:
        self._compact()
        if self.exact:
            return len(self._kept)
        return round((len(self._kept) - 1) / ((int(self.threshold) + 1) / _HASHES))


class ValueCounts:
    """The different values and how often each is there; past `most` of them only how many there are.

    Values are numpy or Arrow arrays.
    """

    def __init__(self, most: int, limit: int) -> None:
        self.most = most
        self._limit = limit
        self._keys: Hashes = np.empty(0, np.uint64)
        self._counts: NDArray[np.int64] = np.empty(0, np.int64)
        self._values: Any = None
        self._order: NDArray[np.int64] = np.empty(0, np.int64)  # which came first
        self._pending: list[tuple[Hashes, NDArray[np.int64], Any]] = []
        self._waiting = 0
        self._seen = 0
        self.distinct: Distinct | None = None  # set once there are too many

    @property
    def overflowed(self) -> bool:
        return self.distinct is not None

    def expect(self, hashes: Hashes) -> None:
        """Of some of the values to come, missing ones included: where there are too many, they are not kept at all."""
        found = self.useful(hashes)
        if len(found) > self.most:
            self.add_hashes(found)

    def useful(self, hashes: Hashes) -> Hashes:
        """Those, each once, that counting different values needs; missing ones are none. From any thread."""
        if (distinct := self.distinct) is not None:
            hashes = hashes[hashes <= distinct.threshold]
        return distinct_hashes(hashes[hashes != MISSING])

    def add(self, keys: Hashes, counts: NDArray[np.int64], values: Any) -> None:
        """Different values, in the order in which they were met, with their hashes."""
        if self.distinct is None and len(keys) > self.most:
            self.overflow()
        if self.distinct is not None:
            self.distinct.add(keys)
            return
        if not len(keys):
            return
        self._pending.append((keys, counts, values))
        self._waiting += len(keys)
        if self._waiting > max(4 * len(keys), len(self._keys)) or self._waiting + len(self._keys) > 4 * self.most:
            self._compact()

    def add_hashes(self, hashes: Hashes) -> None:
        """Of values that are too many to be kept."""
        if self.distinct is None:
            self.overflow()
        assert self.distinct is not None
        self.distinct.add(hashes)

    def _compact(self) -> None:
        if not self._pending:
            return
        pending_keys, pending_counts, pending_values = zip(*self._pending, strict=True)
        keys = np.concatenate([self._keys, *pending_keys])
        counts = np.concatenate([self._counts, *pending_counts])
        order = np.concatenate([self._order, np.arange(self._seen, self._seen + self._waiting)])
        values = [*([] if self._values is None else [self._values]), *pending_values]
        self._seen += self._waiting
        self._pending, self._waiting = [], 0
        places = np.argsort(keys, kind="stable")  # of equal keys the first to come stands first
        keys = keys[places]
        starts, _ = runs_of_equal(keys)
        self._keys, first = keys[starts], places[starts]
        if len(starts) > self.most:
            self.overflow()
            return
        self._counts = np.add.reduceat(counts[places], starts)
        self._order = order[first]
        if isinstance(values[0], np.ndarray):
            self._values = np.concatenate(values)[first]
        else:
            self._values = pa.concat_arrays(values).take(to_arrow(first))

    def overflow(self) -> None:
        """From now on count only how many different values there are."""
        self.distinct = Distinct(self._limit)
        for keys in (self._keys, *(pending[0] for pending in self._pending)):
            self.distinct.add(keys)
        self._keys, self._values = np.empty(0, np.uint64), None
        self._pending, self._waiting = [], 0

    def count(self) -> tuple[int, bool]:
        """(how many different values there are, whether that is exact)."""
        self._compact()
        if self.distinct is not None:
            found = self.distinct.count()
            return found, self.distinct.exact
        return len(self._keys), True

    def levels(self) -> tuple[Any, NDArray[np.int64]] | None:
        """(values, counts), the most frequent first, of equal ones that which came first; None where too many."""
        self._compact()
        if self.distinct is not None:
            return None
        places = np.lexsort((self._order, -self._counts))
        if self._values is None:
            return np.empty(0), self._counts
        taken = self._values[places] if isinstance(self._values, np.ndarray) else self._values.take(to_arrow(places))
        return taken, self._counts[places]
