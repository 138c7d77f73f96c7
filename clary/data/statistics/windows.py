"""Exact ranks of a column larger than memory: quantiles, counts beyond a limit, the median deviation.

A sample gives the windows in which the results lie, nearly for sure. A pass over sorted batches counts the values
outside the windows and keeps those inside, so that every rank that falls into a window is known exactly. Of the rest it
keeps a sketch, each STRIDE-th value: where the sample was wrong, `OutsideWindows` holds the windows in which the next
pass will find it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from clary.data.statistics.hashes import runs_of_equal
from clary.data.statistics.ranks import Floats, Ranks, Window

STRIDE = 512
_COMPACT = 65_536  # values kept before ties are searched for
_TOGETHER = 8  # batches that are taken in at once
_TIES = 1_024  # so many of one value are kept as a number


class Growing:
    """Values added bit by bit, in one piece of memory; what `values` gave is of no use once more are added.

    Many small arrays that stay, made among large ones that go, would leave a process full of holes.
    """

    def __init__(self) -> None:
        self._room: Floats = np.empty(0)
        self._filled = 0

    def add(self, values: Floats) -> None:
        needed = self._filled + len(values)
        if needed > len(self._room):
            # In place where the system can: two copies at once would be the most memory there is.
            self._room.resize(max(needed, 1_024, len(self._room) * 5 // 4), refcheck=False)
        self._room[self._filled : needed] = values
        self._filled = needed

    @property
    def values(self) -> Floats:
        return self._room[: self._filled]

    def __len__(self) -> int:
        return self._filled


@dataclass
class Kept:
    """Of one window: the values inside, those with many ties as a number each."""

    held: Growing = field(default_factory=Growing)
    ties: dict[float, int] = field(default_factory=dict)
    compacted: int = 0  # values that were held after ties were last searched for

    def add(self, values: Floats) -> int:
        """Returns how many more values are held now."""
        before = len(self.held)
        self.held.add(values)
        if len(self.held) > max(_COMPACT, 2 * self.compacted):
            self._compact()
        return len(self.held) - before

    def _compact(self) -> None:
        values = self.held.values
        values.sort()
        starts, counts = runs_of_equal(values)
        many = counts >= _TIES
        if many.any():
            for value, count in zip(values[starts[many]], counts[many], strict=True):
                self.ties[float(value)] = self.ties.get(float(value), 0) + int(count)
            rest = values[~np.repeat(many, counts)]
            self.held = Growing()
            self.held.add(rest)
        self.compacted = len(self.held)

    def sorted(self) -> tuple[Floats, NDArray[np.int64]]:
        """(distinct values in order, how many values are there up to and with each)."""
        ordered = self.held.values
        ordered.sort()
        last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)[: len(ordered)])
        values, through = ordered[last], last + 1
        if not self.ties:
            return values, through
        tied = np.array(sorted(self.ties), np.float64)
        counts = np.cumsum([0, *(self.ties[float(value)] for value in tied)])
        every = np.union1d(values, tied)
        before = np.append(0, through)[values.searchsorted(every, "right")]
        return every, before + counts[tied.searchsorted(every, "right")]


@dataclass
class WindowedValues:
    """What a pass has seen so far: of each window, how many values are below it, and which are in it.

    overflowed   whether the windows held too much to be kept: the sketch is left
    """

    windows: tuple[Window, ...]
    most: int
    count: int = 0
    before: NDArray[np.int64] = field(init=False)
    inside: list[Kept] = field(init=False)
    sketch: Growing = field(default_factory=Growing)
    batches: int = 0
    overflowed: bool = False
    _held: int = 0
    _waiting: list[WindowedBatch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.before = np.zeros(len(self.windows), np.int64)
        self.inside = [Kept() for _ in self.windows]

    def add(self, more: WindowedBatch) -> None:
        self.count += more.count
        self.batches += 1
        self._waiting.append(more)
        if len(self._waiting) >= _TOGETHER:
            self._take_in()

    def _take_in(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        self.sketch.add(np.concatenate([batch.sketch for batch in waiting]))
        if self.overflowed or not len(self.windows):
            return
        self.before += np.sum([batch.before for batch in waiting], axis=0)
        for place, kept in enumerate(self.inside):
            self._held += kept.add(np.concatenate([batch.inside[place] for batch in waiting]))
        for place, value, count in (tie for batch in waiting for tie in batch.ties):
            ties = self.inside[place].ties
            ties[value] = ties.get(value, 0) + count
        if self._held > self.most:
            self.overflowed = True
            self.inside = []

    def ranks(self) -> Ranks:
        """What is known now. The values themselves are let go: no more can be merged."""
        self._take_in()
        sketch = np.sort(self.sketch.values)
        if self.overflowed:
            return Ranks(self.count, (), np.empty(0, np.int64), (), sketch, self.batches)
        inside = []
        for place, kept in enumerate(self.inside):
            self.inside[place] = Kept()
            inside.append(kept.sorted())
        return Ranks(self.count, self.windows, self.before, tuple(inside), sketch, self.batches)


@dataclass(frozen=True)
class WindowedBatch:
    """Of one sorted batch: the counts below each window, the values in it, and a sketch.

    ties  windows in which all values are equal, and many: place, value, count; `inside` has none of them
    """

    count: int
    before: NDArray[np.int64]
    inside: tuple[Floats, ...]
    sketch: Floats
    ties: tuple[tuple[int, float, int], ...] = ()


def windowed(values: Floats, windows: Sequence[Window]) -> WindowedBatch:
    """Of values in order, none missing."""
    lows = values.searchsorted([low for low, _ in windows], "left")
    highs = values.searchsorted([high for _, high in windows], "right")
    inside, ties = [], []
    for place, (low, high) in enumerate(zip(lows, highs, strict=True)):
        if high - low >= _TIES and values[low] == values[high - 1]:
            ties.append((place, float(values[low]), int(high - low)))
            inside.append(values[:0])
        else:
            inside.append(values[low:high].copy())
    stride = min(STRIDE, max(1, len(values) // 8))
    sketch = values[stride // 2 :: stride].copy()
    return WindowedBatch(len(values), lows.astype(np.int64), tuple(inside), sketch, tuple(ties))


def windowed_unsorted(values: Floats, windows: Sequence[Window]) -> WindowedBatch:
    """Of values in any order, none missing: quicker than sorting where windows are few. There is no sketch.

    Values at a window's ends are counted only.
    """
    before = np.zeros(len(windows), np.int64)
    inside, ties = [], []
    for place, (low, high) in enumerate(windows):
        above_low = values > low
        not_below = int(np.count_nonzero(values >= low))
        before[place] = len(values) - not_below
        ties.append((place, low, not_below - int(np.count_nonzero(above_low))))
        if high > low:
            ties.append((place, high, int(np.count_nonzero(values == high))))
        inside.append(values[above_low & (values < high)])
    return WindowedBatch(len(values), before, tuple(inside), values[:0], tuple(tie for tie in ties if tie[2]))
