"""Steps of formulas: a new column from others, and the rows for which something is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from clary.data.batch import Batch, Field, Kind, Schema
from clary.data.errors import RecipeError, StepError
from clary.data.recipe.step import FittedStep, Fitting, Step, need, step
from clary.data.recipe.steps.formula.nodes import Node, Type
from clary.data.recipe.steps.formula.parse import parsed
from clary.data.recipe.steps.training import RowStep

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode


@dataclass(frozen=True, kw_only=True)
class OfExpression(Step):
    """A step whose columns are those that its expression names.

    expression  of columns by their names, or `col("odd name")`; numbers, texts in quotes, True and False; + - * / // %
                **; comparisons; in [...]; and, or, not; `a if condition else b`; the functions abs, ceil, exp, floor,
                isnull, log, log1p, max, min, round, sqrt, where(condition, a, b). Numbers are float64; arithmetic with
                a missing value is missing, a comparison with it is false (!= and not in: true); what has no
                value, as the logarithm of -1, is missing. A time may be compared with a text: `day >= "2030-12-31"`.
    """

    expression: str

    def __post_init__(self) -> None:
        need(not self.columns, "the step reads the columns that its expression names; leave `columns` out", "columns")
        try:
            parsed(self.expression)
        except RecipeError as error:
            raise RecipeError(f"expression: {error}") from None

    def chosen(self, schema: Schema) -> tuple[str, ...]:
        names = parsed(self.expression).columns
        for name in names:
            schema[name]  # raises StepError where it is not there
        return names

    @property
    def names_columns(self) -> bool:
        return all(name.isidentifier() for name in parsed(self.expression).columns)

    def kinds_of(self, schema: Schema) -> tuple[Kind, ...]:
        return tuple(schema[name].kind for name in self.chosen(schema))


@step
@dataclass(frozen=True, kw_only=True)
class Expression(OfExpression):
    """A new column, computed from others.

    into  the name of the column; a column of that name is replaced
    A condition makes a boolean column, everything else a number column.
    """

    into: str

    name: ClassVar[str] = "expression"

    def __post_init__(self) -> None:
        super().__post_init__()
        need(bool(self.into), "the new column needs a name", "into")

    def writes(self, schema: Schema) -> tuple[str, ...]:
        return (self.into,)

    def fitting(self, schema: Schema) -> Fitting:
        kinds = self.kinds_of(schema)
        node = parsed(self.expression).bound(kinds)
        if node.type in (Type.TEXT, Type.TIME):
            raise StepError(f"the expression is {node.type}; it has to be a number or a condition")
        yield from ()  # nothing is learnt from the table
        return FittedExpression(self.expression, tuple(map(str, kinds)), self.into)


@dataclass(frozen=True)
class FittedExpression(FittedStep):
    """kinds: of the columns that the expression names, in order."""

    expression: str
    kinds: tuple[str, ...]
    into: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return parsed(self.expression).columns

    @property
    def made(self) -> tuple[Field, ...]:
        return (Field(self.into, Kind.BOOLEAN if self.node.type is Type.CONDITION else Kind.NUMBER),)

    @property
    def node(self) -> Node:
        return bound(self.expression, self.kinds)

    def transform(self, batch: Batch) -> Batch:
        return batch.replaced((), {self.into: values_of(self.node, batch)})

    def row(self, code: RowCode) -> None:
        value = self.node.code(code)
        code.write(self.into, f"1.0 if {value} else 0.0" if self.node.type is Type.CONDITION else f"{value}")

    def notes(self) -> Sequence[str]:
        return (f"{self.into!r} is {self.expression}.",)


def bound(expression: str, kinds: tuple[str, ...]) -> Node:
    return parsed(expression).bound(tuple(Kind(kind) for kind in kinds))


def values_of(node: Node, batch: Batch) -> Any:
    """(rows,) bool of a condition, else float64."""
    values = node.values(batch)
    wanted = bool if node.type is Type.CONDITION else np.float64
    if np.ndim(values) == 0:
        return np.full(batch.rows, values, wanted)
    return np.asarray(values).astype(wanted, copy=False)


@step
@dataclass(frozen=True, kw_only=True)
class Filter(OfExpression):
    """Keep the rows for which an expression is true. Only of the rows that are learnt from: at inference all stay."""

    name: ClassVar[str] = "filter"
    keeps_schema: ClassVar[bool] = True
    changes_rows: ClassVar[bool] = True

    def writes(self, schema: Schema) -> tuple[str, ...]:
        return ()

    def fitting(self, schema: Schema) -> Fitting:
        kinds = self.kinds_of(schema)
        node = parsed(self.expression).bound(kinds)
        if node.type not in (Type.CONDITION, Type.FLAG):
            raise StepError(f"the expression is {node.type}; it has to be a condition, as in `age >= 18`")
        yield from ()  # nothing is learnt from the table
        return RowsWhere(self.expression, tuple(map(str, kinds)))


@dataclass(frozen=True)
class RowsWhere(RowStep):
    expression: str
    kinds: tuple[str, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        return parsed(self.expression).columns

    def transform(self, batch: Batch) -> Batch:
        values = values_of(bound(self.expression, self.kinds), batch)
        return batch.take(values == 1.0)

    def notes(self) -> Sequence[str]:
        return (f"Rows were kept where {self.expression}.",)
