"""A step fitted to a DataFrame, whole and cut into small batches, and row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa

from clary.data.batch import Batch, Schema
from clary.data.frames import arrow_of_pandas
from clary.data.recipe.fit import fit_steps
from clary.data.recipe.row.function import compiled
from clary.data.recipe.step import FittedStep, Step
from clary.data.scans import FrameScan, Part, Scan


class CutScan(FrameScan):
    """A table in parts of a few rows, so that everything has to be merged."""

    def __init__(self, table: pa.Table, size: int = 3) -> None:
        super().__init__(table)
        self._size = size

    def parts(self) -> Sequence[Part]:
        whole = super().parts()
        return [
            replace(part, first_row=start, count=min(self._size, part.first_row + part.count - start))
            for part in whole
            for start in range(part.first_row, part.first_row + part.count, self._size)
        ]


def scan_of(data: pd.DataFrame | pa.Table, size: int = 0) -> Scan:
    table = data if isinstance(data, pa.Table) else arrow_of_pandas(data)[0]
    return CutScan(table, size) if size else FrameScan(table)


def fitted(step: Step, data: pd.DataFrame | pa.Table, size: int = 3) -> FittedStep:
    """Fitted over batches of `size` rows; 0 for one batch."""
    return fit_steps([step], scan_of(data, size))[0]


def batch_of(data: pd.DataFrame | pa.Table) -> Batch:
    return Batch.of_arrow(data if isinstance(data, pa.Table) else arrow_of_pandas(data)[0])


def made(step: FittedStep, data: pd.DataFrame | pa.Table) -> pd.DataFrame:
    """What it makes of a table, and that its schema says so too."""
    batch = batch_of(data)
    result = step.transform(batch)
    assert step.after(batch.schema).flat_names == result.schema.flat_names
    return result.to_pandas()


def rows(step: FittedStep, data: pd.DataFrame | pa.Table) -> Iterator[tuple[object, ...]]:
    """Each row alone, by the step's own code: falling back on `transform` is an error."""
    table = data if isinstance(data, pa.Table) else arrow_of_pandas(data)[0]
    after = step.after(Schema.of_arrow(table.schema))
    function = compiled([("1", step)], table.schema, table.schema.names, after.names)
    batch = Batch.of_arrow(table)
    lists = [
        list(column) if isinstance(column, np.ndarray) and column.dtype.kind == "M" else table[name].to_pylist()
        for name, column in batch.columns.items()
    ]
    for values in zip(*lists, strict=True):
        yield function.quick(dict(zip(batch.columns, values, strict=True)))


def assert_rows_equal_batch(step: FittedStep, data: pd.DataFrame | pa.Table) -> None:
    """Bit for bit."""
    frame = made(step, data)
    for place, row in enumerate(rows(step, data)):
        for name, value in zip(frame.columns, row, strict=True):
            expected = frame[name].iloc[place]
            if isinstance(value, float):
                assert type(value) is float
                assert np.float64(expected).tobytes() == np.float64(value).tobytes() or (
                    np.isnan(expected) and np.isnan(value)
                ), (name, place, expected, value)
            else:
                assert (pd.isna(value) and pd.isna(expected)) or value == expected, (name, place, expected, value)
