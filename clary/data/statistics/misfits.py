"""How many values of a column a conversion has no result for, and some of them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Column
from clary.data.statistics.base import ColumnStatistic

_EXAMPLES = 3


class Converter(Hashable, Protocol):
    """Makes a column of another kind. Two that do the same are equal."""

    def __call__(self, column: Column) -> tuple[Column, NDArray[np.bool_]]:
        """(the column, missing where there is no result; where a value that is there has no result)."""
        ...


@dataclass(frozen=True)
class Misfit:
    """rows: of the column; count: of its values without a result; examples: the first of them."""

    rows: int
    count: int
    examples: tuple[Any, ...]


@dataclass(frozen=True)
class Misfits(ColumnStatistic[Misfit, Misfit]):
    converter: Converter

    def compute(self, batch: Batch) -> Misfit:
        column = batch[self.column]
        _, misfits = self.converter(column)
        places = np.flatnonzero(misfits)
        return Misfit(batch.rows, len(places), examples_of(column, places))

    def merge(self, first: Misfit, second: Misfit) -> Misfit:
        examples = (first.examples + second.examples)[:_EXAMPLES]
        return Misfit(first.rows + second.rows, first.count + second.count, examples)

    def result(self, state: Misfit | None) -> Misfit:
        return state or Misfit(0, 0, ())


def examples_of(column: Column, places: NDArray[np.int64]) -> tuple[Any, ...]:
    """The first few of the values at these places, for a message."""
    some = column[places[:_EXAMPLES]] if isinstance(column, np.ndarray) else column.take(places[:_EXAMPLES])
    return tuple(some.tolist() if isinstance(some, np.ndarray) else some.to_pylist())
