"""How often each value of a column is there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.batch import Batch, coded
from clary.data.errors import StepError
from clary.data.statistics.base import ColumnStatistic


@dataclass(frozen=True)
class Levels:
    """The distinct values of a column.

    values   in the order in which the table first has them
    counts   (len(values),), rows of each
    missing  rows without a value
    """

    values: pa.Array
    counts: NDArray[np.int64]
    missing: int

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Counts(ColumnStatistic[Levels, Levels]):
    """Of any column but blocks and nested ones. Raises StepError for more than `most` distinct values."""

    most: int = 1_000_000

    def compute(self, batch: Batch) -> Levels:
        codes, levels = coded(batch[self.column])
        counts = np.bincount(codes + 1, minlength=len(levels) + 1)
        missing, counts = int(counts[0]), counts[1:]
        order = _first_seen(codes, len(levels))
        return Levels(levels.take(pa.array(order)), counts[order], missing)

    def merge(self, first: Levels, second: Levels) -> Levels:
        first, second = _alike(first, second)
        missing = first.missing + second.missing
        places = pc.index_in(second.values, value_set=first.values)
        new = places.is_null().to_numpy(zero_copy_only=False)
        counts = first.counts
        if not new.all():
            counts = counts.copy()
            counts[places.drop_null().to_numpy(zero_copy_only=False)] += second.counts[~new]
        if not new.any():
            return Levels(first.values, counts, missing)
        if len(first) + int(new.sum()) > self.most:
            raise StepError(f"there are more than {self.most:,} distinct values", column=self.column)
        values = pa.concat_arrays([first.values, second.values.filter(pa.array(new))])
        return Levels(values, np.concatenate([counts, second.counts[new]]), missing)

    def result(self, state: Levels | None) -> Levels:
        return Levels(pa.array([], pa.string()), np.empty(0, np.int64), 0) if state is None else state


def _alike(first: Levels, second: Levels) -> tuple[Levels, Levels]:
    """Of one type: integers and booleans are float64 in the batches in which values are missing."""
    if first.values.type == second.values.type or pa.types.is_string(first.values.type):
        return first, second
    if not len(first) or not len(second):
        empty = pa.array([], (first if len(first) else second).values.type)
        return (first, replace(second, values=empty)) if len(first) else (replace(first, values=empty), second)
    return replace(first, values=_floats(first.values)), replace(second, values=_floats(second.values))


def _floats(values: pa.Array) -> pa.Array:
    return (values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values).cast(pa.float64(), safe=False)


def _first_seen(codes: NDArray[np.int32], levels: int) -> NDArray[np.int64]:
    """The codes that are there, in the order of their first row. A dictionary may hold values no row has."""
    first = np.full(levels + 1, len(codes), np.int64)
    # From the end to the start: what is written last, the first row, stays.
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    first = first[:levels] if levels else first[:0]
    order = np.argsort(first, kind="stable")
    return order[first[order] < len(codes)]
