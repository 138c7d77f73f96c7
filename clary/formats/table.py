"""Rows of numbers, whatever the format of their file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

# What is read: a file or a pipe, or the body of a request.
Source = Path | bytes


class FormatError(ValueError):
    """The data are not in the format that is claimed; the message has the place and the reason."""


@dataclass(frozen=True, slots=True)
class Table:
    """features  (rows, columns) float32: an array, NaN where a cell is missing, or a scipy csr_matrix, where what is
                 absent is missing
    labels       (rows,) float32, or None where there are none; weights likewise, one per row
    groups       (rows,) the query each row belongs to, for ranking
    """

    features: Any
    labels: Vector | None = None
    weights: Vector | None = None
    groups: NDArray[np.int64] | None = None

    @property
    def rows(self) -> int:
        return int(self.features.shape[0])

    @property
    def columns(self) -> int:
        return int(self.features.shape[1])

    @property
    def sparse(self) -> bool:
        return hasattr(self.features, "indptr")


def name_of(source: Source) -> str:
    return source.name if isinstance(source, Path) else "the body"


def contents(source: Source) -> bytes:
    return source.read_bytes() if isinstance(source, Path) else source


def empty(labelled: bool) -> Table:
    import numpy as np

    return Table(np.empty((0, 0), dtype=np.float32), labels=np.empty(0, dtype=np.float32) if labelled else None)


def stack(tables: Sequence[tuple[str, Table]]) -> Table | None:
    """The tables concatenated; None where none has a row. Raises FormatError, by name, where they do not fit.

    Sparse tables are widened to the widest: a row need not mention the columns behind its last value.
    """
    filled = [(name, table) for name, table in tables if table.rows]
    if len(filled) < 2:
        return filled[0][1] if filled else None
    first_name, first = filled[0]
    for name, table in filled[1:]:
        if table.sparse != first.sparse:
            raise FormatError(f"{name} is {_density(table)} while {first_name} is {_density(first)}.")
        if not table.sparse and table.columns != first.columns:
            raise FormatError(f"{name} has {table.columns} features while {first_name} has {first.columns}.")
        for field in ("labels", "weights", "groups"):
            if (getattr(table, field) is None) != (getattr(first, field) is None):
                raise FormatError(f"Of {name} and {first_name} only one has {field}.")
    stacked = [table for _, table in filled]
    return Table(_stack_features(stacked), *(_join(stacked, field) for field in ("labels", "weights", "groups")))


def widen(features: Any, columns: int) -> Any:
    """A sparse matrix with at least that many columns."""
    if features.shape[1] < columns:
        features = features.copy()
        features.resize(features.shape[0], columns)
    return features


def check_unique(matrix: Any, name: str) -> None:
    """Sort a new sparse matrix. Raises FormatError where a row has a feature twice."""
    import numpy as np

    matrix.sort_indices()
    if not matrix.has_canonical_format:
        repeated = np.flatnonzero(np.diff(matrix.indices) == 0) + 1
        rows = np.searchsorted(matrix.indptr, np.setdiff1d(repeated, matrix.indptr), side="right")
        raise FormatError(f"{name}, row {rows[0]}: a feature occurs twice.")


def _stack_features(tables: list[Table]) -> Any:
    if not tables[0].sparse:
        import numpy as np

        return np.vstack([table.features for table in tables])
    from scipy.sparse import vstack

    columns = max(table.columns for table in tables)
    return vstack([widen(table.features, columns) for table in tables], format="csr")


def _join(tables: list[Table], field: str) -> Any:
    if getattr(tables[0], field) is None:
        return None
    import numpy as np

    return np.concatenate([getattr(table, field) for table in tables])


def _density(table: Table) -> str:
    return "sparse" if table.sparse else "dense"
