"""Parquet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO

import pyarrow as pa

from clary.data.batch import Batch
from clary.data.sinks.base import OpenFile
from clary.data.sinks.columns import Columns

ROW_GROUP_ROWS = 1 << 17
ROW_GROUP_BYTES = 128 << 20


@dataclass(frozen=True)
class ParquetFormat:
    ending: str = ".parquet"
    sparse: bool = False

    def open(self, stream: IO[bytes], columns: Columns) -> OpenFile:
        return _ParquetFile(stream, columns)


class _ParquetFile:
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
