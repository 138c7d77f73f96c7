"""How rows are written: one class for each format, of which each file has an instance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from clary.data.batch import Batch, Kind, kind_of_arrow, some
from clary.data.errors import DataError
from clary.data.sinks.columns import Columns

ROW_GROUP_ROWS = 1 << 17
ROW_GROUP_BYTES = 128 << 20


class Open(Protocol):
    """A file that is being written."""

    def write(self, batch: Batch) -> None: ...

    def close(self) -> None:
        """Write what is still held, and close the stream."""
        ...


class Writer(Protocol):
    """sparse  whether a sparse block stays sparse in it"""

    @property
    def ending(self) -> str: ...

    @property
    def sparse(self) -> bool: ...

    def open(self, stream: IO[bytes], columns: Columns) -> Open: ...


ENDINGS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".libsvm": "libsvm",
    ".svm": "libsvm",
    ".recordio": "recordio",
    ".rec": "recordio",
    ".pbr": "recordio",
    ".feather": "feather",
    ".arrow": "feather",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
FORMATS = ("csv", "parquet", "libsvm", "recordio", "feather", "jsonl")


def writer_for(wanted: str | None, target: str, label: str | None, header: bool, delimiter: str) -> Writer:
    """Raises DataError."""
    ending = PurePosixPath(target).suffix.lower()
    name = wanted if wanted is not None else ENDINGS.get(ending)
    if name is None:
        raise DataError(f"{target}: its name does not tell the format; say format=, one of {', '.join(FORMATS)}")
    match name:
        case "csv":
            if len(delimiter) != 1 or delimiter in '\r\n"' or ord(delimiter) > 127:
                raise DataError(f"delimiter={delimiter!r} is not one ASCII letter")
            return CsvWriter(header, "\t" if ending == ".tsv" and delimiter == "," else delimiter)
        case "parquet":
            return ParquetWriter()
        case "feather":
            return FeatherWriter()
        case "jsonl":
            from clary.data.sinks.jsonlines import JsonLinesWriter

            return JsonLinesWriter()
        case "libsvm":
            from clary.data.sinks.libsvm import LibsvmWriter

            if label is None:
                raise DataError("a libsvm file needs a label in each row: name its column by label=")
            return LibsvmWriter()
        case "recordio":
            from clary.data.sinks.recordio import RecordIoWriter

            return RecordIoWriter()
        case _:
            raise DataError(f"format={name!r} is not known; known are {', '.join(FORMATS)}")


@dataclass(frozen=True)
class CsvWriter:
    """Comma-separated, quoted where need be; a missing value is an empty field, numbers as short as they read back."""

    header: bool
    delimiter: str
    ending: str = ".csv"
    sparse: bool = False

    def open(self, stream: IO[bytes], columns: Columns) -> Open:
        return _Csv(stream, columns, self)


class _Csv:
    def __init__(self, stream: IO[bytes], columns: Columns, form: CsvWriter) -> None:
        self._stream, self._columns, self._form = stream, columns, form
        self._writer: object = None
        self._begun = False

    def _put(self, table: pa.Table) -> None:
        from pyarrow import csv

        table = self._plain(table)
        if table.num_columns == 1:
            self._put_lines(table)
            return
        if self._writer is None:
            options = csv.WriteOptions(
                include_header=self._form.header, delimiter=self._form.delimiter, batch_size=1 << 14
            )
            self._writer = csv.CSVWriter(self._stream, table.schema, write_options=options)
        self._writer.write_table(table)  # type: ignore[attr-defined]

    def _put_lines(self, table: pa.Table) -> None:
        """One column: a missing value is "", since readers pass over empty lines."""
        if self._form.header and not self._begun:
            self._stream.write(_quoted(pa.array(table.column_names))[0].as_buffer().to_pybytes() + b"\n")
        self._begun = True
        column = table.column(0).combine_chunks()
        words = _quoted(column) if pa.types.is_string(column.type) else column.cast(pa.string())
        if len(words):
            ended = pc.binary_join_element_wise(pc.fill_null(words, '""'), "\n", "")
            whole = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(ended)], pa.int32()), ended), "")
            self._stream.write(whole[0].as_buffer())

    def _plain(self, table: pa.Table) -> pa.Table:
        if others := [one.name for one in table.schema if kind_of_arrow(one.type) is Kind.OTHER]:
            raise DataError(
                f"column {some(others)} holds {table.schema.field(others[0]).type}, which CSV has no form for"
            )
        if not self._form.header:
            for place, one in enumerate(table.schema):
                if pa.types.is_boolean(one.type):
                    table = table.set_column(place, one.name, table.column(place).cast(pa.int8()))
        return table

    def write(self, batch: Batch) -> None:
        self._put(self._columns.arrow(batch))

    def close(self) -> None:
        if self._writer is None and not self._begun:
            self._put(self._columns.empty())
        if self._writer is not None:
            self._writer.close()  # type: ignore[attr-defined]
        self._stream.flush()


def _quoted(words: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise('"', pc.replace_substring(words, '"', '""'), '"', "")


@dataclass(frozen=True)
class ParquetWriter:
    ending: str = ".parquet"
    sparse: bool = False

    def open(self, stream: IO[bytes], columns: Columns) -> Open:
        return _Parquet(stream, columns)


class _Parquet:
    """Row groups of 131,072 rows, or of 128 MiB where rows are long."""

    def __init__(self, stream: IO[bytes], columns: Columns) -> None:
        self._stream, self._columns = stream, columns
        self._held: list[pa.Table] = []
        self._rows = self._bytes = 0
        self._writer: object = None

    def write(self, batch: Batch) -> None:
        table = self._columns.arrow(batch)
        self._held.append(table)
        self._rows += table.num_rows
        self._bytes += table.nbytes
        if self._rows >= ROW_GROUP_ROWS or self._bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        from pyarrow import parquet

        table = pa.concat_tables(self._held) if self._held else self._columns.empty()
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._stream, table.schema, compression="zstd", compression_level=1)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))  # type: ignore[attr-defined]
        self._held, self._rows, self._bytes = [], 0, 0

    def close(self) -> None:
        if self._held or self._writer is None:
            self._flush()
        self._writer.close()  # type: ignore[attr-defined]
        self._stream.flush()


@dataclass(frozen=True)
class FeatherWriter:
    """Arrow's IPC file format, compressed by LZ4."""

    ending: str = ".feather"
    sparse: bool = False

    def open(self, stream: IO[bytes], columns: Columns) -> Open:
        return _Feather(stream, columns)


class _Feather:
    def __init__(self, stream: IO[bytes], columns: Columns) -> None:
        self._stream, self._columns = stream, columns
        self._writer: object = None

    def _put(self, table: pa.Table) -> None:
        if self._writer is None:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writer = pa.ipc.new_file(self._stream, table.schema, options=options)
        self._writer.write_table(table)  # type: ignore[attr-defined]

    def write(self, batch: Batch) -> None:
        self._put(self._columns.arrow(batch))

    def close(self) -> None:
        if self._writer is None:
            self._put(self._columns.empty())
        self._writer.close()  # type: ignore[attr-defined]
        self._stream.flush()
