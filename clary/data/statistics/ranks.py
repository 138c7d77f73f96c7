"""What is known of a column's values by their place in order, and in which windows the rest is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Window = tuple[float, float]  # low <= value <= high

_DEVIATIONS = 3.5  # of a rank in the pilot sample, either way: missed once in two thousand, which costs a pass
ROBUST_Z = 3.5
_NORMAL = 0.6745  # the median deviation of a standard normal variable


class OutsideWindows(Exception):
    """A result is not known: a pass with these windows finds it."""

    def __init__(self, windows: Iterable[Window]) -> None:
        super().__init__("another pass")
        self.windows = tuple(windows)


def joined(windows: Iterable[Window], *, touching: bool = True) -> tuple[Window, ...]:
    """In order; those that overlap become one, so that no value is kept twice; with `touching`, those that touch too.

    Not so where values at the ends are only counted, as `windowed_unsorted` does.
    """
    made: list[Window] = []
    for low, high in sorted(windows):
        if made and (low < made[-1][1] or (touching and low == made[-1][1])):
            made[-1] = (made[-1][0], max(made[-1][1], high))
        else:
            made.append((low, high))
    return tuple(made)


def interpolated(at: Callable[[int], float], rank: float) -> float:
    """The value of a rank between two whole ones, linearly, as numpy has it: both of these come out exactly."""
    low, high = at(math.floor(rank)), at(math.ceil(rank))
    share = rank - math.floor(rank)
    if low == high:
        return low
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share


@dataclass(frozen=True)
class Ranks:
    """The values of a column by their place in order, as far as they are known. Each method may raise OutsideWindows.

    inside   of each window: its distinct values in order, and how many of its values are there up to and with each
    """

    count: int
    windows: tuple[Window, ...]
    before: NDArray[np.int64]
    inside: tuple[tuple[Floats, NDArray[np.int64]], ...]
    sketch: Floats
    batches: int
    slack: float = 6.0  # deviations of a rank in the sketch; each pass that missed widens it

    def at(self, rank: int) -> float:
        """The value with that many values before it."""
        for before, (values, through) in zip(self.before, self.inside, strict=True):
            if len(values) and before <= rank < before + through[-1]:
                return float(values[np.searchsorted(through, rank - before, "right")])
        raise OutsideWindows([self._bracket(self.sketch, rank)])

    def quantile(self, q: float) -> float:
        """By linear interpolation, as numpy.quantile; NaN where there is no value."""
        if not self.count:
            return math.nan
        return interpolated(self.at, q * (self.count - 1))

    def below(self, limit: float, *, through: bool = False) -> int:
        """How many values are less than the limit; with `through`, or equal to it."""
        least, most = self.bounds(limit, through=through)
        if least != most:
            raise OutsideWindows([(limit, limit)])
        return least

    def bounds(self, limit: float, *, through: bool) -> tuple[int, int]:
        """Between which numbers `below` lies."""
        side, least = ("right" if through else "left"), 0
        for (low, high), before, (values, counts) in zip(self.windows, self.before, self.inside, strict=True):
            if limit < low:
                return least, int(before)
            total = int(before) + (int(counts[-1]) if len(counts) else 0)
            if limit <= high:
                place = int(values.searchsorted(limit, side))  # type: ignore[call-overload]
                return (found := int(before) + (int(counts[place - 1]) if place else 0)), found
            least = max(least, total)
        return least, self.count

    def outside(self, low: float, high: float) -> int:
        """How many values are less than low or more than high."""
        return self.below(low) + self.count - self.below(high, through=True)

    def _bracket(self, sketch: Floats, rank: int) -> Window:
        """Between which values of the sketch the value of that rank lies, but for bad luck."""
        if not len(sketch):
            return -math.inf, math.inf
        each = self.count / len(sketch)
        # Each batch's part in the sketch is off by up to half a stride, either way alike.
        spread = self.slack * math.sqrt(self.batches / 12)
        first, last = math.floor(rank / each - spread - 1), math.ceil(rank / each + spread + 1)
        low = float(sketch[first]) if first >= 0 else -math.inf
        return low, float(sketch[last]) if last < len(sketch) else math.inf

    def with_more(self, more: Ranks) -> Ranks:
        """What both know of the same column; brackets become wider, for what was missed again."""
        seen = [*zip(self.windows, self.before, self.inside, strict=True)]
        seen += zip(more.windows, more.before, more.inside, strict=True)
        return replace(_ranks(self.count, seen, self), slack=self.slack * 8)

    def guesses(self) -> tuple[Window, ...]:
        """Windows for all that follows from the quartiles, by the sketch: so that one more pass is mostly enough."""
        return _windows(self.sketch, (), lambda values, q: self._bracket(values, round(q * (self.count - 1))))

    # ---- distances from a centre ----

    def median_deviation(self, centre: float) -> float:
        """The median of |value - centre|; NaN where there is no value."""
        if not self.count:
            return math.nan
        sides = self._sides(centre)
        last = self.count // 2
        high = self._distance(sides, last, centre)
        return high if self.count % 2 else (self._distance(sides, last - 1, centre) + high) / 2

    def robust_outliers(self, centre: float, deviation: float) -> int:
        """How many values have |0.6745 (value - centre) / deviation| over 3.5.

        Reference  Iglewicz & Hoaglin (1993), How to detect and handle outliers.
        """
        limit = ROBUST_Z * deviation / _NORMAL
        found = 0
        for side, sign in zip(self._sides(centre), (-1, 1), strict=True):
            least, most = side.bounds(limit, through=True)
            if least != most:
                raise OutsideWindows([widened(centre + sign * limit)])
            found += side.count - least
        return found

    def _sides(self, centre: float) -> tuple[Ranks, Ranks]:
        """The distances of the values below the centre, and of the others."""
        lower = self.below(centre)
        return self._lower(centre, lower), self._upper(centre, lower)

    def _upper(self, centre: float, lower: int) -> Ranks:
        made: list[_Seen] = []
        for (low, high), first, (values, through) in zip(self.windows, self.before, self.inside, strict=True):
            if high >= centre:
                start = int(values.searchsorted(centre))
                skipped = int(through[start - 1]) if start else 0
                window = (max(low - centre, 0.0), high - centre)
                made.append(
                    (window, max(int(first) + skipped - lower, 0), (values[start:] - centre, through[start:] - skipped))
                )
        return _ranks(self.count - lower, made, self)

    def _lower(self, centre: float, lower: int) -> Ranks:
        made: list[_Seen] = []
        for (low, high), first, (values, through) in zip(self.windows, self.before, self.inside, strict=True):
            if low < centre:
                end = int(values.searchsorted(centre))
                counts = np.diff(through[:end], prepend=0)[::-1]
                window = (max(centre - high, 0.0), centre - low)
                beyond = lower - int(first) - int(counts.sum())
                made.append((window, max(beyond, 0), (centre - values[:end][::-1], np.cumsum(counts))))
        return _ranks(lower, made, self)

    def _distance(self, sides: tuple[Ranks, Ranks], rank: int, centre: float) -> float:
        """The distance with that many distances before it."""
        known = np.sort(np.concatenate([values for side in sides for values, _ in side.inside] or [np.empty(0)]))
        place = _first(known, lambda limit: sum(side.bounds(limit, through=True)[0] for side in sides) > rank)
        if place < len(known):
            found = float(known[place])
            if sum(side.bounds(found, through=False)[1] for side in sides) <= rank:
                return found
        low, high = self._bracket(np.sort(np.abs(self.sketch - centre)), rank)
        low = max(low, 0.0)
        raise OutsideWindows([widened(centre - high, centre - low), widened(centre + low, centre + high)])


NO_RANKS = Ranks(0, (), np.empty(0, np.int64), (), np.empty(0), 0)

_Seen = tuple[Window, int, tuple[Floats, NDArray[np.int64]]]


def _ranks(count: int, seen: Iterable[_Seen], known: Ranks) -> Ranks:
    ordered = sorted(seen, key=lambda found: (found[0][0], -found[0][1]))
    windows, before, inside = zip(*ordered, strict=True) if ordered else ((), (), ())
    return replace(known, count=count, windows=windows, before=np.array(before, np.int64), inside=inside)


def widened(low: float, high: float | None = None) -> Window:
    """A window with room for what rounding does to a sum."""
    high = low if high is None else high
    room = 8 * np.finfo(float).eps * max(abs(low), abs(high)) if math.isfinite(low) and math.isfinite(high) else 0.0
    return low - room, high + room


def _first(values: Floats, true: object) -> int:
    """The place of the first value for which it is true, len(values) where there is none: by bisection."""
    assert callable(true)
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if true(float(values[middle])):
            high = middle
        else:
            low = middle + 1
    return low


def first_windows(values: Floats, quantiles: Sequence[float], complete: bool) -> tuple[Window, ...]:
    """The windows for these quantiles, for the outliers by quartiles and for the robust ones, from a pilot sample.

    values    some of the column, in order, none missing; complete: all of it
    """
    return ((-math.inf, math.inf),) if complete else _windows(values, quantiles, window_of)


def _windows(
    values: Floats, quantiles: Sequence[float], window: Callable[[Floats, float], Window]
) -> tuple[Window, ...]:
    finite = values[np.isfinite(values)]
    if len(finite) < 64:
        return ()
    with np.errstate(over="ignore", invalid="ignore"):
        windows = [window(finite, q) for q in quantiles]
        (a1, b1), (am, bm), (a3, b3) = (window(finite, q) for q in (0.25, 0.5, 0.75))
        windows += [(2.5 * a1 - 1.5 * b3, 2.5 * b1 - 1.5 * a3), (2.5 * a3 - 1.5 * b1, 2.5 * b3 - 1.5 * a1)]
        low, high = window(np.sort(np.abs(finite - (am + bm) / 2)), 0.5)
        low, high = max(low - (bm - am) / 2, 0.0), high + (bm - am) / 2
        for times in (1.0, ROBUST_Z / _NORMAL):
            windows += [(am - times * high, bm - times * low), (am + times * low, bm + times * high)]
    return joined(widened(low, high) for low, high in windows if low <= high)


def window_of(values: Floats, q: float, deviations: float = _DEVIATIONS) -> Window:
    """Between which of these values, in order, the quantile of the table lies, nearly for sure.

    deviations  of its rank among them, either way; infinite ends where that is beyond all of them
    """
    n = len(values)
    spread = deviations * math.sqrt(n * q * (1 - q)) + deviations
    first, last = math.floor(q * (n - 1) - spread), math.ceil(q * (n - 1) + spread)
    low = float(values[first]) if n and first >= 0 else -math.inf
    return low, float(values[last]) if n and last < n else math.inf
