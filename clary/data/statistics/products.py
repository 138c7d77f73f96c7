"""Means and sums of products of many columns at once: what covariance, correlation and principal components need."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch
from clary.data.statistics.base import ColumnsStatistic
from clary.data.statistics.pieces import pieces


@dataclass(frozen=True)
class Product:
    """Over the rows in which no value is missing or infinite.

    count  such rows; left_out  the others
    mean   (k,)
    cross  (k, k), sums over rows of products of deviations from the means
    """

    count: int
    left_out: int
    mean: NDArray[np.float64]
    cross: NDArray[np.float64]

    def covariance(self, ddof: int = 1) -> NDArray[np.float64]:
        """(k, k). Raises ZeroDivisionError where there are no more than ddof rows."""
        return self.cross / (self.count - ddof)


@dataclass(frozen=True)
class Products(ColumnsStatistic[Product, Product]):
    """Of number, boolean, time and block columns; k counts a block's columns one by one."""

    def compute(self, batch: Batch) -> Product:
        return functools.reduce(self.merge, map(self._of, pieces(batch, self.names)))

    def _of(self, batch: Batch) -> Product:
        matrix: Any = batch.matrix()
        if not isinstance(matrix, np.ndarray):
            matrix = matrix.toarray()
        whole = np.isfinite(matrix).all(axis=1)
        left_out = int(len(matrix) - whole.sum())
        if left_out:
            matrix = matrix[whole]
        if not len(matrix):
            return self._nothing(matrix.shape[1], left_out)
        mean = matrix.mean(axis=0)
        deviations = matrix - mean
        return Product(len(matrix), left_out, mean, deviations.T @ deviations)

    def merge(self, first: Product, second: Product) -> Product:
        left_out = first.left_out + second.left_out
        if not first.count or not second.count:
            some = first if first.count else second
            return Product(some.count, left_out, some.mean, some.cross)
        count = first.count + second.count
        delta = second.mean - first.mean
        mean = first.mean + delta * (second.count / count)
        cross = first.cross + second.cross + np.outer(delta, delta) * (first.count * second.count / count)
        return Product(count, left_out, mean, cross)

    def result(self, state: Product | None) -> Product:
        return state or self._nothing(len(self.names), 0)

    def _nothing(self, width: int, left_out: int) -> Product:
        return Product(0, left_out, np.full(width, np.nan), np.zeros((width, width)))
