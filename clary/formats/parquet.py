"""Parquet: columns of numbers, the label first where there is one; null is missing."""

from __future__ import annotations

from typing import Any

from clary.formats.table import FormatError, Source, Table, empty, name_of


def read_parquet(source: Source, label_size: int = 1) -> Table:
    """label_size  0 or 1 label columns, first. Raises FormatError naming file and column."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(_opened(source)) as file:
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"{name_of(source)} is not a parquet file: {str(error)[:200]}") from None
    if not table.num_rows:
        return empty(label_size == 1)
    if table.num_columns <= label_size:
        raise FormatError(f"{name_of(source)} has {table.num_columns} columns: no column is left for features.")
    matrix = np.empty((table.num_rows, table.num_columns), dtype=np.float32)
    for index, name in enumerate(table.column_names):
        matrix[:, index] = _numbers(table.column(index), f"{name_of(source)}, column {name!r}")
    return Table(features=matrix[:, label_size:], labels=matrix[:, 0] if label_size else None)


def _opened(source: Source) -> Any:
    import pyarrow as pa

    if isinstance(source, bytes):
        return pa.BufferReader(source)
    # A pipe cannot be searched for the footer.
    return str(source) if source.is_file() else pa.BufferReader(source.read_bytes())


def _numbers(column: Any, name: str) -> Any:
    import pyarrow as pa

    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise FormatError(f"{name} holds {kind}, not numbers.")
    return column.cast(pa.float64(), safe=False).to_numpy()
