"""A table that was parsed once and is read many times: chunks of rows in a file, or in memory.

Each chunk is an Arrow IPC stream of its own, since a stream may have its own dictionaries and, where a column was
widened on the way, its own types. Chunks are read by pread, not mapped, so that a large
file does not count as this process's memory.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from clary.data.errors import ReadError
from clary.data.notes import Note
from clary.data.scans import Part, cores

PARTS_PER_CORE = 4
DICTIONARY = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class Chunk:
    """The place of some rows: a range of the file, or a batch in memory."""

    rows: int
    first_row: int
    offset: int = 0
    length: int = 0
    batch: pa.RecordBatch | None = None


class Spill:
    """Chunks in order.

    folder   of the file, which is removed with the spill; None for the system's folder of temporary files
    on_disk  False keeps all rows in memory
    """

    def __init__(self, folder: str | os.PathLike[str] | None, on_disk: bool = True) -> None:
        self.chunks: list[Chunk] = []
        self.rows = 0
        self._lock = threading.Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._descriptor = -1
        self._end = 0
        if on_disk:
            try:
                self._folder = tempfile.TemporaryDirectory(prefix="clary-spill-", dir=folder)
                self._descriptor = os.open(Path(self._folder.name, "rows.arrows"), os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise ReadError(
                    f"parsed rows cannot be written to {folder or tempfile.gettempdir()}: {error}"
                ) from None

    def add(self, batch: pa.RecordBatch) -> None:
        """Append rows. Raises ReadError where the disk is full."""
        if self._descriptor < 0:
            self.chunks.append(Chunk(batch.num_rows, self.rows, batch=batch))
        else:
            data = _ipc_stream(batch)
            self._write(data)
            self.chunks.append(Chunk(batch.num_rows, self.rows, self._end, len(data)))
            self._end += len(data)
        self.rows += batch.num_rows

    def _write(self, data: pa.Buffer) -> None:
        remaining, position = memoryview(data), self._end
        try:
            while remaining:
                done = os.pwrite(self._descriptor, remaining, position)
                remaining, position = remaining[done:], position + done
        except OSError as error:
            raise ReadError(f"parsed rows cannot be written: {error.strerror}; give another folder by spill=") from None

    def read(self, chunk: Chunk, columns: Sequence[str]) -> pa.RecordBatch:
        """These columns of a chunk, in this order, in the types it was written with. Raises ReadError."""
        if chunk.batch is not None:
            return _filled(chunk.batch, columns, chunk.rows)
        with self._lock:  # a closed descriptor may soon belong to another file
            if self._descriptor < 0:
                raise ReadError("the scan was closed")
            descriptor = os.dup(self._descriptor)
        try:
            data = pa.py_buffer(os.pread(descriptor, chunk.length, chunk.offset))
        finally:
            os.close(descriptor)
        names = pa.ipc.read_schema(data).names
        if wanted := sorted(names.index(name) for name in columns if name in names):
            options = pa.ipc.IpcReadOptions(included_fields=wanted, use_threads=False)
            with pa.ipc.open_stream(data, options=options) as reader:
                return _filled(reader.read_next_batch(), columns, chunk.rows)
        return _filled(None, columns, chunk.rows)

    def clear(self) -> None:
        """Forget all rows."""
        self.chunks, self.rows, self._end = [], 0, 0

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
        if self._folder is not None:
            self._folder.cleanup()

    def __del__(self) -> None:
        if getattr(self, "_lock", None) is not None:
            self.close()


def _filled(batch: pa.RecordBatch | None, columns: Sequence[str], rows: int) -> pa.RecordBatch:
    """The wanted columns; a column that a chunk does not have is missing throughout."""
    present = dict(zip(batch.schema.names, batch.columns, strict=True)) if batch is not None else {}
    arrays = [present[name] if name in present else pa.nulls(rows) for name in columns]
    return pa.RecordBatch.from_arrays(arrays, list(columns))


def _ipc_stream(batch: pa.RecordBatch) -> pa.Buffer:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, batch.schema, options=pa.ipc.IpcWriteOptions(use_threads=False)) as writer:
        writer.write_batch(batch)
    return out.getvalue()


class SpillScan:
    """A spill as a table. Its rows are removed at `close`, or when nothing refers to it or a part of it any more."""

    def __init__(self, spill: Spill, schema: pa.Schema, notes: Sequence[Note] = ()) -> None:
        self._spill, self._schema, self._notes = spill, schema, tuple(notes)

    @property
    def arrow_schema(self) -> pa.Schema:
        return self._schema

    @property
    def rows(self) -> int:
        return self._spill.rows

    @property
    def notes(self) -> Sequence[Note]:
        return self._notes

    def parts(self) -> Sequence[Part]:
        chunks = [chunk for chunk in self._spill.chunks if chunk.rows]
        size = max(1, -(-len(chunks) // (PARTS_PER_CORE * cores())))
        return [
            SpillPart(self._spill, self._schema, chunks[start : start + size]) for start in range(0, len(chunks), size)
        ]

    def add_notes(self, notes: Sequence[Note]) -> None:
        self._notes += tuple(notes)

    def close(self) -> None:
        self._spill.close()

    def __enter__(self) -> SpillScan:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SpillPart:
    def __init__(self, spill: Spill, schema: pa.Schema, chunks: Sequence[Chunk]) -> None:
        self._spill, self._schema, self._chunks = spill, schema, chunks
        self.first_row = chunks[0].first_row

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        for chunk in self._chunks:
            if not columns:
                yield from batches_without_columns(chunk.rows, rows)
                continue
            batch = self._spill.read(chunk, columns)
            arrays = [fitted(batch.column(place), self._schema.field(name).type) for place, name in enumerate(columns)]
            whole = pa.RecordBatch.from_arrays(arrays, list(columns))
            for start in range(0, chunk.rows, rows):
                yield whole.slice(start, rows)


def fitted(array: pa.Array, wanted: pa.DataType) -> Any:
    """The same values in a wider type: nulls as any type, integers as floats, text as a dictionary."""
    if array.type == wanted:
        return array
    if pa.types.is_dictionary(wanted) and not pa.types.is_dictionary(array.type):
        return array.cast(wanted.value_type).dictionary_encode()
    # As floats, whole numbers beyond 2**53 are rounded.
    return array.cast(wanted, safe=not pa.types.is_floating(wanted))


def batches_without_columns(count: int, rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of so many rows in all, without a column: a table without columns would have no rows in Arrow."""
    for start in range(0, count, rows):
        nothing = pa.nulls(min(rows, count - start))
        yield pa.RecordBatch.from_struct_array(pa.StructArray.from_arrays([nothing], [""])).select([])
