"""CSV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from clary.data.batch import Batch, Kind, kind_of_arrow, some
from clary.data.errors import DataError
from clary.data.sinks.base import OpenFile
from clary.data.sinks.columns import Columns


@dataclass(frozen=True)
class CsvFormat:
    """Comma-separated, quoted where need be; a missing value is an empty field, numbers as short as they read back."""

    header: bool
    delimiter: str
    ending: str = ".csv"
    sparse: bool = False

    def open(self, stream: IO[bytes], columns: Columns) -> OpenFile:
        return _CsvFile(stream, columns, self)


class _CsvFile:
    def __init__(self, stream: IO[bytes], columns: Columns, written: CsvFormat) -> None:
        self._stream, self._columns, self._format = stream, columns, written
        self._writer: object = None
        self._started = False

    def _put(self, table: pa.Table) -> None:
        from pyarrow import csv

        table = self._checked(table)
        if table.num_columns == 1:
            self._put_lines(table)
            return
        if self._writer is None:
            options = csv.WriteOptions(
                include_header=self._format.header, delimiter=self._format.delimiter, batch_size=1 << 14
            )
            self._writer = csv.CSVWriter(self._stream, table.schema, write_options=options)
        self._writer.write_table(table)  # type: ignore[attr-defined]

    def _put_lines(self, table: pa.Table) -> None:
        """Write a table of one column: a missing value is "", since readers pass over empty lines."""
        if self._format.header and not self._started:
            self._stream.write(_quoted(pa.array(table.column_names))[0].as_buffer().to_pybytes() + b"\n")
        self._started = True
        column = table.column(0).combine_chunks()
        texts = _quoted(column) if pa.types.is_string(column.type) else column.cast(pa.string())
        if len(texts):
            ended = pc.binary_join_element_wise(pc.fill_null(texts, '""'), "\n", "")
            whole = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(ended)], pa.int32()), ended), "")
            self._stream.write(whole[0].as_buffer())

    def _checked(self, table: pa.Table) -> pa.Table:
        """With booleans as 1 and 0 where there is no header. Raises DataError for a type that CSV cannot express."""
        if others := [field.name for field in table.schema if kind_of_arrow(field.type) is Kind.OTHER]:
            raise DataError(
                f"column {some(others)} holds {table.schema.field(others[0]).type}, which CSV cannot express"
            )
        if not self._format.header:
            for place, field in enumerate(table.schema):
                if pa.types.is_boolean(field.type):
                    table = table.set_column(place, field.name, table.column(place).cast(pa.int8()))
        return table

    def write(self, batch: Batch) -> None:
        self._put(self._columns.arrow(batch))

    def close(self) -> None:
        if self._writer is None and not self._started:
            self._put(self._columns.empty())
        if self._writer is not None:
            self._writer.close()  # type: ignore[attr-defined]
        self._stream.flush()


def _quoted(texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
