"""Batches distributed over files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clary.data.batch import Batch, Block
from clary.data.errors import DataError
from clary.data.sinks.base import Format, OpenFile
from clary.data.sinks.columns import Columns
from clary.data.sinks.files import Files

# Of the sparse columns of a batch, once they are dense.
DENSE_VALUES = 1 << 23


class ShardedSink:
    """A sink that writes one file, a new file after so many rows, or a fixed number of files in parallel."""

    def __init__(
        self, files: Files, file_format: Format, columns: Columns, rows_per_file: int | None, shards: int
    ) -> None:
        self._files, self._format, self._columns = files, file_format, columns
        self._rows_per_file, self._shards = rows_per_file, shards
        self._open: list[OpenFile] = []
        self._rows = 0  # in the newest file, where there is a limit
        self._batches = 0
        self._closed = False

    def write(self, batch: Batch) -> None:
        if self._closed:
            raise DataError("the sink was closed")
        batch = self._columns.settle(batch)
        try:
            for piece in self._pieces(batch):
                self._put(piece)
        except OSError as error:
            raise DataError(f"it cannot be written: {error.strerror or error}") from None
        self._batches += 1

    def _pieces(self, batch: Batch) -> list[Batch]:
        """The batch in slices whose sparse columns can be made dense."""
        wide = sum(
            len(column.names) for column in batch.columns.values() if isinstance(column, Block) and column.sparse
        )
        limit = batch.rows if not wide or self._format.sparse else max(1, DENSE_VALUES // wide)
        return (
            [batch] if batch.rows <= limit else [_slice(batch, start, limit) for start in range(0, batch.rows, limit)]
        )

    def _put(self, batch: Batch) -> None:
        if self._rows_per_file is None:
            self._distribute(batch)
            return
        start = 0
        while start < batch.rows:
            if not self._open or self._rows == self._rows_per_file:
                self._finish()
                self._begin()
                self._rows = 0
            piece = _slice(batch, start, self._rows_per_file - self._rows)
            self._open[0].write(piece)
            start += piece.rows
            self._rows += piece.rows

    def _distribute(self, batch: Batch) -> None:
        """Give each file an equal share; which file gets an additional row changes from batch to batch."""
        while len(self._open) < self._shards:
            self._begin()
        bounds = np.linspace(0, batch.rows, self._shards + 1).astype(int)
        for place in range(self._shards):
            start, end = int(bounds[place]), int(bounds[place + 1])
            if end > start:
                self._open[(place + self._batches) % self._shards].write(_slice(batch, start, end - start))

    def _begin(self) -> None:
        self._open.append(self._format.open(self._files.new(), self._columns))

    def _finish(self) -> None:
        for file in self._open:
            file.close()
        self._open = []

    def close(self) -> Sequence[str]:
        if self._closed:
            raise DataError("the sink was closed")
        self._closed = True
        try:
            if not self._columns.known:
                raise DataError("nothing was written: there was no batch, and no schema")
            while len(self._open) < (self._shards if self._rows_per_file is None else int(not self._batches)):
                self._begin()
            self._finish()
            return self._files.keep()
        except OSError as error:
            raise DataError(f"it cannot be written: {error.strerror or error}") from None
        finally:
            self._files.drop()

    def abort(self) -> None:
        self._closed = True
        self._open = []
        self._files.drop()


def _slice(batch: Batch, start: int, rows: int) -> Batch:
    if start == 0 and rows >= batch.rows:
        return batch
    end = min(start + rows, batch.rows)
    columns = {
        name: Block(column.names, column.matrix[start:end]) if isinstance(column, Block) else column[start:end]
        for name, column in batch.columns.items()
    }
    return Batch(columns, end - start, batch.first_row + start)
