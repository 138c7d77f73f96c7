"""Parquet, read row group by row group: never whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from clary.data.frames import distinct_names
from clary.data.notes import Note
from clary.data.scans import Part, Scan, cores
from clary.data.sources.input_file import InputFile
from clary.data.sources.read_options import ReadOptions
from clary.data.sources.spill import PARTS_PER_CORE, batches_without_columns

OPTIONS: frozenset[str] = frozenset()
# Pages are read through a buffer of this size for each column, so that a row group of any size needs little memory.
BUFFER_BYTES = 1 << 18
# Writers stop using a dictionary once it is larger than about this; its codes have 17 bits at most until then.
DICTIONARY_BYTES = 1.3e6
CODE_BYTES = 2.5


def scan(file: InputFile, options: ReadOptions) -> Scan:
    """Raises ReadError."""
    with file.reading_as("Parquet"), file.seekable() as stream, parquet.ParquetFile(stream) as reader:
        metadata, schema = reader.metadata, reader.schema_arrow
    return ParquetScan(file, metadata, schema)


class ParquetScan:
    """The row groups of a file, each read on demand."""

    def __init__(self, file: InputFile, metadata: Any, schema: pa.Schema) -> None:
        self._file, self._metadata, self._written = file, metadata, schema.names
        names = distinct_names(schema.names)
        self._coded = _coded(metadata, schema) if names == self._written else []
        fields = [
            pa.field(new, pa.dictionary(pa.int32(), field.type) if field.name in self._coded else field.type)
            for new, field in zip(names, schema, strict=True)
        ]
        self._schema = pa.schema(fields)
        self._notes = [
            Note(f"The column's name {old!r} is there twice; it is now {new!r}.", new)
            for old, new in zip(self._written, names, strict=True)
            if old != new
        ]

    @property
    def arrow_schema(self) -> pa.Schema:
        return self._schema

    @property
    def rows(self) -> int:
        return int(self._metadata.num_rows)

    @property
    def notes(self) -> Sequence[Note]:
        return self._notes

    def parts(self) -> Sequence[Part]:
        counts = [self._metadata.row_group(place).num_rows for place in range(self._metadata.num_row_groups)]
        part_rows = max(1, self.rows // (PARTS_PER_CORE * cores()))
        parts: list[Part] = []
        first_row, groups, rows = 0, list[int](), 0
        for place, count in enumerate(counts):
            if groups and rows + count > part_rows:
                parts.append(ParquetPart(self, first_row, tuple(groups)))
                first_row, groups, rows = first_row + rows, [], 0
            groups.append(place)
            rows += count
        return [*parts, ParquetPart(self, first_row, tuple(groups))] if rows else parts

    def read(self, groups: Sequence[int], columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        if not columns:
            yield from batches_without_columns(sum(self._metadata.row_group(group).num_rows for group in groups), rows)
            return
        names = self._schema.names
        unchanged = names == self._written
        with self._file.reading_as("Parquet"), self._file.seekable() as stream:
            reader = parquet.ParquetFile(
                stream if self._file.path is None else str(self._file.path),
                metadata=self._metadata,
                read_dictionary=self._coded,
                buffer_size=BUFFER_BYTES,
                pre_buffer=False,
            )
            with reader:
                wanted = list(columns) if unchanged else None
                for batch in reader.iter_batches(rows, row_groups=list(groups), columns=wanted, use_threads=False):
                    places = [(batch.schema.names if unchanged else names).index(name) for name in columns]
                    arrays = [batch.column(place) for place in places]
                    yield pa.RecordBatch.from_arrays(arrays, list(columns))


@dataclass(frozen=True)
class ParquetPart:
    scan: ParquetScan
    first_row: int
    groups: tuple[int, ...]

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        yield from self.scan.read(self.groups, columns, rows)


def _coded(metadata: Any, schema: pa.Schema) -> list[str]:
    """Columns of text that are dictionary-encoded throughout, judged by the size of their first row group.

    The footer does not show where a writer gave up a dictionary; text itself takes more bytes than codes.
    """
    if not metadata.num_row_groups:
        return []
    group = metadata.row_group(0)
    texts = {field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)}
    columns = [group.column(place) for place in range(group.num_columns)]
    return [
        column.path_in_schema
        for column in columns
        if column.path_in_schema in texts
        and {"RLE_DICTIONARY", "PLAIN_DICTIONARY"} & set(column.encodings)
        and column.total_uncompressed_size <= DICTIONARY_BYTES + CODE_BYTES * column.num_values
    ]
