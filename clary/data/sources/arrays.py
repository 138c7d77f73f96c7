"""NumPy arrays as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from clary.data.errors import ReadError
from clary.data.frames import distinct_names
from clary.data.notes import Note

# An array of more columns is not meant as a table.
MAX_COLUMNS = 100_000


def table_of_array(array: Any, name: str, notes: list[Note], names: Sequence[str] | None = None) -> pa.Table:
    """A structured array's fields, a matrix's columns (column_1 …), or a vector as a single column.

    Raises  ReadError for more than two dimensions, and for values that a table cannot hold.
    """
    if array.dtype.names:
        fields: dict[str, Any] = {}
        for field in array.dtype.names:
            inner = np.atleast_1d(array)[field]
            columns = [inner] if inner.ndim == 1 else list(inner.reshape(len(inner), -1).T)
            several = len(columns) > 1
            fields |= {f"{field}.{place}" if several else field: column for place, column in enumerate(columns)}
        return _table(list(fields), list(fields.values()), name)
    if array.ndim == 0:
        raise ReadError(f"{name} is a single value, not a table")
    if array.ndim > 2:
        raise ReadError(f"{name} has {array.ndim} dimensions {array.shape}: a table has two")
    matrix = array[:, None] if array.ndim == 1 else array
    if matrix.shape[1] > MAX_COLUMNS:
        raise ReadError(f"{name} has {matrix.shape[1]:,} columns; a table has {MAX_COLUMNS:,} at most")
    if names is None:
        names = [f"column_{place}" for place in range(1, matrix.shape[1] + 1)]
        notes.append(Note(f"The array has no names: its columns are column_1 … column_{matrix.shape[1]}."))
    return _table(list(names), list(matrix.T), name)


def _table(names: list[str], columns: list[Any], source: str) -> pa.Table:
    arrays = [_arrow(column, name, source) for name, column in zip(names, columns, strict=True)]
    return pa.Table.from_arrays(arrays, names=distinct_names(names))


def _arrow(column: Any, name: str, source: str) -> pa.Array:
    kind = column.dtype.kind
    try:
        if kind == "S":
            return pa.array(np.char.decode(column, "utf-8"))
        if kind in "biufUM":
            native = np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("="))
            return pa.array(native.astype(np.float32) if native.dtype == np.float16 else native, from_pandas=False)
        if kind == "O":
            from clary.data.sources.values import array_of

            return array_of([_python_value(value) for value in column], name, [])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, UnicodeError) as error:
        raise ReadError(f"{source}, column {name!r}: {error}") from None
    raise ReadError(f"{source}, column {name!r} holds {column.dtype}, which a table cannot hold")


def _python_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value
