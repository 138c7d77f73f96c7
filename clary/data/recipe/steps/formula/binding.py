"""From the syntax of a formula to nodes with types, once it is known what its columns hold."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass

import numpy as np

from clary.data.batch import Kind, some
from clary.data.errors import RecipeError, StepError
from clary.data.recipe.steps.formula.functions import ARITHMETIC, COMPARISONS
from clary.data.recipe.steps.formula.nodes import (
    AsCondition,
    AsNumber,
    ColumnValue,
    Comparison,
    Constant,
    Elementwise,
    IsNull,
    Logic,
    Membership,
    Node,
    Type,
    Where,
)
from clary.data.recipe.steps.formula.syntax import literal_of, members_of, source_of

_TYPES = {Kind.NUMBER: Type.NUMBER, Kind.BOOLEAN: Type.FLAG, Kind.TEXT: Type.TEXT, Kind.TIME: Type.TIME}


@dataclass(frozen=True)
class Binder:
    """From Python's syntax tree to one of nodes, each with its type."""

    kinds: dict[str, Kind]

    def node(self, given: ast.expr) -> Node:
        match given:
            case ast.Constant(value=bool() as value):
                return Constant(Type.CONDITION, value)
            case ast.Constant(value=str() as value):
                return Constant(Type.TEXT, value)
            case ast.Constant():
                return Constant(Type.NUMBER, literal_of(given))
            case ast.Name(id=name) | ast.Call(func=ast.Name(id="col"), args=[ast.Constant(value=str(name))]):
                return self._column(name)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Logic("not", (self._condition(operand),))
            case ast.UnaryOp(op=op, operand=operand):
                number = self._number(operand)
                return Elementwise("-", (number,)) if isinstance(op, ast.USub) else number
            case ast.BinOp(left=left, op=op, right=right):
                return Elementwise(ARITHMETIC[type(op)], (self._number(left), self._number(right)))
            case ast.BoolOp(op=op, values=values):
                word = "and" if isinstance(op, ast.And) else "or"
                return Logic(word, tuple(self._condition(value) for value in values))
            case ast.Compare():
                return self._compared(given)
            case ast.IfExp(test=test, body=body, orelse=other):
                return Where((self._condition(test), self._number(body), self._number(other)))
            case ast.Call(func=ast.Name(id=name), args=args):
                return self._call(name, args)
        raise RecipeError(f"{source_of(given)} is not allowed in an expression")

    def _column(self, name: str) -> ColumnValue:
        kind = self.kinds[name]
        if kind not in _TYPES:
            raise StepError(f"it holds {kind}: an expression is of numbers, booleans, texts and times", column=name)
        return ColumnValue(_TYPES[kind], name)

    def _number(self, given: ast.expr) -> Node:
        node = self.node(given)
        match node.type:
            case Type.NUMBER | Type.FLAG:
                return node
            case Type.CONDITION:
                return AsNumber(node)
        raise StepError(f"{source_of(given)} is {node.type}, where the expression needs a number")

    def _condition(self, given: ast.expr) -> Node:
        node = self.node(given)
        match node.type:
            case Type.CONDITION:
                return node
            case Type.FLAG:
                return AsCondition(node)
        raise StepError(
            f"{source_of(given)} is {node.type}, where the expression needs a condition: write > 0, or the like"
        )

    def _call(self, name: str, args: list[ast.expr]) -> Node:
        if name == "isnull":
            return IsNull(self.node(args[0]))
        if name == "where":
            return Where((self._condition(args[0]), self._number(args[1]), self._number(args[2])))
        given = [self._number(argument) for argument in args]
        if len(given) == 1:
            return Elementwise(name, (given[0],))
        return functools.reduce(lambda node, more: Elementwise(name, (node, more)), given)

    def _compared(self, given: ast.Compare) -> Node:
        parts: list[Node] = []
        left = given.left
        for op, right in zip(given.ops, given.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                parts.append(self._membership(left, right, isinstance(op, ast.NotIn)))
            else:
                parts.append(self._comparison(COMPARISONS[type(op)], left, right))
            left = right
        return parts[0] if len(parts) == 1 else Logic("and", tuple(parts))

    def _membership(self, left: ast.expr, right: ast.expr, negated: bool) -> Node:
        node, members = self.node(left), members_of(right)
        text = isinstance(members[0], str)
        if node.type is Type.TEXT and text:
            return Membership(node, tuple(members), negated)
        if node.type is not Type.TEXT and node.type is not Type.TIME and not text:
            return Membership(self._number(left), tuple(float(member) for member in members), negated)
        raise StepError(f"{source_of(left)} is {node.type}, the list behind it holds {some(members, 3)}")

    def _comparison(self, sign: str, left: ast.expr, right: ast.expr) -> Node:
        first, second = self.node(left), self.node(right)
        types = {first.type, second.type}
        if types == {Type.TEXT} or types == {Type.TIME}:
            return Comparison(sign, first, second)
        if types == {Type.TEXT, Type.TIME}:
            return Comparison(sign, _as_time(first), _as_time(second))
        if not types & {Type.TEXT, Type.TIME}:
            return Comparison(sign, self._number(left), self._number(right))
        raise StepError(f"{source_of(left)} is {first.type}, {source_of(right)} {second.type}: they cannot be compared")


def _as_time(node: Node) -> Node:
    """A text constant beside a time is the time that it names."""
    if node.type is Type.TIME:
        return node
    if isinstance(node, Constant):
        try:
            when: np.datetime64 | None = np.datetime64(str(node.value), "us")
        except ValueError:
            when = None
        if when is not None and not np.isnat(when):
            return Constant(Type.TIME, when)
        raise StepError(f"{node.value!r} is not a time; write it as 2030-12-31 or 2030-12-31T23:59:59")
    raise StepError("a column of text cannot be compared with a column of times; parse it first (step `parse_dates`)")
