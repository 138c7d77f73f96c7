"""Count, mean, variance and extremes of every column of a block, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Block
from clary.data.errors import StepError
from clary.data.statistics.base import ColumnStatistic

Row = NDArray[np.float64]


@dataclass(frozen=True)
class BlockMoment:
    """Of the values that are there, one figure for each of the block's columns; all (k,).

    count  of values; missing  of rows without one
    mean, m2   sum of squared deviations from the mean; of the finite values
    low, high  the extremes; +inf and -inf where there is no value
    infinite   how many values are +inf or -inf
    """

    count: Row
    missing: Row
    mean: Row
    m2: Row
    low: Row
    high: Row
    infinite: Row

    def variance(self) -> Row:
        """With ddof=0; NaN where there is no value."""
        finite = self.count - self.infinite
        return np.where(finite > 0, self.m2 / np.maximum(finite, 1.0), np.nan)


@dataclass(frozen=True)
class BlockMoments(ColumnStatistic[BlockMoment, BlockMoment | None]):
    """Of one block; the result is None for a table without rows."""

    def compute(self, batch: Batch) -> BlockMoment:
        block = batch[self.column]
        if not isinstance(block, Block):
            raise StepError("it is no block", column=self.column)
        if isinstance(block.matrix, np.ndarray):
            return _dense(block.matrix.astype(np.float64, copy=False))
        return _sparse(block.matrix)

    def merge(self, first: BlockMoment, second: BlockMoment) -> BlockMoment:
        a, b = first.count - first.infinite, second.count - second.infinite
        some = np.maximum(a + b, 1.0)
        delta = second.mean - first.mean
        return BlockMoment(
            first.count + second.count,
            first.missing + second.missing,
            np.where(a > 0, first.mean + delta * (b / some), second.mean),
            first.m2 + second.m2 + delta * delta * (a * b / some),
            np.minimum(first.low, second.low),
            np.maximum(first.high, second.high),
            first.infinite + second.infinite,
        )

    def result(self, state: BlockMoment | None) -> BlockMoment | None:
        return state


def _dense(matrix: NDArray[np.float64]) -> BlockMoment:
    missing, infinite = np.isnan(matrix), np.isinf(matrix)
    finite = ~(missing | infinite)
    some = np.maximum(finite.sum(axis=0), 1.0)
    mean = np.where(finite, matrix, 0.0).sum(axis=0) / some
    deviations = np.where(finite, matrix - mean, 0.0) if not finite.all() else matrix - mean
    absent = missing.sum(axis=0).astype(np.float64)
    return BlockMoment(
        len(matrix) - absent,
        absent,
        mean,
        (deviations * deviations).sum(axis=0),
        np.where(missing, np.inf, matrix).min(axis=0, initial=np.inf),
        np.where(missing, -np.inf, matrix).max(axis=0, initial=-np.inf),
        infinite.sum(axis=0).astype(np.float64),
    )


def _sparse(matrix: Any) -> BlockMoment:
    """From the entries that are there; all others are zeros."""
    rows, width = matrix.shape
    entries = matrix.tocoo()
    entries.sum_duplicates()
    places, values = entries.col, entries.data.astype(np.float64)

    def counted(which: NDArray[np.bool_]) -> Row:
        return np.bincount(places[which], minlength=width).astype(np.float64)

    missing, infinite = np.isnan(values), np.isinf(values)
    finite = ~(missing | infinite)
    absent, infinities, stored = counted(missing), counted(infinite), counted(finite)
    columns = places[finite]
    some = np.maximum(rows - absent - infinities, 1.0)
    mean = np.bincount(columns, values[finite], minlength=width) / some
    deviations = values[finite] - mean[columns]
    zeros = rows - absent - infinities - stored
    m2 = np.bincount(columns, deviations * deviations, minlength=width) + zeros * mean * mean
    low, high = np.where(zeros > 0, 0.0, np.inf), np.where(zeros > 0, 0.0, -np.inf)
    np.minimum.at(low, places[~missing], values[~missing])
    np.maximum.at(high, places[~missing], values[~missing])
    return BlockMoment(rows - absent, absent, mean, m2, low, high, infinities)
