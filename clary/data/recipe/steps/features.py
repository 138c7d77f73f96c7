"""The numeric features of some columns, a block's columns one by one: what extraction and selection work on."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Kind, Schema
from clary.data.errors import StepError
from clary.data.statistics.base import Statistic
from clary.data.statistics.gaps import Gap, Gaps
from clary.data.statistics.products import Product

NUMERIC = (Kind.NUMBER, Kind.BOOLEAN, Kind.BLOCK)
FILL = "fill it first (step `impute`)"
ROUNDING = 8 * np.finfo(np.float64).eps  # a column that differs by no more, relative to its mean, is constant
_ROWS = 1_024  # processed at once, so that intermediate results stays in the processor's caches


@dataclass(frozen=True)
class Feature:
    """One numeric column: of its own, or one of a block's.

    name    its own
    column  where it is; its own name, or the block's
    place   in the block; -1 where it is a column of its own
    """

    name: str
    column: str
    place: int = -1


def features(schema: Schema, columns: Iterable[str]) -> tuple[Feature, ...]:
    """Of these columns, in their order. Raises StepError where there is none."""
    found: list[Feature] = []
    for name in columns:
        field = schema[name]
        if field.kind is Kind.BLOCK:
            found.extend(Feature(inner, name, place) for place, inner in enumerate(field.names))
        else:
            found.append(Feature(name, name))
    if not found:
        raise StepError("there are no columns of the kind that it works on; name them in `columns`")
    return tuple(found)


def check_free(schema: Schema, removed: Iterable[str], made: Sequence[str]) -> None:
    """Raise StepError where a column of a name that is about to be made is there, and stays."""
    kept = (field for field in schema.fields if field.name not in set(removed))
    taken = {name for field in kept for name in (field.name, *field.names)} & set(made)
    if taken:
        raise StepError("there is such a column already; rename it, or choose another `prefix`", column=min(taken))


def whole_matrix(batch: Batch, names: Iterable[str]) -> Any:
    """(rows, features), float64; a csr_matrix where a block is sparse.

    Raises StepError naming row and column where a value is missing or infinite.
    """
    chosen = batch.only(names)
    matrix = chosen.matrix()
    values = matrix if isinstance(matrix, np.ndarray) else matrix.data
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(values.sum())
    if not math.isfinite(total) and not np.isfinite(values).all():
        row, place = _first_bad(matrix)
        problem = "infinite" if np.isinf(matrix[row, place]) else "missing"
        number = int(batch.row_numbers[row])
        raise StepError(
            f"row {number} (the first is 0): the value is {problem}; {FILL}", column=_name_at(chosen, place)
        )
    return matrix


def _first_bad(matrix: Any) -> tuple[int, int]:
    if isinstance(matrix, np.ndarray):
        rows, places = np.nonzero(~np.isfinite(matrix))
    else:
        entries = matrix.tocoo()
        bad = ~np.isfinite(entries.data)
        rows, places = entries.row[bad], entries.col[bad]
    return int(rows[0]), int(places[0])


def _name_at(batch: Batch, place: int) -> str:
    return batch.schema.flat_names[place]


def refuse_gaps(names: tuple[str, ...], flat: Sequence[str]) -> Generator[Sequence[Statistic[Any, Any]], Any, NoReturn]:
    """Read the table once more, and raise StepError naming the column with the most missing or infinite values."""
    (gaps,) = cast("Sequence[Gap]", (yield [Gaps(names)]))
    bad = gaps.missing + gaps.infinite
    worst = int(bad.argmax())
    others = int(np.count_nonzero(bad)) - 1
    more = f" (and there are {others} more such columns)" if others else ""
    raise StepError(
        f"{int(gaps.missing[worst])} of {gaps.rows} values are missing and {int(gaps.infinite[worst])} are infinite"
        f"{more}; {FILL}",
        column=flat[worst],
    )


def by_row(matrix: Any, weights: NDArray[np.float64], mean: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """(matrix - mean) @ weights, (rows, outputs): the same bits for a row whatever rows are around it.

    BLAS adds up in an order that depends on how many rows there are. scipy's product of a sparse matrix goes row by
    row and feature by feature, so a dense matrix is handed to it as a sparse matrix that lacks no entry.
    """
    from scipy.sparse import csr_matrix

    rows, width = matrix.shape
    dense = isinstance(matrix, np.ndarray)
    if not dense and mean is None:
        return np.asarray(matrix @ weights, np.float64)
    at_once = min(rows, _ROWS)
    places = np.tile(np.arange(width, dtype=np.int32), at_once)
    starts = np.arange(at_once + 1, dtype=np.int32) * np.int32(width)
    made = np.empty((rows, weights.shape[1]))
    for first in range(0, rows, _ROWS):
        part = matrix[first : first + _ROWS]
        part = part if dense else part.toarray()
        part = part if mean is None else part - mean
        count = len(part)
        entries = (np.ascontiguousarray(part).ravel(), places[: count * width], starts[: count + 1])
        made[first : first + count] = csr_matrix(entries, shape=(count, width)) @ weights
    return made


def varies(product: Product) -> NDArray[np.bool_]:
    """(k,), whether each column is more than one value and its rounding."""
    varying: NDArray[np.bool_] = np.diag(product.cross) > product.count * (ROUNDING * product.mean) ** 2
    return varying


def numbered(prefix: str, count: int) -> tuple[str, ...]:
    """pca_1, pca_2, …"""
    return tuple(f"{prefix}_{place + 1}" for place in range(count))


def columns_of(matrix: NDArray[Any], names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The matrix's columns, each in memory of its own, under these names."""
    return dict(zip(names, np.ascontiguousarray(matrix.T), strict=True))


def sampled(complete: bool, rows: int) -> tuple[str, ...]:
    """The note for an algorithm that was fitted on a sample."""
    return () if complete else (f"It was fitted on a random sample of {rows:,} rows.",)
