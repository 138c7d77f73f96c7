"""How many values of each column are missing, and how many infinite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Block, Column, missing
from clary.data.statistics.base import ColumnsStatistic


@dataclass(frozen=True)
class Gap:
    """Of each column, a block's columns one by one.

    rows      of the table
    missing   (k,), rows without a value
    infinite  (k,), rows with +inf or -inf
    """

    rows: int
    missing: NDArray[np.int64]
    infinite: NDArray[np.int64]


@dataclass(frozen=True)
class Gaps(ColumnsStatistic[Gap, Gap]):
    """Of columns of any kind."""

    def compute(self, batch: Batch) -> Gap:
        found = [_gaps(batch[name]) for name in self.names] or [(np.empty(0, np.int64), np.empty(0, np.int64))]
        absent, infinities = zip(*found, strict=True)
        return Gap(batch.rows, np.concatenate(absent), np.concatenate(infinities))

    def merge(self, first: Gap, second: Gap) -> Gap:
        return Gap(first.rows + second.rows, first.missing + second.missing, first.infinite + second.infinite)

    def result(self, state: Gap | None) -> Gap:
        nothing = np.zeros(len(self.names), np.int64)
        return state or Gap(0, nothing, nothing)


def _gaps(column: Column) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(missing, infinite), each as long as the column has columns."""
    if not isinstance(column, Block):
        infinite = (
            np.count_nonzero(np.isinf(column)) if isinstance(column, np.ndarray) and column.dtype.kind == "f" else 0
        )
        return np.array([np.count_nonzero(missing(column))], np.int64), np.array([infinite], np.int64)
    matrix = column.matrix
    if isinstance(matrix, np.ndarray):
        return np.isnan(matrix).sum(axis=0), np.isinf(matrix).sum(axis=0)
    places, width = matrix.tocoo().col, len(column.names)
    absent, infinities = (np.bincount(places[found(matrix.data)], minlength=width) for found in (np.isnan, np.isinf))
    return absent, infinities
