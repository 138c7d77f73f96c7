"""Counts, extremes, order and distinct values of a column of numbers, booleans or times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Kind
from clary.data.statistics.base import ColumnStatistic
from clary.data.statistics.column_values import ColumnValues, NumberValues
from clary.data.statistics.hashes import Hashes, hashes_of_numbers, runs_of_equal
from clary.data.statistics.order_summaries import OrderSummary, order_summary
from clary.data.statistics.ranks import Floats, Window
from clary.data.statistics.value_counts import ValueCounts
from clary.data.statistics.windows import WindowedBatch, WindowedValues, windowed

_NONE = (math.inf, -math.inf)  # the extremes of no values
_NO_HASHES = np.empty(0, np.uint64)


@dataclass(frozen=True)
class NumberBatch:
    """Of one batch.

    infinite   how many are -inf, +inf
    extremes   least and greatest; finite: the same of the finite ones
    rising     whether a value is never less, always more than the one before it
    ends       the first value and the last
    levels     distinct values as ValueCounts takes them; None where they are too many: `hashes` counts then
    total      of times, exactly
    """

    rows: int
    count: int = 0
    zeros: int = 0
    negatives: int = 0
    infinite: tuple[int, int] = (0, 0)
    extremes: tuple[float, float] = _NONE
    finite: tuple[float, float] = _NONE
    whole: bool = True
    rising: tuple[bool, bool] = (True, True)
    ends: tuple[float, float] = _NONE
    levels: tuple[Hashes, NDArray[np.int64], NDArray[Any]] | None = None
    hashes: Hashes = field(default_factory=lambda: _NO_HASHES)
    windowed: WindowedBatch = field(default_factory=lambda: windowed(np.empty(0), ()))
    total: int = 0


class NumberSummary:
    """Of the batches that were added, in their order.

    kind       the column's
    rows, count    all, and those with a value
    low, high      the extremes; finite_low, finite_high: of the finite values
    whole          whether all values are integers
    rising, strict whether a value is never less, always more than the one before it
    counts         of distinct values
    order          what follows from the values' order; not before the pass is over
    """

    def __init__(self, kind: Kind, counts: ValueCounts, windows: Sequence[Window], most_kept: int) -> None:
        self.kind = kind
        self.counts = counts
        self.rows = self.count = self.zeros = self.negatives = self.total = 0
        self.infinite = (0, 0)
        self.low, self.high = _NONE
        self.finite_low, self.finite_high = _NONE
        self.whole = self.rising = self.strict = True
        self.order: OrderSummary
        self._last = -math.inf
        self.windowed = WindowedValues(tuple(windows), most_kept)

    def add(self, more: NumberBatch) -> None:
        self.rows += more.rows
        self.count += more.count
        self.windowed.add(more.windowed)
        if not more.count:
            return
        self.total += more.total
        self.zeros += more.zeros
        self.negatives += more.negatives
        self.infinite = (self.infinite[0] + more.infinite[0], self.infinite[1] + more.infinite[1])
        self.low, self.high = min(self.low, more.extremes[0]), max(self.high, more.extremes[1])
        self.finite_low = min(self.finite_low, more.finite[0])
        self.finite_high = max(self.finite_high, more.finite[1])
        self.whole = self.whole and more.whole
        self.rising = self.rising and more.rising[0] and more.ends[0] >= self._last
        self.strict = self.strict and more.rising[1] and more.ends[0] > self._last
        self._last = more.ends[1]
        if more.levels is not None:
            self.counts.add(*more.levels)
        else:
            self.counts.add_hashes(more.hashes)


@dataclass(frozen=True, eq=False)
class NumberSummaries(ColumnStatistic[Any, NumberSummary]):
    """Of one column of one table: `counts` is both what has been counted and what tells threads what need not be.

    quantiles  which the order's summary has
    windows    where they are likely to be; most_kept: values in them, beyond which another pass is made
    """

    kind: Kind
    values: ColumnValues
    counts: ValueCounts
    quantiles: tuple[float, ...]
    windows: tuple[Window, ...]
    most_kept: int

    def initial(self) -> NumberSummary:
        return NumberSummary(self.kind, self.counts, self.windows, self.most_kept)

    def compute(self, batch: Batch) -> NumberBatch:
        values = self.values.numbers(batch, self.column)
        ordered = _in_order(values, self.kind)
        if not len(ordered):
            return NumberBatch(batch.rows, windowed=windowed(np.empty(0), self.windows))
        floats = ordered.astype(np.float64, copy=False)
        zero, last = floats.searchsorted([0.0, math.inf], "left")
        first, above = floats.searchsorted([-math.inf, 0.0], "right")
        present = values.floats if values.missing is None else values.floats[~values.missing]
        levels = None if self.counts.overflowed else _levels(ordered, self.kind, self.counts.most)
        return NumberBatch(
            rows=batch.rows,
            count=len(ordered),
            zeros=int(above - zero),
            negatives=int(zero),
            infinite=(int(first), len(ordered) - int(last)),
            extremes=(float(floats[0]), float(floats[-1])),
            finite=(float(floats[first]), float(floats[last - 1])) if first < last else _NONE,
            whole=ordered.dtype.kind in "iu" or _whole(floats),
            rising=_rising(present),
            ends=(float(present[0]), float(present[-1])),
            levels=levels,
            hashes=self.counts.useful(values.hashes) if levels is None else _NO_HASHES,
            windowed=windowed(floats, self.windows),
            total=_total(ordered) if self.kind is Kind.TIME else 0,
        )

    def result(self, state: NumberSummary | None) -> NumberSummary:
        assert state is not None
        state.order = OrderSummary(self.quantiles, state.windowed.ranks())
        return order_summary(state, self.column, self.values)


def _in_order(values: NumberValues, kind: Kind) -> NDArray[Any]:
    """Those that are there, sorted, in their own type."""
    missing = 0 if values.missing is None else int(np.count_nonzero(values.missing))
    ordered = np.sort(values.native)  # NaN at the end, a missing time at the start
    return ordered[missing:] if kind is Kind.TIME else ordered[: len(ordered) - missing]


def _total(whole: NDArray[np.int64]) -> int:
    """In two halves: microseconds since 1970 of a batch add up to more than 64 bits hold."""
    return (int((whole >> 20).sum()) << 20) + int((whole & 0xFFFFF).sum())


def _rising(values: Floats) -> tuple[bool, bool]:
    few = values[:64]
    never_less = bool((few[1:] >= few[:-1]).all()) and bool((values[1:] >= values[:-1]).all())
    return never_less, never_less and bool((values[1:] > values[:-1]).all())


def _whole(values: Floats) -> bool:
    few = values[:64]  # mostly they are enough
    return bool((np.floor(few) == few).all()) and bool((np.floor(values) == values).all())


def _levels(ordered: NDArray[Any], kind: Kind, most: int) -> tuple[Hashes, NDArray[np.int64], NDArray[Any]] | None:
    """None where one batch alone has too many."""
    starts, counts = runs_of_equal(ordered)
    if len(starts) > most:
        return None
    values = ordered[starts]
    if kind is Kind.TIME:
        values = values.view("datetime64[us]")
    return hashes_of_numbers(values), counts, values
