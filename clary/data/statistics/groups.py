"""Count, mean and variance of many columns within each class of another: what F tests and chi² ask for."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, coded
from clary.data.errors import StepError
from clary.data.statistics.base import Statistic
from clary.data.statistics.pieces import pieces


@dataclass(frozen=True)
class Within:
    """Of one class. Over its rows in which every column has a finite value.

    count  such rows
    mean   (k,); m2  (k,), sums of squared deviations from it
    low, high  (k,), the extremes
    """

    count: int
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Classes:
    """classes   each class's own figures, in the order in which the table first has them
    left_out  rows with a missing or infinite value in one of the columns
    unlabelled  rows without a class
    """

    classes: dict[Any, Within]
    left_out: int
    unlabelled: int


@dataclass(frozen=True)
class Groups(Statistic[Classes, Classes]):
    """Of number, boolean, time and block columns, by the classes of `by`.

    Raises StepError for more than `most` classes.
    """

    names: tuple[str, ...]
    by: str
    most: int = 1_000

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.names, self.by)

    def compute(self, batch: Batch) -> Classes:
        return functools.reduce(self.merge, map(self._of, pieces(batch, self.columns)))

    def _of(self, batch: Batch) -> Classes:
        matrix: Any = batch.only(self.names).matrix()
        if not isinstance(matrix, np.ndarray):
            matrix = matrix.toarray()
        codes, levels = coded(batch[self.by])
        whole = np.isfinite(matrix).all(axis=1)
        unlabelled = int(np.count_nonzero(codes < 0))
        left_out = int(np.count_nonzero(~whole))
        classes: dict[Any, Within] = {}
        self._few(len(levels))
        for code in dict.fromkeys(codes[codes >= 0].tolist()):
            rows = matrix[(codes == code) & whole]
            if len(rows):
                classes[levels[code].as_py()] = _within(rows)
        return Classes(classes, left_out, unlabelled)

    def merge(self, first: Classes, second: Classes) -> Classes:
        classes = dict(first.classes)
        for level, more in second.classes.items():
            classes[level] = _joined(classes[level], more) if level in classes else more
        self._few(len(classes))
        return Classes(classes, first.left_out + second.left_out, first.unlabelled + second.unlabelled)

    def result(self, state: Classes | None) -> Classes:
        return state or Classes({}, 0, 0)

    def _few(self, classes: int) -> None:
        if classes > self.most:
            raise StepError(
                f"it has more than {self.most:,} distinct values: too many for classes; "
                "for a number that is measured choose a score for regression, such as f_regression",
                column=self.by,
            )


def _within(rows: NDArray[np.float64]) -> Within:
    mean = rows.mean(axis=0)
    low, high = rows.min(axis=0), rows.max(axis=0)
    return _exact(Within(len(rows), mean, ((rows - mean) ** 2).sum(axis=0), low, high))


def _joined(first: Within, second: Within) -> Within:
    count = first.count + second.count
    delta = second.mean - first.mean
    m2 = first.m2 + second.m2 + delta * delta * (first.count * second.count / count)
    mean = first.mean + delta * (second.count / count)
    return _exact(Within(count, mean, m2, np.minimum(first.low, second.low), np.maximum(first.high, second.high)))


def _exact(found: Within) -> Within:
    """Where all values are one value, that is the mean: rounding may make it another, and the deviations not zero."""
    same = found.low == found.high
    if not same.any():
        return found
    return replace(found, mean=np.where(same, found.low, found.mean), m2=np.where(same, 0.0, found.m2))
