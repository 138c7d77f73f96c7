"""What a target is like at each level of a category, fold by fold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.batch import Batch, coded, numbers
from clary.data.errors import StepError
from clary.data.statistics.base import Statistic
from clary.data.statistics.categories import category
from clary.data.statistics.hashes import uniform

_LARGEST = 1e145  # of a target: sums of its squares over any number of rows are still finite


@dataclass(frozen=True)
class LevelTargets:
    """Of the rows whose target is known, (folds, levels + 1, outputs); the last level is that of missing values.

    count  rows, (folds, levels + 1, 1): the same for each output
    mean   of the target; of a class: the share of rows that are of it
    m2     sum of squared deviations from the mean
    """

    count: NDArray[np.float64]
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]

    def together(self, axis: int) -> LevelTargets:
        """All along an axis as one, which stays with length 1."""
        count = self.count.sum(axis=axis, keepdims=True)
        with np.errstate(invalid="ignore"):
            mean = (self.count * self.mean).sum(axis=axis, keepdims=True) / count
        mean = np.where(count > 0, mean, 0.0)
        apart = self.mean - mean
        m2 = (self.m2 + self.count * apart * apart).sum(axis=axis, keepdims=True)
        return LevelTargets(count, mean, m2)

    def without(self, fold: int) -> LevelTargets:
        """All folds but this as one."""
        others = [place for place in range(len(self.count)) if place != fold]
        return LevelTargets(self.count[others], self.mean[others], self.m2[others]).together(0)


def folds_of(row_numbers: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Each row's fold, by a hash of its number: the same however the table is cut."""
    return (uniform(row_numbers, seed) * folds).astype(np.int64)


@dataclass(frozen=True)
class TargetsByLevel(Statistic[LevelTargets, LevelTargets]):
    """A target's mean and spread by fold and level.

    levels   of the column; other values are left out
    classes  of the target: one output for each, but for two classes one for the second; None: the target is a number

    Reference  Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance, American Statistician 37(3).
    """

    column: str
    target: str
    folds: int
    seed: int
    levels: pa.Array = field(compare=False)
    classes: pa.Array | None = field(compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column, self.target) if self.column != self.target else (self.column,)

    def compute(self, batch: Batch) -> LevelTargets:
        width = len(self.levels) + 1
        places = _places(batch[self.column], self.levels)
        places = folds_of(batch.row_numbers, self.folds, self.seed) * width + np.where(places < 0, width - 1, places)
        cells = self.folds * width
        if self.classes is not None:
            found = self._classes(places, batch[self.target], cells)
        else:
            found = self._numbers(places, batch[self.target], cells)
        return LevelTargets(*(figures.reshape(self.folds, width, -1) for figures in found))

    def _classes(self, places: NDArray[np.int64], target: Any, cells: int) -> list[NDArray[np.float64]]:
        assert self.classes is not None
        which = _places(target, self.classes)
        known = which >= 0
        k = max(2, len(self.classes))
        counts = np.bincount(places[known] * k + which[known], minlength=cells * k).reshape(cells, k).astype(np.float64)
        count = counts.sum(axis=1, keepdims=True)
        share = np.divide(counts, count, out=np.zeros_like(counts), where=count > 0)
        if k == 2:
            share = share[:, 1:]
        return [count, share, count * share * (1 - share)]

    def _numbers(self, places: NDArray[np.int64], target: Any, cells: int) -> list[NDArray[np.float64]]:
        values = numbers(target)
        known = ~np.isnan(values)
        if not known.all():
            places, values = places[known], values[known]
        if np.isinf(values).any():
            raise StepError("it is infinite in some rows; make these missing or drop them", column=self.target)
        if len(values) and np.abs(values).max() > _LARGEST:
            raise StepError(f"it holds values beyond {_LARGEST:g}, too large to square; divide it", column=self.target)
        count = np.bincount(places, minlength=cells).astype(np.float64)
        total = np.bincount(places, weights=values, minlength=cells)
        mean = np.divide(total, count, out=np.zeros(cells), where=count > 0)
        apart = values - mean[places]
        return [count, mean, np.bincount(places, weights=apart * apart, minlength=cells)]

    def merge(self, first: LevelTargets, second: LevelTargets) -> LevelTargets:
        count = first.count + second.count
        share = np.divide(second.count, count, out=np.zeros_like(count), where=count > 0)
        apart = second.mean - first.mean
        m2 = first.m2 + second.m2 + apart * apart * first.count * share
        return LevelTargets(count, first.mean + apart * share, m2)

    def result(self, state: LevelTargets | None) -> LevelTargets:
        if state is not None:
            return state
        outputs = 1 if self.classes is None or len(self.classes) <= 2 else len(self.classes)
        nothing = np.zeros((self.folds, len(self.levels) + 1, outputs))
        return LevelTargets(nothing[:, :, :1], nothing, nothing)


def _places(column: Any, levels: pa.Array) -> NDArray[np.int64]:
    """Each row's place among the levels, all of which are known; -1 where missing."""
    codes, dictionary = coded(category(column))
    if not len(dictionary) or dictionary.type != levels.type:
        return np.full(len(codes), -1, np.int64)
    table = np.full(len(dictionary) + 1, -1, np.int64)
    table[:-1] = pc.index_in(dictionary, value_set=levels).fill_null(-1).to_numpy(zero_copy_only=False)
    return table.take(codes)
