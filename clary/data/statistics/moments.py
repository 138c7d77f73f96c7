"""Count, mean, variance and extremes of a column, in one pass."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, numbers
from clary.data.statistics.base import ColumnStatistic

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moment:
    """Of the values that are there; times are seconds since 1970.

    m2        sum of squared deviations from the mean
    low, high the extremes; NaN where there is no value
    infinite  how many are +inf or -inf: they count as values, and as extremes, not in mean and m2
    """

    count: int = 0
    missing: int = 0
    mean: float = math.nan
    m2: float = 0.0
    low: float = math.nan
    high: float = math.nan
    zeros: int = 0
    infinite: int = 0

    @property
    def rows(self) -> int:
        return self.count + self.missing

    def variance(self, ddof: int = 0) -> float:
        """NaN where there are no more than ddof values."""
        finite = self.count - self.infinite
        return self.m2 / (finite - ddof) if finite > ddof else math.nan


@dataclass(frozen=True)
class Moments(ColumnStatistic[Moment, Moment]):
    """Of a number, boolean or time column.

    Reference  Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance, American Statistician 37(3).
    """

    def compute(self, batch: Batch) -> Moment:
        with np.errstate(over="ignore", invalid="ignore"):  # of infinities, and of sums of huge values
            return self._of(numbers(batch[self.column]))

    def _of(self, values: Floats) -> Moment:
        rows, total = len(values), float(values.sum())
        present = finite = values
        if not math.isfinite(total):  # else nothing is missing, nothing infinite: the common case, and quick
            present = finite = values[~np.isnan(values)]
            if np.isinf(present).any():
                finite = present[np.isfinite(present)]
            total = float(finite.sum())
        if not len(present):
            return Moment(missing=rows)
        mean, m2 = _mean_m2(finite, total) if len(finite) else (math.nan, 0.0)
        zeros = len(finite) - int(np.count_nonzero(finite))
        low, high = float(present.min()), float(present.max())
        return Moment(len(present), rows - len(present), mean, m2, low, high, zeros, len(present) - len(finite))

    def merge(self, first: Moment, second: Moment) -> Moment:
        if not second.count or not first.count:
            return replace(first if first.count else second, missing=first.missing + second.missing)
        mean, m2 = _merged(first, second)
        return Moment(
            first.count + second.count,
            first.missing + second.missing,
            mean,
            m2,
            min(first.low, second.low),
            max(first.high, second.high),
            first.zeros + second.zeros,
            first.infinite + second.infinite,
        )

    def result(self, state: Moment | None) -> Moment:
        return state or Moment()


def _mean_m2(values: Floats, total: float) -> tuple[float, float]:
    mean = total / len(values)
    deviations = values - mean
    # The second term takes back what rounding did to the mean: exact sums would make it zero.
    rest = float(deviations.sum())
    squares = float(np.einsum("i,i->", deviations, deviations))
    return mean, squares - rest * rest / len(values)


def _merged(first: Moment, second: Moment) -> tuple[float, float]:
    a, b = first.count - first.infinite, second.count - second.infinite
    if not a or not b:
        return (first.mean, first.m2) if a else (second.mean, second.m2)
    delta = second.mean - first.mean
    mean = first.mean + delta * (b / (a + b))
    return mean, first.m2 + second.m2 + delta * delta * (a * b / (a + b))
