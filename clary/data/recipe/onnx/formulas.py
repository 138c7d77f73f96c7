"""Formulas of the step `expression` as ONNX nodes, as far as ONNX has their operators in doubles."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from clary.data.recipe.onnx.graph import MISSING_TEXT, Graph, NoForm
from clary.data.recipe.onnx.numbers import emit, log1p
from clary.data.recipe.steps.expressions import FittedExpression
from clary.data.recipe.steps.formula import nodes
from clary.data.recipe.steps.formula.nodes import Type

__all__ = ["emit"]

_FUNCTIONS = {
    "abs": "Abs",
    "ceil": "Ceil",
    "exp": "Exp",
    "floor": "Floor",
    "log": "Log",
    "round": "Round",
    "sqrt": "Sqrt",
}
_OPERATORS = {"+": "Add", "-": "Sub", "*": "Mul", "/": "Div", "**": "Pow"}
_COMPARISONS = {"<": "Less", "<=": "LessOrEqual", ">": "Greater", ">=": "GreaterOrEqual", "==": "Equal", "!=": "Equal"}


@emit.register
def _expression(step: FittedExpression, graph: Graph) -> None:
    made = _written(step.node, graph)
    if step.node.type is Type.CONDITION:
        made = _number(graph, made)
    # A value that does not depend on the row is one for all until here: now every row gets it.
    rows = graph.is_missing(graph.schema.names[0])
    graph.write(step.into, graph.node("Where", rows, made, made))


@functools.singledispatch
def _written(node: Any, graph: Graph) -> str:
    """The node's value: doubles or strings, (rows, 1) or one for all; a condition's are booleans."""
    raise NoForm(f"{type(node).__name__} of formulas is not implemented for ONNX")


def _number(graph: Graph, condition: str) -> str:
    from onnx import TensorProto

    return graph.node("Cast", condition, to=TensorProto.DOUBLE)


@_written.register
def _constant(node: nodes.Constant, graph: Graph) -> str:
    if node.type is Type.TIME:
        raise NoForm("its formula has a time, for which ONNX has no values")
    if node.type is Type.TEXT:
        return graph.constant(_text(str(node.value)))
    return graph.constant(bool(node.value) if node.type is Type.CONDITION else float(node.value))


@_written.register
def _column(node: nodes.ColumnValue, graph: Graph) -> str:
    return graph.read(node.name)


@_written.register
def _elementwise(node: nodes.Elementwise, graph: Graph) -> str:
    given = [_written(operand, graph) for operand in node.operands]
    if node.name in ("max", "min"):
        return functools.reduce(functools.partial(_extreme, graph, node.name), given)
    if node.name == "log1p":
        return log1p(graph, given[0])
    if len(given) == 1 and node.name in ("+", "-"):
        return graph.node("Neg", given[0]) if node.name == "-" else given[0]
    power = node.operands[1].value if node.name == "**" and isinstance(node.operands[1], nodes.Constant) else None
    if power in (2.0, 3.0):  # as a product, as `transform` has it
        return functools.reduce(lambda left, right: graph.node("Mul", left, right), [given[0]] * int(power))
    operator = _FUNCTIONS.get(node.name) or _OPERATORS.get(node.name)
    if operator is None:
        raise NoForm(f"its formula has {node.name}, which in ONNX is another function")
    return graph.node(operator, *given)


def _extreme(graph: Graph, name: str, left: str, right: str) -> str:
    """Missing where either is, as numpy has it."""
    chosen = graph.node("Less" if name == "max" else "Greater", left, right)
    made = graph.node("Where", chosen, right, left)
    return graph.node("Where", graph.node("IsNaN", right), right, made)


@_written.register
def _as_number(node: nodes.AsNumber, graph: Graph) -> str:
    return _number(graph, _written(node.operand, graph))


@_written.register
def _as_condition(node: nodes.AsCondition, graph: Graph) -> str:
    return graph.node("Equal", _written(node.operand, graph), graph.constant(1.0))


@_written.register
def _logic(node: nodes.Logic, graph: Graph) -> str:
    given = [_written(operand, graph) for operand in node.operands]
    if node.word == "not":
        return graph.node("Not", given[0])
    operator = "And" if node.word == "and" else "Or"
    return functools.reduce(lambda left, right: graph.node(operator, left, right), given)


@_written.register
def _where(node: nodes.Where, graph: Graph) -> str:
    return graph.node("Where", *(_written(operand, graph) for operand in node.operands))


@_written.register
def _is_null(node: nodes.IsNull, graph: Graph) -> str:
    value = _written(node.operand, graph)
    if node.operand.type is Type.TEXT:
        return graph.node("Equal", value, graph.constant(MISSING_TEXT))
    return graph.node("IsNaN", value)


@_written.register
def _comparison(node: nodes.Comparison, graph: Graph) -> str:
    left, right = _written(node.left, graph), _written(node.right, graph)
    if node.left.type is Type.TEXT and node.sign not in ("==", "!="):
        raise NoForm("its formula orders texts, which ONNX does not")
    made = graph.node(_COMPARISONS[node.sign], left, right)
    if node.left.type is Type.TEXT and not isinstance(node.left, nodes.Constant):
        present = graph.node("Not", graph.node("Equal", left, graph.constant(MISSING_TEXT)))
        made = graph.node("And", made, present)
    return graph.node("Not", made) if node.sign == "!=" else made


@_written.register
def _membership(node: nodes.Membership, graph: Graph) -> str:
    value = _written(node.operand, graph)
    text = node.operand.type is Type.TEXT
    made = graph.constant(np.zeros((1, 1), dtype=bool))
    for member in node.members:
        same = graph.node("Equal", value, graph.constant(_text(str(member)) if text else float(member)))
        made = graph.node("Or", made, same)
    return graph.node("Not", made) if node.negated else made


def _text(value: str) -> str:
    if value == MISSING_TEXT:
        raise NoForm('its formula has the text "", which in ONNX stands for a missing text')
    return value
