"""Feather: Arrow's IPC file format, compressed by LZ4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

import pyarrow as pa

from clary.data.batch import Batch
from clary.data.sinks.base import OpenFile
from clary.data.sinks.columns import Columns


@dataclass(frozen=True)
class FeatherFormat:
    ending: str = ".feather"
    sparse: bool = False

    def open(self, stream: IO[bytes], columns: Columns) -> OpenFile:
        return _FeatherFile(stream, columns)


class _FeatherFile:
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
