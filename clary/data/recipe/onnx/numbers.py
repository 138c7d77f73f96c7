"""Steps on numbers as ONNX nodes, to the last digits where ONNX has the operator, within a few of them elsewhere."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from clary.data.recipe.onnx.columns import emit
from clary.data.recipe.onnx.graph import Graph
from clary.data.recipe.steps.binning import Binned, BinnedOneHot
from clary.data.recipe.steps.combining import Multiplied
from clary.data.recipe.steps.numeric import FUNCTIONS, Applied
from clary.data.recipe.steps.outliers import Limited
from clary.data.recipe.steps.power import Powered

__all__ = ["emit", "log1p"]


@emit.register
def _limited(step: Limited, graph: Graph) -> None:
    for name, low, high in zip(step.names, step.low, step.high, strict=True):
        value, (low_limit, high_limit) = graph.read(name), (graph.constant(limit) for limit in (low, high))
        below, above = graph.node("Less", value, low_limit), graph.node("Greater", value, high_limit)
        if step.action != "clip":
            low_limit = high_limit = graph.constant(math.nan)
        graph.write(name, graph.node("Where", below, low_limit, graph.node("Where", above, high_limit, value)))


@emit.register
def _applied(step: Applied, graph: Graph) -> None:
    function = FUNCTIONS[step.function]
    for name in step.names:
        value = graph.read(name)
        made = _FUNCTIONS[step.function](graph, value)
        if function.lowest > -math.inf:
            lowest = graph.constant(function.lowest)
            outside = graph.node("LessOrEqual" if function.open_end else "Less", value, lowest)
            made = graph.node("Where", outside, graph.constant(math.nan), made)
        graph.write(name, made)


def log1p(graph: Graph, value: str) -> str:
    """log(1 + x), exact near 0 as well: Goldberg (1991), theorem 4."""
    unit = graph.constant(1.0)
    more = graph.node("Add", unit, value)
    rounded = graph.node("Sub", more, unit)
    made = graph.node("Div", graph.node("Mul", value, graph.node("Log", more)), rounded)
    return graph.node(
        "Where", graph.node("Equal", more, unit), value, graph.node("Where", graph.node("IsInf", value), value, made)
    )


def _cbrt(graph: Graph, value: str) -> str:
    root = graph.node("Pow", graph.node("Abs", value), graph.constant(1 / 3))
    return graph.node("Mul", graph.node("Sign", value), root)


_FUNCTIONS: Mapping[str, Callable[[Graph, str], str]] = {
    "log": lambda graph, value: graph.node("Log", value),
    "log1p": log1p,
    "sqrt": lambda graph, value: graph.node("Sqrt", value),
    "cbrt": _cbrt,
}


def _expm1(graph: Graph, value: str) -> str:
    """exp(x) - 1, exact near 0 as well: Kahan's form, in Higham (2002), section 1.14.1."""
    unit, least = graph.constant(1.0), graph.constant(-1.0)
    power = graph.node("Exp", value)
    less = graph.node("Sub", power, unit)
    made = graph.node("Div", graph.node("Mul", less, value), graph.node("Log", power))
    made = graph.node("Where", graph.node("Equal", less, least), least, made)
    made = graph.node("Where", graph.node("IsInf", power), power, made)
    return graph.node("Where", graph.node("Equal", power, unit), value, made)


def _box_cox(graph: Graph, logarithm: str, power: float) -> str:
    """(x^power - 1) / power, of log(x)."""
    if power == 0.0:
        return logarithm
    scale = graph.constant(power)
    return graph.node("Div", _expm1(graph, graph.node("Mul", scale, logarithm)), scale)


@emit.register
def _powered(step: Powered, graph: Graph) -> None:
    zero, nothing = graph.constant(0.0), graph.constant(math.nan)
    for place, name in enumerate(step.names):
        value, power = graph.read(name), step.powers[place]
        if step.method == "box_cox":
            made = _box_cox(graph, graph.node("Log", value), power)
            made = graph.node("Where", graph.node("LessOrEqual", value, zero), nothing, made)
        else:
            high = _box_cox(graph, log1p(graph, value), power)
            low = graph.node("Neg", _box_cox(graph, log1p(graph, graph.node("Neg", value)), 2.0 - power))
            made = graph.node("Where", graph.node("Less", value, zero), low, high)
        if step.standardize:
            made = graph.node("Sub", made, graph.constant(step.mean[place]))
            made = graph.node("Div", made, graph.constant(step.scale[place]))
        graph.write(name, made)


@emit.register
def _binned(step: Binned, graph: Graph) -> None:
    for name, edges in zip(step.names, step.edges, strict=True):
        value = graph.read(name)
        graph.write(name, graph.node("Where", graph.is_missing(name), value, _bin_of(graph, value, edges)))


@emit.register
def _binned_one_hot(step: BinnedOneHot, graph: Graph) -> None:
    from onnx import TensorProto

    made = [field.name for field in step.made]
    for name, edges in zip(step.names, step.edges, strict=True):
        no_bin = graph.constant(-1.0)
        number = graph.node("Where", graph.is_missing(name), no_bin, _bin_of(graph, graph.read(name), edges))
        bins = graph.constant(np.arange(len(edges) - 1, dtype=np.float64)[None, :])
        hot = graph.node("Cast", graph.node("Equal", number, bins), to=TensorProto.DOUBLE)
        graph.write_side_by_side(made[: len(edges) - 1], hot)
        made = made[len(edges) - 1 :]


def _bin_of(graph: Graph, value: str, edges: NDArray[np.float64]) -> str:
    """How many of the inner edges the value has reached, as doubles (rows, 1)."""
    from onnx import TensorProto

    if len(edges) <= 2:
        return graph.constant(np.zeros((1, 1)))
    reached = graph.node("GreaterOrEqual", value, graph.constant(np.asarray(edges[1:-1], np.float64)[None, :]))
    numbers = graph.node("Cast", reached, to=TensorProto.DOUBLE)
    return graph.node("ReduceSum", numbers, graph.constant(np.array([1], np.int64)), keepdims=1)


@emit.register
def _multiplied(step: Multiplied, graph: Graph) -> None:
    first = step.names[0]
    ones = graph.node("Where", graph.is_missing(first), graph.constant(1.0), graph.constant(1.0))
    for term, field in zip(step.terms, step.made, strict=True):
        factors = [graph.read(step.names[place]) for place in term]
        made = functools.reduce(lambda left, right: graph.node("Mul", left, right), factors) if factors else ones
        graph.write(field.name, made)
