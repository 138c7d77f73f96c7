"""What a pass sees of a column of numbers, booleans or times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Kind
from clary.data.profiling.limits import Limits
from clary.data.statistics.hashes import Hashes, hashes_of_numbers
from clary.data.statistics.ordered import Cut, Ordered, cut
from clary.data.statistics.ranks import Floats, Window
from clary.data.statistics.tally import Tally

_NAT = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Values:
    """A batch of a column, in the forms that figures need.

    floats   as float64; times as microseconds since 1970; NaN where missing
    missing  None where nothing is
    """

    native: NDArray[Any]
    floats: Floats
    missing: NDArray[np.bool_] | None
    hashes: Hashes


def values_of(column: NDArray[Any], kind: Kind) -> Values:
    if column.dtype.kind == "M":
        whole = column.astype("datetime64[us]", copy=False).view(np.int64)
        missing = whole == _NAT
        floats = whole.astype(np.float64)
        gone = missing if missing.any() else None
        if gone is not None:
            floats[missing] = np.nan
        return Values(whole, floats, gone, hashes_of_numbers(column, gone))
    floats = column.astype(np.float64, copy=False)
    if kind is Kind.BOOLEAN:
        column = floats
    nans = np.isnan(floats) if column.dtype.kind == "f" else None
    gone = nans if nans is not None and nans.any() else None
    return Values(column, floats, gone, hashes_of_numbers(column, gone))


@dataclass(frozen=True)
class NumberPart:
    """Of one batch."""

    rows: int
    count: int
    zeros: int
    negatives: int
    infinite: tuple[int, int]  # -inf, +inf
    extremes: tuple[float, float]
    finite: tuple[float, float]
    whole: bool
    rising: tuple[bool, bool]  # never less, always more than the value before
    ends: tuple[float, float]
    levels: tuple[Hashes, NDArray[np.int64], NDArray[Any]] | None
    hashes: Hashes
    cut: Cut
    total: int = 0  # of times, exactly


class NumberLook:
    """Of a column, all passes have seen so far. `part` is called from several threads, `merge` in order from one."""

    def __init__(self, kind: Kind, limits: Limits, windows: Sequence[Window], most_kept: int) -> None:
        self.kind = kind
        self.windows = tuple(windows)
        self.rows = self.count = self.zeros = self.negatives = 0
        self.infinite = (0, 0)
        self.low, self.high = math.inf, -math.inf
        self.finite_low, self.finite_high = math.inf, -math.inf
        self.whole = self.rising = self.strict = True
        self.last = -math.inf
        self.total = 0
        self._most_levels = limits.number_levels
        self.tally = Tally(limits.number_levels, limits.distinct)
        self.ordered = Ordered(self.windows, most_kept)

    def part(self, values: Values) -> NumberPart:
        floats = values.floats
        ordered = np.sort(values.native)  # NaN, and then nothing, at the end; NaT at the start
        gone = 0 if values.missing is None else int(np.count_nonzero(values.missing))
        rows, count = len(ordered), len(ordered) - gone
        ordered = ordered[gone:] if self.kind is Kind.TIME else ordered[:count]
        if not count:
            nothing = cut(np.empty(0), self.windows)
            empty = np.empty(0, np.uint64)
            nan = (math.inf, -math.inf)
            return NumberPart(rows, 0, 0, 0, (0, 0), nan, nan, True, (True, True), nan, None, empty, nothing)
        sorted_floats = ordered.astype(np.float64, copy=False)
        zero, last = sorted_floats.searchsorted([0.0, math.inf], "left")
        first, above = sorted_floats.searchsorted([-math.inf, 0.0], "right")
        present = floats if values.missing is None else floats[~values.missing]
        levels = None if self.tally.lost else _levels(ordered, self.kind, self._most_levels)
        finite = (
            (float(sorted_floats[first]), float(sorted_floats[last - 1])) if first < last else (math.inf, -math.inf)
        )
        return NumberPart(
            rows=rows,
            count=count,
            zeros=int(above - zero),
            negatives=int(zero),
            infinite=(int(first), count - int(last)),
            extremes=(float(sorted_floats[0]), float(sorted_floats[-1])),
            finite=finite,
            whole=ordered.dtype.kind in "iu" or _whole(sorted_floats),
            rising=_rising(present),
            ends=(float(present[0]), float(present[-1])),
            levels=levels,
            hashes=self.tally.useful(values.hashes) if levels is None else np.empty(0, np.uint64),
            cut=cut(sorted_floats, self.windows),
            total=_total(ordered) if self.kind is Kind.TIME else 0,
        )

    def merge(self, more: NumberPart) -> None:
        self.rows += more.rows
        self.count += more.count
        if more.count:
            self.total += more.total
            self.zeros += more.zeros
            self.negatives += more.negatives
            self.infinite = (self.infinite[0] + more.infinite[0], self.infinite[1] + more.infinite[1])
            self.low, self.high = min(self.low, more.extremes[0]), max(self.high, more.extremes[1])
            self.finite_low, self.finite_high = (
                min(self.finite_low, more.finite[0]),
                max(self.finite_high, more.finite[1]),
            )
            self.whole = self.whole and more.whole
            self.rising = self.rising and more.rising[0] and more.ends[0] >= self.last
            self.strict = self.strict and more.rising[1] and more.ends[0] > self.last
            self.last = more.ends[1]
            if more.levels is not None:
                self.tally.add(*more.levels)
            else:
                self.tally.add_hashes(more.hashes)
        self.ordered.merge(more.cut)


def _total(whole: NDArray[np.int64]) -> int:
    """In two halves: microseconds since 1970 of a batch add up to more than 64 bits hold."""
    return (int((whole >> 20).sum()) << 20) + int((whole & 0xFFFFF).sum())


def _rising(values: Floats) -> tuple[bool, bool]:
    few = values[:64]
    never_less = bool((few[1:] >= few[:-1]).all()) and bool((values[1:] >= values[:-1]).all())
    return never_less, never_less and bool((values[1:] > values[:-1]).all())


def _whole(values: Floats) -> bool:
    few = values[:64]  # mostly they tell at once
    return bool((np.floor(few) == few).all()) and bool((np.floor(values) == values).all())


def _levels(ordered: NDArray[Any], kind: Kind, most: int) -> tuple[Hashes, NDArray[np.int64], NDArray[Any]] | None:
    """None where one batch alone has too many."""
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    if len(starts) > most:
        return None
    counts = np.diff(np.append(starts, len(ordered)))
    values = ordered[starts]
    if kind is Kind.TIME:
        values = values.view("datetime64[us]")
    return hashes_of_numbers(values), counts, values
