"""The levels of a column that is a category, as the steps on categories see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from clary.data.batch import Batch, Column, Kind, kind_of, numbers
from clary.data.errors import StepError
from clary.data.statistics.base import ColumnStatistic
from clary.data.statistics.counts import Counts, Levels

# From here on not every whole number has a float64 of its own: two levels could become one.
EXACT_INTEGERS = 2.0**53


class TooMany:
    """In a state's place: there are more distinct values than anybody wants to know of."""


def category(column: Column) -> Column:
    """A text column as it is; numbers and booleans as float64, in whatever type a batch has them.

    Raises StepError for kinds that are no categories, and for whole numbers that float64 does not hold.
    """
    match kind_of(column):
        case Kind.TEXT:
            return column
        case Kind.NUMBER | Kind.BOOLEAN:
            values = numbers(column) + 0.0  # -0.0 is 0.0
            if column.dtype.kind in "iu" and len(values) and np.abs(values).max() >= EXACT_INTEGERS:
                raise StepError("it holds whole numbers beyond 2^53; cast it to text (step `cast`)")
            return values
        case other:
            raise StepError(f"it holds {other}, not a category")


@dataclass(frozen=True)
class Categories(ColumnStatistic[Any, Levels | None]):
    """Levels of a text, number or boolean column, in order of first appearance; numbers as float64.

    None where there are more than `most` and `all_or_error` is false; else StepError then.
    """

    most: int = 1_000_000
    all_or_error: bool = True

    @property
    def _counts(self) -> Counts:
        return Counts(self.column, self.most)

    def compute(self, batch: Batch) -> Any:
        try:
            column = category(batch[self.column])
        except StepError as error:
            raise StepError(error.reason, column=self.column) from None
        found = self._counts.compute(Batch({self.column: column}, batch.rows))
        return found if len(found) <= self.most else self._too_many()

    def merge(self, first: Any, second: Any) -> Any:
        if isinstance(first, TooMany) or isinstance(second, TooMany):
            return TooMany()
        if first.values.type != second.values.type:
            raise StepError("it holds text in some rows and numbers in others", column=self.column)
        try:
            return self._counts.merge(first, second)
        except StepError:  # too many distinct values
            return self._too_many()

    def _too_many(self) -> TooMany:
        if self.all_or_error:
            raise StepError(
                f"there are more than {self.most:,} distinct values: too many for a category; leave it out, join rare "
                "ones (step `rare`), or hash it (step `hash`)",
                column=self.column,
            )
        return TooMany()

    def result(self, state: Any) -> Levels | None:
        if isinstance(state, TooMany):
            return None
        return self._counts.result(state)
