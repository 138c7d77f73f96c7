"""Batches dealt out over files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clary.data.batch import Batch, Block
from clary.data.errors import DataError
from clary.data.sinks.base import Format, OpenFile
from clary.data.sinks.columns import Columns
from clary.data.sinks.files import Files

# What a batch may take once its sparse columns are dense.
DENSE_VALUES = 1 << 23


class ShardedSink:
    """A sink: one file, or a new one for each so many rows, or a given number side by side."""

    def __init__(
        self, files: Files, file_format: Format, columns: Columns, rows_per_file: int | None, shards: int
    ) -> None:
        self._files, self._format, self._columns = files, file_format, columns
        self._rows_per_file, self._shards = rows_per_file, shards
        self._open: list[OpenFile] = []
        self._rows = 0  # in the newest file, where there is a limit
        self._batches = 0
        self._over = False

    def write(self, batch: Batch) -> None:
        if self._over:
            raise DataError("the sink was closed")
        batch = self._columns.settle(batch)
        try:
            for piece in self._pieces(batch):
                self._put(piece)
        except OSError as error:
            raise DataError(f"it cannot be written: {error.strerror or error}") from None
        self._batches += 1

    def _pieces(self, batch: Batch) -> list[Batch]:
        """Of few enough rows that their sparse columns may be dense for a moment."""
        wide = sum(len(one.names) for one in batch.columns.values() if isinstance(one, Block) and one.sparse)
        most = batch.rows if not wide or self._format.sparse else max(1, DENSE_VALUES // wide)
        return [batch] if batch.rows <= most else [_slice(batch, at, most) for at in range(0, batch.rows, most)]

    def _put(self, batch: Batch) -> None:
        if self._rows_per_file is None:
            self._deal(batch)
            return
        at = 0
        while at < batch.rows:
            if not self._open or self._rows == self._rows_per_file:
                self._finish()
                self._begin()
                self._rows = 0
            piece = _slice(batch, at, self._rows_per_file - self._rows)
            self._open[0].write(piece)
            at += piece.rows
            self._rows += piece.rows

    def _deal(self, batch: Batch) -> None:
        """An equal share for each file; who gets the odd rows changes from batch to batch."""
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
        for one in self._open:
            one.close()
        self._open = []

    def close(self) -> Sequence[str]:
        if self._over:
            raise DataError("the sink was closed")
        self._over = True
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
        self._over = True
        self._open = []
        self._files.drop()


def _slice(batch: Batch, start: int, rows: int) -> Batch:
    if start == 0 and rows >= batch.rows:
        return batch
    end = min(start + rows, batch.rows)
    columns = {
        name: Block(one.names, one.matrix[start:end]) if isinstance(one, Block) else one[start:end]
        for name, one in batch.columns.items()
    }
    return Batch(columns, end - start, batch.first_row + start)
