"""A scan as a DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from clary.data.errors import ReadError
from clary.data.scans import Scan

if TYPE_CHECKING:
    import pandas as pd

READ_ROWS = 1 << 16


def frame_of(scan: Scan) -> pd.DataFrame:
    """A DataFrame: text as pandas' str, times as datetime64, booleans with gaps as pandas' boolean; notes in attrs."""
    make_frame = getattr(scan, "frame", None)
    frame: Any = make_frame() if make_frame is not None else None
    if frame is None:
        frame = _frame(table_of(scan))
    frame.attrs["clary"] = list(scan.notes)
    return frame  # type: ignore[no-any-return]


def table_of(scan: Scan) -> pa.Table:
    """All of its rows."""
    schema = scan.arrow_schema
    if not schema.names:
        return pa.table({"": pa.nulls(scan.rows)}).drop_columns([""])
    batches = [batch for part in scan.parts() for batch in part.batches(schema.names, READ_ROWS)]
    columns = []
    for place, field in enumerate(schema):
        chunks = [batch.column(place) for batch in batches]
        columns.append(_concatenated(chunks, field.type))
    return pa.table(columns, names=schema.names)


def _concatenated(chunks: list[pa.Array], wanted: pa.DataType) -> pa.ChunkedArray:
    """Without dictionaries."""
    kind = wanted.value_type if pa.types.is_dictionary(wanted) else wanted
    decoded = [chunk.dictionary_decode() if pa.types.is_dictionary(chunk.type) else chunk for chunk in chunks]
    return pa.chunked_array([chunk if chunk.type == kind else chunk.cast(kind) for chunk in decoded], kind)


def _frame(table: pa.Table) -> pd.DataFrame:
    import pandas as pd

    mapper = {pa.bool_(): pd.BooleanDtype()}
    incomplete = [
        name
        for name in table.column_names
        if table.column(name).null_count and pa.types.is_boolean(table.column(name).type)
    ]
    try:
        frame: pd.DataFrame = table.to_pandas(date_as_object=False, ignore_metadata=True)
    except (pa.ArrowInvalid, OverflowError, UnicodeError) as error:
        raise ReadError(f"a value does not fit a DataFrame: {error}") from None
    for name in incomplete:
        frame[name] = table.column(name).to_pandas(types_mapper=mapper.get)
    return frame
