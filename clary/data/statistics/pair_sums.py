"""Moments to the fourth of many columns, and the correlation of each pair over the rows that have both: in one pass.

Values are taken from a centre and divided by a scale known beforehand, so that the sums lose no digits. Correlations of
columns of which nothing is known beforehand are in pairs.py.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch
from clary.data.statistics.base import AnotherPass, ColumnsStatistic
from clary.data.statistics.column_values import ColumnValues

Floats = NDArray[np.float64]

_FAR = 1e4  # deviations between centre and mean; the variance loses eight of sixteen digits then


@dataclass
class PairSums:
    """Of k columns, each less its centre, by its scale; [i, j] over the rows in which i and j are there.

    rows (k, k), sums (k, k) of i, squares (k, k) of i, products (k, k), cubes (k,), fourths (k,)
    """

    rows: NDArray[np.int64]
    sums: Floats
    squares: Floats
    products: Floats
    cubes: Floats
    fourths: Floats

    def add(self, more: PairSums) -> None:
        self.rows += more.rows
        self.sums += more.sums
        self.squares += more.squares
        self.products += more.products
        self.cubes += more.cubes
        self.fourths += more.fourths


def no_sums(width: int) -> PairSums:
    square = (width, width)
    rows, (sums, squares, products) = np.zeros(square, np.int64), np.zeros((3, *square))
    return PairSums(rows, sums, squares, products, np.zeros(width), np.zeros(width))


def pair_sums(values: Floats, masks: dict[int, NDArray[np.bool_]]) -> PairSums:
    """Of centred and scaled values (k, rows); `masks` has where values of some columns are missing: 0 stands there."""
    width, rows = values.shape
    products = values @ values.T
    once, twice = values.sum(axis=1), np.diagonal(products).copy()
    cubes, fourths = np.empty(width), np.empty(width)
    (squared,) = aligned(1, rows)
    for place, row in enumerate(values):  # one by one: the squares of one column stay in the processor's cache
        np.multiply(row, row, out=squared)
        cubes[place], fourths[place] = squared @ row, squared @ squared
    made = PairSums(
        rows=np.full((width, width), rows, np.int64),
        sums=np.repeat(once[:, None], width, axis=1),
        squares=np.repeat(twice[:, None], width, axis=1),
        products=products,
        cubes=cubes,
        fourths=fourths,
    )
    for place, mask in masks.items():
        # The fewer rows, those where it is there or those where it is not, are added up.
        few = np.flatnonzero(mask)
        absent = len(few) * 2 <= rows
        part = values.take(few if absent else np.flatnonzero(~mask), axis=1)
        sums, squares = part.sum(axis=1), np.einsum("ij,ij->i", part, part)
        made.sums[:, place] = once - sums if absent else sums
        made.squares[:, place] = twice - squares if absent else squares
    if masks:
        places = list(masks)
        both = _rows_with_both(list(masks.values()))
        counts = np.diagonal(both)
        made.rows[places, :] = counts[:, None]
        made.rows[:, places] = counts
        made.rows[np.ix_(places, places)] = both
    return made


def _rows_with_both(masks: list[NDArray[np.bool_]]) -> NDArray[np.int64]:
    """(m, m), in how many rows both of two columns are there."""
    if len(masks) > 16:
        present = np.array([~mask for mask in masks], np.float64)
        return np.rint(present @ present.T).astype(np.int64)
    both = np.empty((len(masks), len(masks)), np.int64)
    for i, first in enumerate(masks):
        for j, second in enumerate(masks[: i + 1]):
            both[i, j] = both[j, i] = len(first) - np.count_nonzero(first | second)
    return both


@dataclass(frozen=True)
class Centring:
    """What values are taken from and divided by; scales are powers of two, so that dividing rounds nothing."""

    centres: Floats
    scales: Floats


def centring(columns: list[Floats]) -> Centring:
    """By the finite values of a sample of each column."""
    centres, scales = np.zeros(len(columns)), np.ones(len(columns))
    for place, column in enumerate(columns):
        finite = column[np.isfinite(column)]
        if not len(finite):
            continue
        # Scaled, so that the sum of the largest numbers there are does not overflow.
        centres[place] = float((finite / len(finite)).sum())
        deviation = float(np.abs(finite / 2 - centres[place] / 2).max()) * 2
        if 0 < deviation < math.inf:
            scales[place] = math.ldexp(1.0, max(min(math.frexp(deviation)[1], 1000), -1000))
    return Centring(centres, scales)


def together(every: list[Centring]) -> Centring:
    """Of all their columns, one after the other."""
    if not every:
        return Centring(np.zeros(0), np.ones(0))
    return Centring(np.concatenate([each.centres for each in every]), np.concatenate([each.scales for each in every]))


@dataclass(frozen=True)
class MomentFigures:
    """Of a column's finite values, as pandas' mean, var, skew, kurt; NaN where there are too few, or they overflow."""

    mean: float
    variance: float
    skewness: float
    kurtosis: float


def moments(sums: PairSums, centring: Centring) -> list[MomentFigures]:
    found = []
    with np.errstate(all="ignore"):
        for place in range(len(sums.cubes)):
            n = float(sums.rows[place, place])
            centre, scale = float(centring.centres[place]), float(centring.scales[place])
            first, second = sums.sums[place, place], sums.squares[place, place]
            third, fourth = sums.cubes[place], sums.fourths[place]
            found.append(_figures(n, centre, scale, *map(np.float64, (first, second, third, fourth))))
    return found


def _figures(
    n: float, centre: float, scale: float, first: np.float64, second: np.float64, third: np.float64, fourth: np.float64
) -> MomentFigures:
    if not n:
        return MomentFigures(math.nan, math.nan, math.nan, math.nan)
    mean = first / n
    m2 = max(float(second - first * mean), 0.0)
    m3 = float(third - 3 * mean * second + 2 * n * mean**3)
    m4 = float(fourth - 4 * mean * third + 6 * mean**2 * second - 3 * n * mean**4)
    variance = float(np.float64(m2) / (n - 1) * scale * scale) if n > 1 else math.nan
    # As pandas: what is left of rounding where all values are equal is no spread.
    flat = m2 <= 1e-14 * max(1e-300, float(second)) or not math.isfinite(m2)
    skewness = kurtosis = math.nan
    if n > 2:
        skewness = 0.0 if flat else n * math.sqrt(n - 1) / (n - 2) * m3 / m2**1.5
    if n > 3:
        correction = 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))
        kurtosis = 0.0 if flat else n * (n + 1) * (n - 1) / ((n - 2) * (n - 3)) * m4 / m2**2 - correction
    return MomentFigures(float(centre + mean * scale), variance, skewness, kurtosis)


def badly_centred(sums: PairSums, centring: Centring) -> Centring | None:
    """Better centres, where some mean lies so far from its centre that the variance lost digits."""
    found = moments(sums, centring)
    means = np.array([figures.mean for figures in found])
    spread = np.sqrt(np.array([figures.variance for figures in found]))
    with np.errstate(all="ignore"):
        far = np.abs(means - centring.centres) > _FAR * spread
    far &= np.isfinite(means)
    if not far.any():
        return None
    scales = np.where(far & (spread > 0), 2.0 ** np.rint(np.log2(np.where(spread > 0, spread, 1.0))), centring.scales)
    return Centring(np.where(far, means, centring.centres), scales)


def correlations(sums: PairSums) -> Floats:
    """(k, k), Pearson's r of each pair over the rows that have both; NaN where a column does not vary there."""
    with np.errstate(all="ignore"):
        rows = sums.rows.astype(np.float64)
        covariance = sums.products - sums.sums * sums.sums.T / rows
        variance = sums.squares - sums.sums**2 / rows
        variance[variance <= 1e-14 * sums.squares] = np.nan
        found = covariance / np.sqrt(variance * variance.T)
    found[sums.rows < 2] = np.nan
    return np.clip(found, -1.0, 1.0)


