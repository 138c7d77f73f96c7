"""Exact quantiles of a column larger than memory.

A sample gives the window in which each quantile lies, nearly for sure. The pass counts the values below it and at its
ends, and keeps those inside (windows.py). Where the sample was unlucky the windows are made wider and the pass made
again. Few values are kept: one that is very frequent is itself an end of its window, and is counted only.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, numbers
from clary.data.statistics.base import AnotherPass, ColumnStatistic, Sample
from clary.data.statistics.ranks import OutsideWindows, Window, interpolated, joined, window_of
from clary.data.statistics.windows import WindowedBatch, WindowedValues, windowed_unsorted

_DEVIATIONS = 5.0  # of a rank in the sample, either way: missed once in two million


@dataclass(frozen=True)
class Quantiles(ColumnStatistic[Any, NDArray[np.float64]]):
    """Quantiles q (each in [0, 1]) by linear interpolation, as numpy.nanquantile; all NaN where there is no value.

    centre  if given, they are those of |value - centre|
    """

    q: tuple[float, ...]
    centre: float | None = None
    sample: NDArray[np.float64] | None = field(default=None, compare=False)  # sorted
    complete: bool = field(default=False, compare=False)
    windows: tuple[Window, ...] = field(default=(), compare=False)
    deviations: float = field(default=_DEVIATIONS, compare=False)

    needs_sample: ClassVar[bool] = True

    @property
    def known_from_sample(self) -> bool:
        return self.complete

    def prepared(self, sample: Sample) -> Quantiles:
        values = np.sort(self._present(sample.batch)) if sample.batch.rows else np.empty(0)
        return replace(self, sample=values, complete=sample.complete)._windowed(self.deviations)

    def _windowed(self, deviations: float) -> Quantiles:
        assert self.sample is not None
        windows = [window_of(self.sample, q, deviations) for q in self.q]
        return replace(self, windows=joined(windows, touching=False), deviations=deviations)

    def _present(self, batch: Batch) -> NDArray[np.float64]:
        values = numbers(batch[self.column])
        with np.errstate(invalid="ignore", over="ignore"):  # an infinite value is at no distance from an infinite one
            if self.centre is not None:
                values = np.abs(values - self.centre)
            return values[~np.isnan(values)] if np.isnan(values.sum()) else values

    def initial(self) -> WindowedValues:
        return WindowedValues(self.windows, sys.maxsize)

    def compute(self, batch: Batch) -> WindowedBatch:
        return windowed_unsorted(self._present(batch), self.windows)

    def result(self, state: WindowedValues | None) -> NDArray[np.float64]:
        if self.complete:
            assert self.sample is not None
            return quantiles_of_sorted(self.sample, self.q)
        if state is None:
            return np.full(len(self.q), np.nan)
        ranks = state.ranks()
        try:
            return np.array([ranks.quantile(q) for q in self.q])
        except OutsideWindows:
            raise AnotherPass(self._windowed(self.deviations * 8)) from None


def quantiles_of_sorted(values: NDArray[np.float64], q: tuple[float, ...]) -> NDArray[np.float64]:
    """As numpy.quantile, of values in order; all NaN where there is none."""
    if not len(values):
        return np.full(len(q), np.nan)
    return np.array([interpolated(lambda rank: float(values[rank]), share * (len(values) - 1)) for share in q])
