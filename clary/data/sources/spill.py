"""A table that was parsed once and is read many times: chunks of rows in a file, or in memory.

Each chunk is an Arrow IPC stream of its own, since a stream may have its own dictionaries and, where a column was
widened on the way, its own types. Chunks are read by pread: what is read is forgotten, and no map of a large file
counts as this process's memory.
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
    """Where some rows lie: a range of the file, or a batch in memory."""

    rows: int
    first_row: int
    offset: int = 0
    length: int = 0
    batch: pa.RecordBatch | None = None


class Spill:
    """Chunks, put down one after the other.

    folder  where the file goes, removed with the spill; None keeps all in memory
    """

    def __init__(self, folder: str | os.PathLike[str] | None, on_disk: bool = True) -> None:
        self.chunks: list[Chunk] = []
        self.rows = 0
        self._lock = threading.Lock()
        self._place: tempfile.TemporaryDirectory[str] | None = None
        self._descriptor = -1
        self._end = 0
        if on_disk:
            try:
                self._place = tempfile.TemporaryDirectory(prefix="clary-spill-", dir=folder)
                self._descriptor = os.open(Path(self._place.name, "rows.arrows"), os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise ReadError(f"no room to put parsed rows in {folder or tempfile.gettempdir()}: {error}") from None

    def add(self, batch: pa.RecordBatch) -> None:
        """Rows behind those before. Raises ReadError where the disk is full."""
        if self._descriptor < 0:
            self.chunks.append(Chunk(batch.num_rows, self.rows, batch=batch))
        else:
            data = _stream_of(batch)
            self._write(data)
            self.chunks.append(Chunk(batch.num_rows, self.rows, self._end, len(data)))
            self._end += len(data)
        self.rows += batch.num_rows

    def _write(self, data: pa.Buffer) -> None:
        left, at = memoryview(data), self._end
        try:
            while left:
                done = os.pwrite(self._descriptor, left, at)
                left, at = left[done:], at + done
        except OSError as error:
            raise ReadError(
                f"parsed rows cannot be put aside: {error.strerror}; name another folder by spill="
            ) from None

    def read(self, chunk: Chunk, columns: Sequence[str]) -> pa.RecordBatch:
        """These columns of a chunk, in this order, in the types it was written with. Raises ReadError."""
        if chunk.batch is not None:
            return _filled(chunk.batch, columns, chunk.rows)
        with self._lock:  # a descriptor that is closed may be another file's the next moment
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
        """Forget all rows, to begin again."""
        self.chunks, self.rows, self._end = [], 0, 0

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
        if self._place is not None:
            self._place.cleanup()

    def __del__(self) -> None:
        if getattr(self, "_lock", None) is not None:
            self.close()


def _filled(batch: pa.RecordBatch | None, columns: Sequence[str], rows: int) -> pa.RecordBatch:
    """The wanted columns; those that a chunk has not are missing throughout."""
    here = dict(zip(batch.schema.names, batch.columns, strict=True)) if batch is not None else {}
    arrays = [here[name] if name in here else pa.nulls(rows) for name in columns]
    return pa.RecordBatch.from_arrays(arrays, list(columns))


def _stream_of(batch: pa.RecordBatch) -> pa.Buffer:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, batch.schema, options=pa.ipc.IpcWriteOptions(use_threads=False)) as writer:
        writer.write_batch(batch)
    return out.getvalue()


class SpillScan:
    """What was spilled, as a table. Rows go when the last who holds it, or a part of it, does; or at `close`."""

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
        return [SpillPart(self._spill, self._schema, chunks[at : at + size]) for at in range(0, len(chunks), size)]

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
                yield from of_no_columns(chunk.rows, rows)
                continue
            batch = self._spill.read(chunk, columns)
            arrays = [fitted(batch.column(at), self._schema.field(name).type) for at, name in enumerate(columns)]
            whole = pa.RecordBatch.from_arrays(arrays, list(columns))
            for start in range(0, chunk.rows, rows):
                yield whole.slice(start, rows)


def fitted(array: pa.Array, wanted: pa.DataType) -> Any:
    """The same values in a wider type: nothing as anything, whole numbers as numbers, plain text as coded."""
    if array.type == wanted:
        return array
    if pa.types.is_dictionary(wanted) and not pa.types.is_dictionary(array.type):
        return array.cast(wanted.value_type).dictionary_encode()
    # As floats, whole numbers beyond 2**53 are rounded: all that a float holds.
    return array.cast(wanted, safe=not pa.types.is_floating(wanted))


def of_no_columns(count: int, rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of that many rows in all, without a column: Arrow would count such rows as none."""
    for start in range(0, count, rows):
        nothing = pa.nulls(min(rows, count - start))
        yield pa.RecordBatch.from_struct_array(pa.StructArray.from_arrays([nothing], [""])).select([])
