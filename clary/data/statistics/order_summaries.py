"""Quantiles, outliers and the median deviation of a column: all that follows from its values in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np

from clary.data.batch import Batch
from clary.data.statistics.base import AnotherPass, ColumnStatistic
from clary.data.statistics.column_values import ColumnValues
from clary.data.statistics.ranks import NO_RANKS, OutsideWindows, Ranks, Window, joined
from clary.data.statistics.windows import WindowedBatch, WindowedValues, windowed

FENCE = 1.5  # interquartile ranges


@dataclass
class OrderSummary:
    """What is not known yet is not in `known`: each quantile wanted, "outliers", "deviation", "robust"."""

    wanted: tuple[float, ...]
    ranks: Ranks
    known: dict[Any, float] = field(default_factory=dict)

    def complete(self) -> list[Window]:
        """Find what can be found. Returns the windows that another pass must keep: none where all is known."""
        missed: list[Window] = []
        for q in self.wanted:
            self._find(q, partial(self.ranks.quantile, q), missed)
        if missed:
            missed.extend(self.ranks.guesses())
        q1, q3, median = (self.known.get(q, math.nan) for q in (0.25, 0.75, 0.5))
        reach = FENCE * (q3 - q1)
        if math.isfinite(reach):
            self._find("outliers", lambda: self.ranks.outside(q1 - reach, q3 + reach), missed)
        if math.isfinite(median):
            self._find("deviation", lambda: self.ranks.median_deviation(median), missed)
            deviation = self.known.get("deviation", 0.0)
            if deviation > 0 and math.isfinite(deviation):
                self._find("robust", lambda: self.ranks.robust_outliers(median, deviation), missed)
        return missed

    def _find(self, name: Any, find: Callable[[], float], missed: list[Window]) -> None:
        if name not in self.known:
            try:
                self.known[name] = find()
            except OutsideWindows as outside:
                missed.extend(outside.windows)

    @property
    def quantiles(self) -> Mapping[float, float]:
        return {q: self.known[q] for q in self.wanted}


class Summary(Protocol):
    order: OrderSummary
    rows: int


S = TypeVar("S", bound=Summary)


def order_summary(summary: S, column: str, values: ColumnValues) -> S:
    """The summary, once its order is known. Raises AnotherPass for what is not."""
    if missed := summary.order.complete():
        raise AnotherPass(MissedRanks(column, values, joined(missed), summary))
    summary.order.ranks = NO_RANKS  # the values are let go before the next column's are sorted
    return summary


@dataclass(frozen=True, eq=False)
class MissedRanks(ColumnStatistic[Any, Any]):
    """What another pass finds in these windows is added to what is known of the summary's order."""

    values: ColumnValues
    windows: tuple[Window, ...]
    summary: Any

    def initial(self) -> WindowedValues:
        return WindowedValues(self.windows, self.summary.rows + 1)

    def compute(self, batch: Batch) -> WindowedBatch:
        floats = np.sort(self.values.numbers(batch, self.column).floats)
        return windowed(floats[: len(floats) - int(np.isnan(floats).sum())], self.windows)

    def result(self, state: WindowedValues | None) -> Any:
        assert state is not None
        self.summary.order.ranks = self.summary.order.ranks.with_more(state.ranks())
        return order_summary(self.summary, self.column, self.values)
