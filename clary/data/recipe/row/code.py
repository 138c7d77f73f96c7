"""A fitted recipe as one Python function of one row: microseconds instead of a batch's milliseconds.

Each fitted step writes its part of the function's source into a `RowCode`. Names in that source are made here
(v0, v1, … for values, k0, k1, … for constants); names and values of the data are bound, never written into it, so that
whatever a column is called, it stays a name and does not become code.

An example of a step's `row`:

    def row(self, code):
        for name, mean, scale in zip(self.names, self.mean, self.scale):
            code.write(name, f"({code.read(name)} - {code.constant(mean)}) / {code.constant(scale)}")

What values are in the code, by the kind of the column:

    number, boolean  a Python float, NaN where missing; true is 1.0
    text             a str, None where missing
    time             np.datetime64[us], UTC, NaT where missing
    block            a tuple of floats
    other            a pa.Array of that one value

Bit for bit as in a batch: `+ - * /` and comparisons of Python floats are those of numpy's float64. Logarithms, powers,
roots and the like go through `code.ufunc`, never through `math`. `x != x` holds for a missing number, `x is None` for
a missing text.

Where the code raises an ArithmeticError (a division by zero) or a LookupError (a level that a dict does not have), the
row is computed again by the steps' `transform`: slower, with the same values, or the same StepError, as in a batch.
`code.leave()` does that on purpose.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from clary.data.batch import Batch, Block, Column, Field, Kind, Schema, some
from clary.data.errors import StepError

_SHORT = re.compile(r"[vk]\d+(\[\d+\])?")  # an expression that costs nothing to use again


class Transformation(Protocol):
    """What the code needs of a fitted step; see `clary.data.recipe.step.FittedStep`, which imports this module."""

    @property
    def inputs(self) -> tuple[str, ...]: ...

    @property
    def made(self) -> tuple[Field, ...]: ...

    def transform(self, batch: Batch) -> Batch: ...

    def after(self, schema: Schema) -> Schema: ...

    def row(self, code: RowCode) -> None: ...


class RowCode:
    """The function's source as it grows, and where in it each column is at this point.

    A step reads columns as they were before it, even after it has written them.
    """

    def __init__(self, schema: Schema) -> None:
        """schema: of the columns that the function is given."""
        self.schema = schema  # before the step that is being written
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self.uses_ufuncs = False
        self._named: dict[int, str] = {}  # constants by id; `constants` keeps the objects alive
        self._variables = 0
        self._where = {field.name: self.fresh() for field in schema.fields}
        self._written: dict[str, str] = {}
        self._label = ""

    # ---- what steps use ----

    def read(self, name: str) -> str:
        """An expression of the column's value before this step; short, it may be used several times."""
        try:
            return self._where[name]
        except KeyError:
            raise StepError(f"there is no such column; there are: {some(self._where)}", column=name) from None

    def kind(self, name: str) -> Kind:
        """What the column holds before this step."""
        return self.schema[name].kind

    def write(self, name: str, expression: str) -> None:
        """The column's value after this step. The step's `made` has to name it, with its kind."""
        if not _SHORT.fullmatch(expression):
            variable = self.fresh()
            self.statement(f"{variable} = {expression}")
            expression = variable
        self._written[name] = expression

    def write_many(self, names: Sequence[str], expression: str) -> None:
        """Several columns at once, from an expression of a tuple with a value for each."""
        variable = self.fresh()
        self.statement(f"{variable} = {expression}")
        self._written |= {name: f"{variable}[{place}]" for place, name in enumerate(names)}

    def block(self, name: str, names: Sequence[str], expression: str) -> None:
        """A block, from an expression of a tuple of floats, one for each of `names`."""
        self.write(name, expression)

    def remove(self, name: str) -> None:
        """Check that a column that the step removes (`removed`) is there."""
        self.read(name)

    def constant(self, value: Any) -> str:
        """An expression of a value known since fitting: a number, a string, a dict, a function; no module."""
        if isinstance(value, ModuleType):
            raise TypeError("bind the module's function, not the module")
        if isinstance(value, np.bool_ | np.integer | np.floating):
            return self.constant(value.item())
        if type(value) in (int, bool, float) and math.isfinite(value):
            return f"({value!r})" if math.copysign(1.0, value) < 0 else repr(value)
        if id(value) not in self._named:
            name = f"k{len(self.constants)}"
            self.constants[name] = value
            self._named[id(value)] = name
        return self._named[id(value)]

    def ufunc(self, function: Callable[..., Any], *expressions: str) -> str:
        """An expression of a numpy ufunc of floats, as a float; what it would warn of (log of 0) it does not."""
        self.uses_ufuncs = True
        return f"float({self.constant(function)}({', '.join(expressions)}))"

    def statement(self, line: str) -> None:
        """A line of its own. Lines inside an `if` or a `for` before them bring their own four blanks."""
        self.lines.append(line)

    def fresh(self) -> str:
        """A variable that nothing else uses."""
        self._variables += 1
        return f"v{self._variables - 1}"

    def leave(self) -> str:
        """An expression that leaves this row to `transform`: for rare cases, and for what has to raise StepError."""
        return f"{self.constant(leave)}()"

    def call(self, step: Transformation) -> None:
        """The step's `transform` of a batch of one row: for what has no code of its own."""
        given = tuple(self.schema[name] for name in step.inputs)
        caller = self.constant(Caller(step, given, self._label))
        values = ", ".join(self.read(name) for name in step.inputs)
        self.write_many([field.name for field in step.made], f"{caller}({values})")

    # ---- what the recipe uses ----

    def add(self, step: Transformation, label: str, *, generated: bool = True) -> None:
        """Write a step's code. Raises StepError where it does not make the columns of the step's `made`.

        generated  False: by `call`, whatever code the step has
        """
        self._written, self._label = {}, label
        try:
            step.row(self) if generated else self.call(step)
            after = step.after(self.schema)
            made = {field.name for field in step.made}
            if made != set(self._written):
                raise StepError(f"its code for one row makes {some(self._written)}, not {some(made)}")
        except StepError as error:
            raise error.within(label) from None
        places = self._where | self._written
        self._where = {name: places[name] for name in after.names}
        self.schema = after

    def result(self, names: Sequence[str]) -> str:
        """An expression of the tuple of these columns, blocks' columns one by one."""
        parts: list[str] = []
        for name in names:
            where, kind = self._where[name], self.schema[name].kind
            parts.append(f"*{where}" if kind is Kind.BLOCK else f"{where}[0].as_py()" if kind is Kind.OTHER else where)
        return f"({', '.join(_whole_tuples(parts, self._widths()))},)" if parts else "()"

    def _widths(self) -> Mapping[str, int]:
        """Of each tuple that columns are kept in, how many: all of them in a row can be given at once."""
        widths: dict[str, int] = {}
        for where in self._where.values():
            if where.endswith("]"):
                variable, place = where[:-1].split("[")
                widths[variable] = max(widths.get(variable, 0), int(place) + 1)
        return widths


