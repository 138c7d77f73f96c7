"""Sums of products of many columns, not centred: what a truncated singular value decomposition needs."""

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
class Sums:
    """Over the rows in which no value is missing or infinite.

    count     such rows; left_out  the others
    total     (k,), sums of the values
    products  (k, k), sums of products of the values: X'X
    """

    count: int
    left_out: int
    total: NDArray[np.float64]
    products: NDArray[np.float64]


@dataclass(frozen=True)
class Gram(ColumnsStatistic[Sums, Sums]):
    """Of number, boolean, time and block columns; sparse blocks stay sparse, k counts a block's columns one by one."""

    def compute(self, batch: Batch) -> Sums:
        return functools.reduce(self.merge, map(self._of, pieces(batch, self.names)))

    def _of(self, batch: Batch) -> Sums:
        matrix: Any = batch.matrix()
        rows = int(matrix.shape[0])
        sparse = not isinstance(matrix, np.ndarray)
        if sparse:
            whole = np.ones(rows, dtype=bool)
            whole[matrix.tocoo().row[~np.isfinite(matrix.data)]] = False
        else:
            whole = np.isfinite(matrix).all(axis=1)
        if not whole.all():
            matrix = matrix[whole]
        products = matrix.T @ matrix
        total = np.asarray(matrix.sum(axis=0), np.float64).ravel()
        count = int(whole.sum())
        return Sums(count, rows - count, total, products.toarray() if sparse else products)

    def merge(self, first: Sums, second: Sums) -> Sums:
        return Sums(
            first.count + second.count,
            first.left_out + second.left_out,
            first.total + second.total,
            first.products + second.products,
        )

    def result(self, state: Sums | None) -> Sums:
        width = len(self.names)
        return state or Sums(0, 0, np.zeros(width), np.zeros((width, width)))
