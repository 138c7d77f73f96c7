"""What tests of steps that make or drop features share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from clary.data.batch import Batch, Block, Kind
from clary.data.frames import arrow_of_pandas
from clary.data.recipe.fit import fit_steps
from clary.data.recipe.plan import in_one_batch, transformed
from clary.data.recipe.step import FittedStep, Step
from clary.data.scans import FramePart, FrameScan, scan_of
from clary.data.statistics.base import Statistic


class Pieces(FrameScan):
    """A table in parts of a few rows, so that little data is merged from many batches."""

    def __init__(self, data: pd.DataFrame | pa.Table, size: int) -> None:
        super().__init__(arrow_of_pandas(data)[0] if isinstance(data, pd.DataFrame) else data)
        self._size = size

    def parts(self) -> list[FramePart]:
        starts = range(0, self.rows, self._size)
        return [FramePart(self._table, start, min(self._size, self.rows - start)) for start in starts]


def fitted(step: Step, data: pd.DataFrame | pa.Table | FrameScan, *before: Step) -> FittedStep:
    """The step, fitted on data behind the steps before it."""
    return fit_steps([*before, step], scan_of(data))[-1]


def applied(step: FittedStep, data: pd.DataFrame | pa.Table) -> pd.DataFrame:
    return step.transform(batch_of(data)).to_pandas()


def run(steps: list[Step], data: pd.DataFrame | pa.Table) -> pd.DataFrame:
    """Fitted on data, and applied to it."""
    scan = scan_of(data)
    return in_one_batch(transformed(fit_steps(steps, scan), scan, training=True)).to_pandas()


def batch_of(data: pd.DataFrame | pa.Table) -> Batch:
    return Batch.of_pandas(data) if isinstance(data, pd.DataFrame) else Batch.of_arrow(data)


def merged(statistic: Statistic[Any, Any], data: pd.DataFrame | Batch, cut: int) -> Any:
    """The statistic's result, from pieces of `cut` rows."""
    batch = data if isinstance(data, Batch) else Batch.of_pandas(data)
    state = statistic.initial()
    for start in range(0, batch.rows, cut):
        more = statistic.compute(batch.take(np.arange(start, min(batch.rows, start + cut))))
        state = more if state is None else statistic.merge(state, more)
    return statistic.result(state)


def assert_same_by_row(step: FittedStep, data: pd.DataFrame | pa.Table, rows: int = 7) -> None:
    """A row on its own gives the very same bits as among others."""
    batch = batch_of(data)
    together = step.transform(batch)
    for row in range(min(rows, batch.rows)):
        alone = step.transform(batch.take(np.array([row])))
        for field in step.made:
            assert _bits(alone[field.name]) == _bits(together.take(np.array([row]))[field.name]), (row, field.name)


def _bits(column: Any) -> Any:
    if isinstance(column, Block):
        return column.dense().tobytes()
    return column.tobytes() if isinstance(column, np.ndarray) else column.to_pylist()


def assert_made_as_declared(step: FittedStep, data: pd.DataFrame | pa.Table) -> None:
    """The columns that `transform` makes are those that `after` tells, of their kinds and in their order."""
    before = batch_of(data)
    expected, made = step.after(before.schema), step.transform(before).schema
    assert expected.names == made.names
    for field, other in zip(expected.fields, made.fields, strict=True):
        assert field.kind is other.kind or {field.kind, other.kind} == {Kind.NUMBER, Kind.BOOLEAN}
        assert field.names == other.names
