"""The median of the absolute deviations of a column from a value: the exact quantile of a column that is not there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, numbers
from clary.data.statistics.base import AnotherPass, Sample, Statistic
from clary.data.statistics.quantiles import Found, Quantiles


@dataclass(frozen=True)
class Deviations(Statistic[Found, NDArray[np.float64]]):
    """The median of |value - centre|, (1,); NaN where there is no value."""

    column: str
    centre: float
    quantiles: Quantiles | None = field(default=None, compare=False)

    needs_sample: ClassVar[bool] = True

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def _of_these(self) -> Quantiles:
        return self.quantiles or Quantiles(self.column, (0.5,))

    @property
    def known_from_sample(self) -> bool:
        return self._of_these.known_from_sample

    def prepared(self, sample: Sample) -> Deviations:
        given = replace(sample, batch=self._deviations(sample.batch)) if sample.batch.rows else sample
        return replace(self, quantiles=self._of_these.prepared(given))

    def compute(self, batch: Batch) -> Found:
        return self._of_these.compute(self._deviations(batch))

    def merge(self, first: Found, second: Found) -> Found:
        return self._of_these.merge(first, second)

    def result(self, state: Found | None) -> NDArray[np.float64]:
        try:
            return self._of_these.result(state)
        except AnotherPass as again:
            raise AnotherPass(replace(self, quantiles=cast("Quantiles", again.statistic))) from None

    def _deviations(self, batch: Batch) -> Batch:
        with np.errstate(
            invalid="ignore", over="ignore"
        ):  # an infinite value's distance from an infinite median is missing
            values = np.abs(numbers(batch[self.column]) - self.centre)
        return Batch({self.column: values}, batch.rows, batch.first_row, batch.places)