@dataclass(frozen=True)
class CentredSums:
    """The sums of some columns, and what they are centred by."""

    names: tuple[str, ...]
    sums: PairSums
    centring: Centring

    def moments(self) -> dict[str, MomentFigures]:
        return dict(zip(self.names, moments(self.sums, self.centring), strict=True))

    def correlations(self) -> Floats:
        return correlations(self.sums)


@dataclass(frozen=True, eq=False)
class PairStatistics(ColumnsStatistic[PairSums, CentredSums]):
    """Of columns of numbers, booleans or times. Another pass is made, once, where a centre was far from the mean."""

    values: ColumnValues
    centring: Centring
    recentred: bool = False

    def initial(self) -> PairSums:
        return no_sums(len(self.names))

    def compute(self, batch: Batch) -> PairSums:
        if not self.names:
            return no_sums(0)
        return centred_sums({name: self.values.numbers(batch, name).floats for name in self.names}, self.centring)

    def result(self, state: PairSums | None) -> CentredSums:
        assert state is not None
        better = None if self.recentred else badly_centred(state, self.centring)
        if better is not None:
            raise AnotherPass(replace(self, centring=better, recentred=True))
        return CentredSums(self.names, state, self.centring)


_THREAD = threading.local()


def _matrix(width: int, rows: int) -> Floats:
    """A matrix of this thread's own, used again from batch to batch: new memory costs more than what is done in it."""
    kept = getattr(_THREAD, "matrix", None)
    if kept is None or kept.shape[0] != width or kept.shape[1] < rows:
        kept = _THREAD.matrix = aligned(width, rows)
    return cast("Floats", kept[:, :rows])


def aligned(width: int, rows: int) -> Floats:
    """A matrix whose rows begin at multiples of 64 bytes: where they begin decides how BLAS's dot products round."""
    stride = -(-rows // 8) * 8
    memory = np.empty(width * stride + 8)
    start = -memory.ctypes.data % 64 // 8
    return memory[start : start + width * stride].reshape(width, stride)[:, :rows]


def centred_sums(columns: Mapping[str, Floats], by: Centring) -> PairSums:
    centred = _matrix(len(columns), len(next(iter(columns.values()))))
    missing: dict[int, NDArray[np.bool_]] = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for place, column in enumerate(columns.values()):
            row: Floats = centred[place]
            np.subtract(column, by.centres[place], out=row)
            row *= 1.0 / by.scales[place]
            if not np.isfinite(row.sum()):
                absent = ~np.isfinite(column)
                if absent.any():
                    row[absent] = 0.0
                    missing[place] = absent
        return pair_sums(centred, missing)
