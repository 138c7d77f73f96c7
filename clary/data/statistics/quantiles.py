"""Exact quantiles of a column larger than memory.

A sample tells between which values each quantile lies, nearly for sure. The pass counts the values below that range and
at its ends, and keeps those inside, so that the values of the ranks wanted are known exactly. Where the sample was
unlucky the range is made wider and the pass made again. Few values are kept: one that is very frequent is itself an end
of its range, and is counted only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, numbers
from clary.data.statistics.base import AnotherPass, Sample, Statistic

_DEVIATIONS = 5.0  # of a rank in the sample, either way: missed once in two million


@dataclass(frozen=True)
class Range:
    """Where one quantile lies: low <= value <= high."""

    low: float
    high: float


@dataclass
class Found:
    """What a pass has seen so far.

    tallies  (ranges, 3): values below each range, at its low end, and at its high end (0 where that is the low one too)
    inside   of each range the values strictly between its ends
    """

    count: int
    tallies: NDArray[np.int64]
    inside: list[list[NDArray[np.float64]]]


@dataclass(frozen=True)
class Quantiles(Statistic[Found, NDArray[np.float64]]):
    """Quantiles q (each in [0, 1]) by linear interpolation, as numpy.nanquantile; all NaN where there is no value."""

    column: str
    q: tuple[float, ...]
    sample: NDArray[np.float64] | None = field(default=None, compare=False)  # sorted
    complete: bool = field(default=False, compare=False)
    ranges: tuple[Range, ...] = field(default=(), compare=False)
    deviations: float = field(default=_DEVIATIONS, compare=False)

    needs_sample: ClassVar[bool] = True

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def known_from_sample(self) -> bool:
        return self.complete

    def prepared(self, sample: Sample) -> Quantiles:
        values = numbers(sample.batch[self.column]) if sample.batch.rows else np.empty(0)
        values = np.sort(values[~np.isnan(values)])
        ranges = tuple(self._range(values, q) for q in self.q)
        return replace(self, sample=values, complete=sample.complete, ranges=_joined(ranges))

    def _range(self, values: NDArray[np.float64], q: float) -> Range:
        """Between which values of the sample the quantile lies, but for bad luck."""
        n = len(values)
        spread = self.deviations * math.sqrt(n * q * (1 - q)) + self.deviations
        first, last = math.floor(q * (n - 1) - spread), math.ceil(q * (n - 1) + spread)
        low = float(values[first]) if n and first >= 0 else -math.inf
        return Range(low, float(values[last]) if n and last < n else math.inf)

    def compute(self, batch: Batch) -> Found:
        values = numbers(batch[self.column])
        values = values[~np.isnan(values)] if np.isnan(values.sum()) else values
        tallies = np.zeros((len(self.ranges), 3), np.int64)
        inside = []
        for place, one in enumerate(self.ranges):
            above_low = values > one.low
            not_below = np.count_nonzero(values >= one.low)
            tallies[place, 0] = len(values) - not_below
            tallies[place, 1] = not_below - np.count_nonzero(above_low)
            if one.high > one.low:
                tallies[place, 2] = np.count_nonzero(values == one.high)
            inside.append([values[above_low & (values < one.high)]])
        return Found(len(values), tallies, inside)

    def merge(self, first: Found, second: Found) -> Found:
        first.count += second.count
        first.tallies += second.tallies
        for mine, more in zip(first.inside, second.inside, strict=True):
            mine.extend(more)
        return first

    def result(self, state: Found | None) -> NDArray[np.float64]:
        if self.complete:
            assert self.sample is not None
            return quantiles_of_sorted(self.sample, self.q)
        if state is None or not state.count:
            return np.full(len(self.q), np.nan)
        found = [np.sort(np.concatenate(kept)) for kept in state.inside]
        return np.array([self._one(place, q, state, found) for place, q in enumerate(self.q)])

    def _one(self, place: int, q: float, state: Found, found: list[NDArray[np.float64]]) -> float:
        rank = q * (state.count - 1)
        low = self._ranked(place, math.floor(rank), state, found)
        return _between(low, self._ranked(place, math.ceil(rank), state, found), rank - math.floor(rank))

    def _ranked(self, place: int, rank: int, state: Found, found: list[NDArray[np.float64]]) -> float:
        """The value with that many values before it. Raises AnotherPass where the range missed it."""
        here = self._place_of_range(place)
        one, values = self.ranges[here], found[here]
        below, at_low, at_high = (int(tally) for tally in state.tallies[here])
        inner = rank - below
        if 0 <= inner < at_low:
            return one.low
        if 0 <= inner - at_low < len(values):
            return float(values[inner - at_low])
        if 0 <= inner - at_low - len(values) < at_high:
            return one.high
        raise AnotherPass(self._wider())

    def _place_of_range(self, place: int) -> int:
        assert self.sample is not None
        wanted = self._range(self.sample, self.q[place])
        return next(here for here, one in enumerate(self.ranges) if one.low <= wanted.low and wanted.high <= one.high)

    def _wider(self) -> Quantiles:
        assert self.sample is not None
        wider = replace(self, deviations=self.deviations * 8)
        return replace(wider, ranges=_joined(tuple(wider._range(self.sample, q) for q in self.q)))


def _joined(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """Ranges that overlap become one: no value is kept twice. Those that only touch do not: an end is only counted."""
    made: list[Range] = []
    for one in sorted(ranges, key=lambda one: (one.low, one.high)):
        if made and one.low < made[-1].high:
            made[-1] = Range(made[-1].low, max(made[-1].high, one.high))
        else:
            made.append(one)
    return tuple(made)


def quantiles_of_sorted(values: NDArray[np.float64], q: tuple[float, ...]) -> NDArray[np.float64]:
    """As numpy.quantile, of values in order; all NaN where there is none."""
    if not len(values):
        return np.full(len(q), np.nan)
    ranks = [one * (len(values) - 1) for one in q]
    return np.array(
        [_between(float(values[math.floor(r)]), float(values[math.ceil(r)]), r - math.floor(r)) for r in ranks]
    )


def _between(low: float, high: float, share: float) -> float:
    """numpy's interpolation: from whichever end is nearer, so that both ends come out exactly."""
    if low == high:
        return low
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share