class LeftToTransform(ArithmeticError):
    """The quick function does not do this row."""


def leave() -> Any:
    raise LeftToTransform


def _whole_tuples(parts: Sequence[str], widths: Mapping[str, int]) -> list[str]:
    """v3[0], v3[1], v3[2] as v3[:3]: one step for the interpreter instead of one a column."""
    made: list[str] = []
    place = 0
    while place < len(parts):
        variable, bracket, _ = parts[place].partition("[0]")
        run = [f"{variable}[{inner}]" for inner in range(widths.get(variable, 0))] if bracket else []
        if len(run) > 1 and list(parts[place : place + len(run)]) == run:
            made.append(f"*{variable}[:{len(run)}]")
            place += len(run)
        else:
            made.append(parts[place])
            place += 1
    return made


@dataclass(frozen=True)
class Caller:
    """A fitted step's `transform` as a function of the values of one row; gives the values it makes."""

    step: Transformation
    given: tuple[Field, ...]
    label: str

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        try:
            columns = {field.name: _column(field, value) for field, value in zip(self.given, values, strict=True)}
            made = self.step.transform(Batch(columns, 1))
        except StepError as error:
            raise error.within(self.label) from None
        return tuple(_value(made[field.name]) for field in self.step.made)


def _column(field: Field, value: Any) -> Column:
    """One row of a column, in the form it has in a batch."""
    match field.kind:
        case Kind.NUMBER:
            return np.array([value], np.float64)
        case Kind.BOOLEAN:
            return np.array([value], np.float64 if value != value else np.bool_)
        case Kind.TEXT:
            try:
                return pa.array([value], pa.string())
            except UnicodeError:
                raise StepError("it is not valid text: half of a surrogate pair", column=field.name) from None
        case Kind.TIME:
            return np.array([value], "datetime64[us]")
        case Kind.BLOCK:
            return Block(field.names, np.array([value], np.float64))
        case _:
            return value


def _value(column: Column) -> Any:
    """A column of one row as a value in the code."""
    if isinstance(column, Block):
        return tuple(column.dense()[0].astype(np.float64).tolist())
    if isinstance(column, np.ndarray):
        return column[0].astype("datetime64[us]") if column.dtype.kind == "M" else float(column[0])
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column[0].as_py() if pa.types.is_string(column.type) else column
