"""Pearson's correlation of every two columns, each over the rows in which both have a value."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch
from clary.data.statistics.base import ColumnsStatistic
from clary.data.statistics.pieces import pieces

Square = NDArray[np.float64]

_ROUNDING = 8 * np.finfo(np.float64).eps  # a column that differs by no more, relative to its mean, is constant
_LOST = 1e-4  # of a sum of squares: where less is left after a subtraction, its last digits are rounding


@dataclass(frozen=True)
class Together:
    """Sums over the rows in which column i and column j both have a finite value; all (k, k).

    count  such rows
    mean   of column i in them
    m2     sum of squared deviations of column i
    cross  sum of products of the deviations of both
    """

    count: Square
    mean: Square
    m2: Square
    cross: Square


@dataclass(frozen=True)
class Correlation:
    """r      (k, k), NaN where a column is constant, or fewer than two rows have both
    count  (k, k), the rows that have both
    """

    r: Square
    count: Square


@dataclass(frozen=True)
class Correlations(ColumnsStatistic[Together, Correlation]):
    """Of number, boolean, time and block columns, as pandas' DataFrame.corr; k counts a block's columns one by one.

    Reference  Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance, American Statistician 37(3).
    """

    def compute(self, batch: Batch) -> Together:
        return functools.reduce(self.merge, map(self._of, pieces(batch, self.names)))

    def _of(self, batch: Batch) -> Together:
        matrix: Any = batch.matrix()
        if not isinstance(matrix, np.ndarray):
            matrix = matrix.toarray()
        finite = np.isfinite(matrix)
        if finite.all():
            return _whole(matrix)
        present = finite.astype(np.float64)
        # Near each column's own mean, sums of squares lose nothing to rounding.
        shift = np.where(finite, matrix, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1.0)
        values = np.where(finite, matrix - shift, 0.0)
        count = present.T @ present
        some = np.maximum(count, 1.0)
        off = values.T @ present / some  # of column i's mean beside j, from its own
        m2 = (values * values).T @ present - count * off * off
        cross = values.T @ values - count * off * off.T
        found = Together(count, shift[:, None] + off, np.maximum(m2, 0.0), cross)
        for first, second in np.argwhere((m2 < _LOST * count * off * off) & (count > 1)):
            _mend(found, matrix, finite, int(first), int(second))
        return found

    def merge(self, first: Together, second: Together) -> Together:
        count = first.count + second.count
        some = np.maximum(count, 1.0)
        delta = second.mean - first.mean
        weight = first.count * second.count / some
        return Together(
            count,
            (first.mean * first.count + second.mean * second.count) / some,
            first.m2 + second.m2 + delta * delta * weight,
            first.cross + second.cross + delta * delta.T * weight,
        )

    def result(self, state: Together | None) -> Correlation:
        if state is None:
            width = len(self.names)
            return Correlation(np.full((width, width), np.nan), np.zeros((width, width)))
        with np.errstate(divide="ignore", invalid="ignore"):
            r = state.cross / np.sqrt(state.m2 * state.m2.T)
        varies = state.m2 > state.count * (_ROUNDING * state.mean) ** 2
        known = np.isfinite(r) & (state.count > 1) & varies & varies.T
        r = np.where(known, np.clip(r, -1.0, 1.0), np.nan)
        return Correlation(r, state.count)


def _mend(found: Together, matrix: Square, finite: NDArray[np.bool_], first: int, second: int) -> None:
    """Work out two columns from their own rows: where both are present, one is far from its mean elsewhere."""
    pair = matrix[:, [first, second]][finite[:, first] & finite[:, second]]
    mean = pair.mean(axis=0)
    deviations = pair - mean
    for i, j, place in ((first, second, 0), (second, first, 1)):
        found.mean[i, j] = mean[place]
        found.m2[i, j] = deviations[:, place] @ deviations[:, place]
        found.cross[i, j] = deviations[:, 0] @ deviations[:, 1]


def _whole(matrix: Square) -> Together:
    """Of rows that lack nothing: one product of matrices is enough."""
    rows, width = matrix.shape
    mean = matrix.mean(axis=0)
    deviations = matrix - mean
    cross = deviations.T @ deviations
    shape = (width, width)
    return Together(
        np.full(shape, float(rows)),
        np.repeat(mean[:, None], width, axis=1),
        np.repeat(np.diag(cross)[:, None], width, axis=1),
        cross,
    )
