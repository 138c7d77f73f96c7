"""A batch as a label and a matrix of features, for formats that hold nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Block, Kind, kind_of, numbers
from clary.data.errors import DataError
from clary.data.sinks.columns import Columns


def label_of(batch: Batch, columns: Columns) -> NDArray[np.float64] | None:
    """(rows,); None where no column is the label. Raises DataError."""
    return None if columns.label is None else _numbers(columns.label, batch[columns.label])


def features_of(batch: Batch, columns: Columns) -> Any:
    """(rows, features): an array, or a csr_matrix where a block is sparse. Raises DataError for text and the like."""
    from scipy import sparse

    parts: list[Any] = []
    for name, column in batch.columns.items():
        if name == columns.label:
            continue
        if isinstance(column, Block):
            if name in columns.blocks and column.names != columns.blocks[name]:
                raise DataError(f"block {name!r} has other columns in this batch than in earlier batches")
            parts.append(column.matrix)
        else:
            parts.append(_numbers(name, column)[:, None])
    if not parts:
        return np.empty((batch.rows, 0))
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.hstack(parts)
    return sparse.hstack([part if not isinstance(part, np.ndarray) else stored(part) for part in parts], format="csr")


def stored(matrix: Any) -> Any:
    """An array as a csr_matrix of all values that are not missing, zeros included; a csr_matrix as it is."""
    from scipy.sparse import csr_matrix

    if not isinstance(matrix, np.ndarray):
        return csr_matrix(matrix)
    present = ~np.isnan(matrix)
    pointers = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
    _, places = np.nonzero(present)
    return csr_matrix((matrix[present], places, pointers), shape=matrix.shape)


def _numbers(name: str, column: Any) -> NDArray[np.float64]:
    if kind_of(column) not in (Kind.NUMBER, Kind.BOOLEAN, Kind.TIME):
        raise DataError(f"column {name!r} holds {kind_of(column)}; this format has numbers only: encode it first")
    return numbers(column)
