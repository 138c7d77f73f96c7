"""What formulas are made of: each node gives its values for a batch, and the same as Python code for one row.

Missing values as in pandas: arithmetic with them is missing, a comparison is false, != and not in are true.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.batch import Batch, coded, missing, numbers, strings
from clary.data.errors import StepError
from clary.data.recipe.steps.formula.functions import COMPARE, FUNCTIONS, MIRRORED, OPERATORS, Function

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode


class Type(StrEnum):
    """Of a node's values."""

    NUMBER = "a number"
    FLAG = "a boolean that may be missing"  # as a number: 0, 1 or NaN
    CONDITION = "a condition"
    TEXT = "a text"
    TIME = "a time"


class Node(ABC):
    """A part of a formula."""

    type: Type

    @abstractmethod
    def values(self, batch: Batch) -> Any:
        """An array (rows,), or a single value that is the same for all rows; texts as Arrow arrays."""

    @abstractmethod
    def code(self, code: RowCode) -> str:
        """An expression of one row's value; a condition's is a bool."""


@dataclass(frozen=True)
class Constant(Node):
    type: Type
    value: Any

    def values(self, batch: Batch) -> Any:
        return self.value

    def code(self, code: RowCode) -> str:
        return code.constant(self.value)


@dataclass(frozen=True)
class ColumnValue(Node):
    type: Type
    name: str

    def values(self, batch: Batch) -> Any:
        column = batch[self.name]
        if self.type is Type.TEXT or self.type is Type.TIME:
            return column
        try:
            return numbers(column)
        except StepError as error:
            raise StepError(error.reason, column=self.name) from None

    def code(self, code: RowCode) -> str:
        return code.read(self.name)


@dataclass(frozen=True)
class Elementwise(Node):
    """A function or an operator of numbers."""

    name: str
    operands: tuple[Node, ...]
    type: Type = Type.NUMBER

    def values(self, batch: Batch) -> Any:
        given = [operand.values(batch) for operand in self.operands]
        if self.name == "**" and self._small_power:
            return _product([given[0]] * int(given[1]), np.multiply)
        with np.errstate(all="ignore"):
            return self._function.ufunc(*given)

    def code(self, code: RowCode) -> str:
        given = [operand.code(code) for operand in self.operands]
        if self.name == "**" and self._small_power:
            return _in_variable(code, " * ".join([_in_variable(code, given[0])] * int(self.operands[1].value)))  # type: ignore[attr-defined]
        function = self._function
        made = function.python.format(*given) if function.python else code.ufunc(function.ufunc, *given)
        return _in_variable(code, made)

    @property
    def _function(self) -> Function:
        return FUNCTIONS[self.name] if self.name in FUNCTIONS else OPERATORS[self.name][len(self.operands) - 1]

    @property
    def _small_power(self) -> bool:
        """Squares and cubes are products: quicker, and the same however many rows there are."""
        power = self.operands[1]
        return isinstance(power, Constant) and power.value in (2.0, 3.0)


def _product(values: list[Any], multiply: Callable[..., Any]) -> Any:
    with np.errstate(all="ignore"):
        made = multiply(values[0], values[1])
        for value in values[2:]:
            made = multiply(made, value)
        return made


def _in_variable(code: RowCode, expression: str) -> str:
    """Under a name: expressions stay short, however deep a formula is."""
    variable = code.fresh()
    code.statement(f"{variable} = {expression}")
    return variable


@dataclass(frozen=True)
class AsNumber(Node):
    operand: Node
    type: Type = Type.NUMBER

    def values(self, batch: Batch) -> Any:
        return np.asarray(self.operand.values(batch)).astype(np.float64)

    def code(self, code: RowCode) -> str:
        return _in_variable(code, f"1.0 if {self.operand.code(code)} else 0.0")


@dataclass(frozen=True)
class AsCondition(Node):
    """Where a boolean is there and true."""

    operand: Node
    type: Type = Type.CONDITION

    def values(self, batch: Batch) -> Any:
        return np.asarray(self.operand.values(batch)) == 1.0

    def code(self, code: RowCode) -> str:
        return f"({self.operand.code(code)} == 1.0)"


