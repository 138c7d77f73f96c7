"""How many values of each column are missing, and how many infinite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
        found = [_gaps(batch[name]) for name in self.names]
        absent = [one for one, _ in found] or [np.empty(0, np.int64)]
        infinities = [one for _, one in found] or [np.empty(0, np.int64)]
        return Gap(batch.rows, np.concatenate(absent), np.concatenate(infinities))

    def merge(self, first: Gap, second: Gap) -> Gap:
        return Gap(first.rows + second.rows, first.missing + second.missing, first.infinite + second.infinite)

    def result(self, state: Gap | None) -> Gap:
        nothing = np.zeros(len(self.names), np.int64)
        return state or Gap(0, nothing, nothing)


def _gaps(column: Column) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(missing, infinite), each as long as the column has columns."""
    if isinstance(column, Block):
        matrix = column.matrix
        if isinstance(matrix, np.ndarray):
            return _counted(np.isnan(matrix)), _counted(np.isinf(matrix))
        width = len(column.names)
        places = matrix.tocoo().col
        return _found(places, np.isnan(matrix.data), width), _found(places, np.isinf(matrix.data), width)
    infinities = isinstance(column, np.ndarray) and column.dtype.kind == "f"
    return (
        np.array([np.count_nonzero(missing(column))], np.int64),
        np.array([np.count_nonzero(np.isinf(column)) if infinities else 0], np.int64),
    )


def _counted(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.asarray(np.count_nonzero(mask, axis=0), np.int64)


def _found(places: NDArray[Any], which: NDArray[np.bool_], width: int) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.bincount(places[which], minlength=width).astype(np.int64)
    return found
