"""Columns made by users' code: converted to a batch's forms, and compared with those made while fitting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from clary.data.batch import Batch, Block, Column, Field, Kind, column_of, kind_of, some, strings
from clary.data.errors import StepError
from clary.data.recipe.step import FittedStep
from clary.data.recipe.steps.estimators import errors_reported
from clary.data.recipe.steps.features import numbered

if TYPE_CHECKING:
    import pandas as pd

_MANY = 256  # columns of numbers are one block from here on


@dataclass(frozen=True)
class UserCodeStep(FittedStep):
    """Columns made by users' code: they are compared with those made while fitting."""

    names: tuple[str, ...]
    fields_made: tuple[Field, ...]
    keep_columns: bool
    called: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.names

    @property
    def made(self) -> tuple[Field, ...]:
        return self.fields_made

    @property
    def removed(self) -> tuple[str, ...]:
        made = {field.name for field in self.fields_made}
        return () if self.keep_columns else tuple(name for name in self.names if name not in made)

    def put(self, batch: Batch, columns: Mapping[str, Column]) -> Batch:
        if tuple(columns) != tuple(field.name for field in self.fields_made):
            raise StepError(
                f"{self.called} made the columns {some(columns)}; while fitting it made "
                f"{some(field.name for field in self.fields_made)}"
            )
        made = {}
        for field in self.fields_made:
            made[field.name] = same_kind(field, columns[field.name], self.called)
        return batch.replaced(self.removed, made)


def frame_of(batch: Batch) -> pd.DataFrame:
    """For users' code: text is strings, whether it was coded in the batch or not."""
    columns = {
        name: strings(column) if kind_of(column) is Kind.TEXT else column for name, column in batch.columns.items()
    }
    return Batch(columns, batch.rows).to_pandas()


def empty(field: Field) -> Column:
    """No rows of such a column."""
    match field.kind:
        case Kind.BLOCK:
            return Block(field.names, np.empty((0, len(field.names))))
        case Kind.TEXT:
            return pa.array([], pa.string())
        case Kind.TIME:
            return np.empty(0, "datetime64[us]")
        case Kind.BOOLEAN:
            return np.empty(0, np.bool_)
        case Kind.OTHER:
            return pa.nulls(0, pa.binary())
        case _:
            return np.empty(0)


def table_of(result: Any, rows: int, called: str) -> Any:
    """A table of two dimensions, and of as many rows. Raises StepError for anything else."""
    import pandas as pd

    if isinstance(result, pd.Series):
        result = result.to_frame(result.name if result.name is not None else "made")
    if isinstance(result, pd.DataFrame) or hasattr(result, "tocsr"):
        table = result
    else:
        with errors_reported(called):
            table = np.asarray(result)
        table = table[:, None] if table.ndim == 1 else table
    if len(table.shape) != 2 or table.shape[0] != rows:
        shape = tuple(table.shape)
        raise StepError(f"{called} returned a table of shape {shape} for {rows} rows: it has to keep rows as they are")
    return table


def output_names(estimator: Any, result: Any, prefix: str) -> tuple[str, ...]:
    import pandas as pd

    if isinstance(result, pd.DataFrame):
        names = [str(name) for name in result.columns]
    else:
        names = list(numbered(prefix, result.shape[1]))
        if hasattr(estimator, "get_feature_names_out"):
            with errors_reported(f"get_feature_names_out of {type(estimator).__name__}"):
                names = [str(name) for name in estimator.get_feature_names_out()]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise StepError(f"it makes two columns of one name: {some(twice)}")
    return tuple(names)


def columns_from(result: Any, names: Sequence[str], prefix: str) -> dict[str, Column]:
    """The columns of what came out, in a batch's forms; very many numbers, or a sparse matrix, as one block."""
    import pandas as pd

    from clary.data.frames import arrow_of_pandas

    if hasattr(result, "tocsr") and not isinstance(result, pd.DataFrame):
        from scipy.sparse import csr_matrix

        return {prefix: Block(tuple(names), csr_matrix(result))}
    if isinstance(result, pd.DataFrame):
        table = arrow_of_pandas(result)[0]
        return {name: column_of(table.column(place)) for place, name in enumerate(names)}
    if result.dtype.kind in "fiub":
        if result.shape[1] > _MANY:
            return {prefix: Block(tuple(names), np.ascontiguousarray(result))}
        return {name: np.ascontiguousarray(result[:, place]) for place, name in enumerate(names)}
    frame = pd.DataFrame(result, columns=list(names)).infer_objects()
    return columns_from(frame, names, prefix)


def field_of(name: str, column: Column) -> Field:
    return Field(name, kind_of(column), column.names if isinstance(column, Block) else ())


def same_kind(field: Field, column: Column, called: str) -> Column:
    """The column, if it is of the kind it was while fitting. A column without any value is of any kind."""
    kind = kind_of(column)
    if kind is field.kind or {kind, field.kind} == {Kind.NUMBER, Kind.BOOLEAN}:
        return column
    if kind is Kind.NUMBER and np.isnan(column).all():
        nothing = {Kind.TEXT: pa.string(), Kind.TIME: pa.timestamp("us")}.get(field.kind)
        if nothing is not None:
            return column_of(pa.nulls(len(column), nothing))
    raise StepError(f"{called} made {kind}; while fitting it made {field.kind}", column=field.name)
