"""A fitted recipe as one Python function of one row: what `RowCode` has written, compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from clary.data.batch import Kind, Schema, kind_of_arrow
from clary.data.errors import DataError
from clary.data.recipe.row.check import check_source
from clary.data.recipe.row.code import RowCode, Transformation
from clary.data.recipe.row.values import READERS, in_column_order, missing_columns, reader_of


@dataclass(frozen=True)
class RowFunction:
    """A fitted recipe for one row: call it with a mapping from column to value, or with a sequence in `columns`' order.

    columns  what a sequence holds, in order
    needed   those of them that are read: a mapping need not have the others
    names    of the values that come out
    kinds    the kinds of those columns
    source   of the function, for reading
    quick    the function itself; the rows it raises for are left to `slow`
    """

    columns: tuple[str, ...]
    needed: tuple[str, ...]
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    source: str
    quick: Callable[[Any], tuple[Any, ...]]
    slow: Callable[[Any], tuple[Any, ...]]

    def __call__(self, row: Mapping[str, Any] | Sequence[Any]) -> tuple[Any, ...]:
        """The features of one row. Raises DataError for values that do not fit their column."""
        try:
            return self.quick(row)
        except (ArithmeticError, LookupError):
            return self.slow(row)


def compiled(
    steps: Sequence[tuple[str, Transformation]],
    columns: pa.Schema,
    needed: Sequence[str],
    outputs: Sequence[str],
) -> RowFunction:
    """The function of these steps.

    steps    with what messages call each
    columns  of a row, in their order
    needed   those of them that the steps begin with
    outputs  the columns wanted of what the last step leaves
    """
    quick = _code(steps, columns, needed, generated=True)
    slow = _code(steps, columns, needed, generated=False)
    final = [quick.schema[name] for name in outputs]
    source, function = _function(quick, columns, needed, outputs)
    return RowFunction(
        columns=tuple(columns.names),
        needed=tuple(needed),
        names=Schema(tuple(final)).flat_names,
        kinds=tuple(
            kind for field in final for kind in ([Kind.NUMBER] * len(field.names) if field.names else [field.kind])
        ),
        source=source,
        quick=function,
        slow=_function(slow, columns, needed, outputs)[1],
    )


def _code(
    steps: Sequence[tuple[str, Transformation]], columns: pa.Schema, needed: Sequence[str], *, generated: bool
) -> RowCode:
    code = RowCode(Schema.of_arrow(pa.schema([columns.field(name) for name in needed])))
    for label, step in steps:
        code.add(step, label, generated=generated)
    return code


def _function(
    code: RowCode, columns: pa.Schema, needed: Sequence[str], outputs: Sequence[str]
) -> tuple[str, Callable[[Any], tuple[Any, ...]]]:
    """Its source, and what Python makes of it."""
    places = [columns.get_field_index(name) for name in needed]
    variables = [f"v{place}" for place in range(len(needed))]
    keys = [code.constant(name) for name in needed]
    reader = code.constant(Ordered(tuple(columns.names), tuple(places)))
    body = [
        "if row.__class__ is dict:",
        "    try:",
        *(f"        {variable} = row[{key}]" for variable, key in zip(variables, keys, strict=True)),
        "        pass",
        "    except KeyError:",
        f"        raise {code.constant(Absent(tuple(needed)))}(row) from None",
        "else:",
        f"    [{', '.join(variables)}] = {reader}(row)",
    ]
    for variable, key, name in zip(variables, keys, needed, strict=True):
        body += _reading(code, variable, key, columns.field(name).type)
    check_source(code.lines)
    body += [*code.lines, f"return {code.result(outputs)}"]
    if code.uses_ufuncs:
        body = [f"with {code.constant(np.errstate)}(all='ignore'):", *(f"    {line}" for line in body)]
    source = "\n".join(["def function(row):", *(f"    {line}" for line in body)]) + "\n"
    names = dict(code.constants)
    # What is run is put together above and by steps' `row`, of names that are made in this file, and has been checked.
    exec(compile(source, "<row of a recipe>", "exec"), names)  # noqa: S102
    return source, names["function"]


def _reading(code: RowCode, variable: str, key: str, given: pa.DataType) -> list[str]:
    """Lines that convert a received value to what the code takes; of the right class already it is left."""
    kind = kind_of_arrow(given)
    usual, reader = READERS.get(kind, (None, None))
    call = f"{variable} = {code.constant(reader or reader_of(given))}({variable}, {key})"
    if usual is float and kind is Kind.NUMBER:
        return [f"if {variable}.__class__ is not float:", f"    {call}"]
    if usual is str:
        return [f"if {variable}.__class__ is not str and {variable} is not None:", f"    {call}"]
    return [call]


@dataclass(frozen=True)
class Absent:
    """Makes the error for a row that lacks a column."""

    needed: tuple[str, ...]

    def __call__(self, row: Mapping[str, Any]) -> DataError:
        return missing_columns([name for name in self.needed if name not in row])


@dataclass(frozen=True)
class Ordered:
    """The values needed of a row that is no plain dict, or that lacks some."""

    columns: tuple[str, ...]
    needed: tuple[int, ...]

    def __call__(self, row: object) -> list[Any]:
        return in_column_order(row, self.columns, self.needed)