@dataclass(frozen=True)
class Logic(Node):
    """and, or, not."""

    word: str
    operands: tuple[Node, ...]
    type: Type = Type.CONDITION

    def values(self, batch: Batch) -> Any:
        given = [np.asarray(operand.values(batch)) for operand in self.operands]
        if self.word == "not":
            return ~given[0]
        made = given[0]
        for condition in given[1:]:
            made = made & condition if self.word == "and" else made | condition
        return made

    def code(self, code: RowCode) -> str:
        given = [operand.code(code) for operand in self.operands]
        return _in_variable(code, f"not {given[0]}" if self.word == "not" else f" {self.word} ".join(given))


@dataclass(frozen=True)
class Where(Node):
    """The second where the first is true, else the third."""

    operands: tuple[Node, Node, Node]
    type: Type = Type.NUMBER

    def values(self, batch: Batch) -> Any:
        condition, yes, no = (operand.values(batch) for operand in self.operands)
        return np.where(condition, yes, no).astype(np.float64, copy=False)

    def code(self, code: RowCode) -> str:
        condition, yes, no = (operand.code(code) for operand in self.operands)
        return _in_variable(code, f"{yes} if {condition} else {no}")


@dataclass(frozen=True)
class IsNull(Node):
    operand: Node
    type: Type = Type.CONDITION

    def values(self, batch: Batch) -> Any:
        found = self.operand.values(batch)
        return missing(found) if isinstance(found, np.ndarray | pa.Array) else bool(found != found)

    def code(self, code: RowCode) -> str:
        value = self.operand.code(code)
        return f"({value} is None)" if self.operand.type is Type.TEXT else f"({value} != {value})"


@dataclass(frozen=True)
class Comparison(Node):
    """Of two numbers, two texts or two times."""

    sign: str
    left: Node
    right: Node
    type: Type = Type.CONDITION

    def values(self, batch: Batch) -> Any:
        left, right = self.left.values(batch), self.right.values(batch)
        compare_numbers, compare_texts = COMPARE[self.sign]
        if self.left.type is not Type.TEXT:
            return compare_numbers(left, right)
        if isinstance(right, str) and isinstance(left, str):
            return bool(compare_texts(pa.scalar(left), pa.scalar(right)).as_py())
        if isinstance(right, str):
            return _test_levels(left, lambda levels: compare_texts(levels, right), self.sign == "!=")
        if isinstance(left, str):
            mirrored = COMPARE[MIRRORED[self.sign]][1]
            return _test_levels(right, lambda levels: mirrored(levels, left), self.sign == "!=")
        found = compare_texts(strings(left), strings(right)).fill_null(self.sign == "!=")
        return found.to_numpy(zero_copy_only=False)

    def code(self, code: RowCode) -> str:
        left, right = self.left.code(code), self.right.code(code)
        if self.left.type is Type.TIME:
            return f"bool({left} {self.sign} {right})"
        if self.left.type is not Type.TEXT:
            return f"({left} {self.sign} {right})"
        present = " and ".join(
            f"{value} is not None"
            for value, node in ((left, self.left), (right, self.right))
            if not isinstance(node, Constant)
        )
        if self.sign == "!=":
            return f"(not ({' and '.join(filter(None, [present, f'{left} == {right}']))}))"
        return f"({' and '.join(filter(None, [present, f'{left} {self.sign} {right}']))})"


@dataclass(frozen=True)
class Membership(Node):
    """in and not in."""

    operand: Node
    members: tuple[Any, ...]
    negated: bool
    type: Type = Type.CONDITION

    def values(self, batch: Batch) -> Any:
        found = self.operand.values(batch)
        if self.operand.type is not Type.TEXT:
            return np.isin(found, self.members, invert=self.negated)
        if isinstance(found, str):
            return (found in self.members) != self.negated
        members = pa.array(self.members, pa.string())
        inside = _test_levels(found, lambda levels: pc.is_in(levels, value_set=members), False)
        return ~inside if self.negated else inside

    def code(self, code: RowCode) -> str:
        word = "not in" if self.negated else "in"
        return f"({self.operand.code(code)} {word} {code.constant(self.members)})"


def _test_levels(column: Any, test: Callable[[pa.Array], pa.Array], if_missing: bool) -> NDArray[np.bool_]:
    """A condition of each text, computed once per distinct text."""
    codes, levels = coded(column)
    found = np.append(test(levels).to_numpy(zero_copy_only=False).astype(bool), if_missing)
    return found[codes]  # -1, a missing value, is the last one
