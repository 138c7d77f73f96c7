"""Many rows at once: a request's rows as a table, and a table's columns as Python values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from clary.data.batch import Block, Column, Kind, kind_of_arrow, numbers
from clary.data.errors import DataError
from clary.data.recipe import FittedRecipe, RowFunction
from clary.data.recipe.row.values import READERS, in_column_order, missing_columns, reader_of
from clary.tasks.recipe.requests import Row


def table_of(fitted: FittedRecipe, function: RowFunction, rows: Sequence[Row]) -> pa.Table:
    """The columns that the recipe needs, each value read as the row function reads it.

    Raises DataError naming the row.
    """
    positions = [function.columns.index(name) for name in function.needed]
    columns: list[list[Any]] = [[] for _ in function.needed]
    readers = [_reader(fitted.columns.field(name).type) for name in function.needed]
    for number, row in enumerate(rows, 1):
        try:
            values = _values(row, function, positions)
            for name, value, reader, column in zip(function.needed, values, readers, columns, strict=True):
                column.append(reader(value, name))
        except DataError as error:
            raise DataError(f"row {number}: {error}") from None
    if not function.needed:
        return pa.table({"": pa.nulls(len(rows))})
    types = [fitted.columns.field(name).type for name in function.needed]
    arrays = [_array(name, column, kind) for name, column, kind in zip(function.needed, columns, types, strict=True)]
    return pa.table(dict(zip(function.needed, arrays, strict=True)))


def _values(row: Row, function: RowFunction, positions: Sequence[int]) -> Sequence[Any]:
    if isinstance(row, dict):
        try:
            return [row[name] for name in function.needed]
        except KeyError:
            raise missing_columns([name for name in function.needed if name not in row]) from None
    return in_column_order(row, function.columns, positions)


def _reader(kind: pa.DataType) -> Any:
    found = READERS.get(kind_of_arrow(kind))
    return found[1] if found else reader_of(kind)


def _array(name: str, values: list[Any], given: pa.DataType) -> pa.Array:
    kind = kind_of_arrow(given)
    if kind in (Kind.NUMBER, Kind.BOOLEAN):
        return pa.array(np.array(values, np.float64))
    if kind is Kind.TIME:
        return pa.array(np.array(values, "datetime64[us]"))
    if kind is Kind.OTHER:
        return pa.concat_arrays(values)
    try:
        return pa.array(values, pa.string())
    except UnicodeError:
        raise DataError(f"column {name!r}: a value is no text: half of a surrogate pair") from None


def values_of(column: Column) -> list[list[Any]]:
    """A column's values, or those of each of a block's columns: floats, str, datetime64, Nfunction."""
    if isinstance(column, Block):
        return [inner.tolist() for inner in column.dense().astype(np.float64).T]
    if isinstance(column, np.ndarray):
        return [list(column.astype("datetime64[us]"))] if column.dtype.kind == "M" else [numbers(column).tolist()]
    return [column.to_pylist()]
