"""A table of a label and a matrix, dense or sparse: the content of libsvm and RecordIO files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from clary.data.notes import Note
from clary.data.scans import BATCH_ROWS, Part, cores
from clary.data.sources.spill import batches_without_columns


class MatrixScan:
    """The first columns are arrays of their own, the others those of a matrix, which stays sparse if it is."""

    def __init__(self, first: dict[str, Any], names: Sequence[str], matrix: Any, notes: Sequence[Note]) -> None:
        self._first, self._names, self._matrix, self._notes = first, list(names), matrix, tuple(notes)
        self._places = {name: place for place, name in enumerate(self._names)}

    @property
    def arrow_schema(self) -> pa.Schema:
        first = [(name, pa.from_numpy_dtype(values.dtype)) for name, values in self._first.items()]
        return pa.schema(first + [(name, pa.from_numpy_dtype(self._matrix.dtype)) for name in self._names])

    @property
    def rows(self) -> int:
        return int(self._matrix.shape[0])

    @property
    def notes(self) -> Sequence[Note]:
        return self._notes

    def parts(self) -> Sequence[Part]:
        size = max(BATCH_ROWS, -(-self.rows // (4 * cores())))
        return [MatrixPart(self, start, min(start + size, self.rows)) for start in range(0, self.rows, size)]

    def read(self, start: int, end: int, columns: Sequence[str]) -> pa.RecordBatch:
        wanted = [self._places[name] for name in columns if name in self._places]
        rows = self._matrix[start:end][:, wanted]
        dense = iter((rows if isinstance(rows, np.ndarray) else rows.toarray()).T)
        arrays = [pa.array(next(dense) if name in self._places else self._first[name][start:end]) for name in columns]
        return pa.RecordBatch.from_arrays(arrays, list(columns))

    def frame(self) -> Any:
        """As a DataFrame, whose columns are sparse where the matrix is."""
        import pandas as pd

        if isinstance(self._matrix, np.ndarray):
            features = pd.DataFrame(self._matrix, columns=self._names)
        else:
            sparse: Any = pd.DataFrame.sparse
            features = sparse.from_spmatrix(self._matrix, columns=self._names)
        return pd.concat([pd.DataFrame(self._first), features], axis=1) if self._first else features


@dataclass(frozen=True)
class MatrixPart:
    scan: MatrixScan
    first_row: int
    end: int

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        if not columns:
            yield from batches_without_columns(self.end - self.first_row, rows)
            return
        for start in range(self.first_row, self.end, rows):
            yield self.scan.read(start, min(start + rows, self.end), columns)
