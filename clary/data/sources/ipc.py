"""Arrow IPC: files and streams, and Feather of both versions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from clary.data.frames import distinct_names
from clary.data.notes import Note
from clary.data.scans import FrameScan, Part, Scan, cores
from clary.data.sources.chunks import spill_chunks
from clary.data.sources.input_file import InputFile
from clary.data.sources.read_options import ReadOptions
from clary.data.sources.spill import PARTS_PER_CORE, batches_without_columns

OPTIONS: frozenset[str] = frozenset()


def scan(file: InputFile, options: ReadOptions) -> Scan:
    """Raises ReadError."""
    head = file.head(8)
    if head.startswith(b"FEA1"):
        from pyarrow import feather

        with file.reading_as("Arrow IPC"), file.seekable() as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old files exist all the same
            table = feather.read_table(stream, memory_map=False)
            return FrameScan(table, [Note("It is Feather of version 1, and was read whole.")])
    if head.startswith(b"ARROW1"):
        return IpcScan(file)
    return spill_chunks(lambda _: _stream(file), options, [])


def _stream(file: InputFile) -> Iterator[pa.Table]:
    with file.reading_as("Arrow IPC"), file.reading(), file.open() as raw, pa.ipc.open_stream(raw) as reader:
        names = distinct_names(reader.schema.names)
        yield reader.schema.empty_table().rename_columns(names)
        for batch in reader:
            batch.validate(full=True)  # a damaged offset would point outside of the batch
            yield pa.Table.from_batches([batch]).rename_columns(names)


class IpcScan:
    """The record batches of a file, each read on demand; not mapped, so that nothing stays in memory."""

    def __init__(self, file: InputFile) -> None:
        self._file = file
        with self._opened() as reader:
            self._written = reader.schema.names
            self._types = reader.schema.types
            count = reader.num_record_batches
        with self._opened(self._fixed_width_column()) as reader:  # the number of rows of a batch is not in the footer
            self._counts = [reader.get_batch(place).num_rows for place in range(count)]
        self._names = distinct_names(self._written)

    def _fixed_width_column(self) -> list[int]:
        fixed = [place for place, kind in enumerate(self._types) if pa.types.is_primitive(kind)]
        return fixed[:1] or [0][: len(self._types)]

    @contextmanager
    def _opened(self, places: Sequence[int] = ()) -> Iterator[pa.RecordBatchFileReader]:
        options = pa.ipc.IpcReadOptions(included_fields=list(places) or None, use_threads=False)
        with self._file.reading_as("Arrow IPC"), self._file.seekable() as stream:
            path = self._file.path
            source = pa.OSFile(str(path)) if path is not None else pa.PythonFile(stream, mode="r")
            with source, pa.ipc.open_file(source, options=options) as reader:
                yield reader

    @property
    def arrow_schema(self) -> pa.Schema:
        return pa.schema(list(zip(self._names, self._types, strict=True)))

    @property
    def rows(self) -> int:
        return sum(self._counts)

    @property
    def notes(self) -> Sequence[Note]:
        pairs = zip(self._written, self._names, strict=True)
        return [
            Note(f"The column's name {old!r} is there twice; it is now {new!r}.", new)
            for old, new in pairs
            if old != new
        ]

    def parts(self) -> Sequence[Part]:
        part_rows = max(1, self.rows // (PARTS_PER_CORE * cores()))
        parts: list[Part] = []
        first_row, start, rows = 0, 0, 0
        for place, count in enumerate(self._counts):
            if rows and rows + count > part_rows:
                parts.append(IpcPart(self, first_row, range(start, place)))
                first_row, start, rows = first_row + rows, place, 0
            rows += count
        return [*parts, IpcPart(self, first_row, range(start, len(self._counts)))] if rows else parts

    def read(self, places: range, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        if not columns:
            yield from batches_without_columns(sum(self._counts[place] for place in places), rows)
            return
        wanted = [self._names.index(name) for name in columns]
        order = sorted(wanted)
        with self._opened(order) as reader:
            for place in places:
                batch = reader.get_batch(place)
                batch.validate(full=True)  # a damaged offset would point outside of the batch
                arrays = [batch.column(order.index(place)) for place in wanted]
                whole = pa.RecordBatch.from_arrays(arrays, list(columns))
                for start in range(0, whole.num_rows, rows):
                    yield whole.slice(start, rows)


@dataclass(frozen=True)
class IpcPart:
    scan: IpcScan
    first_row: int
    places: range

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        yield from self.scan.read(self.places, columns, rows)
