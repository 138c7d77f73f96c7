"""Steps on columns, missing values and categories as ONNX nodes: each function writes a fitted step into a graph."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from clary.data.batch import Kind
from clary.data.recipe.onnx.graph import MISSING_TEXT, Graph, NoForm
from clary.data.recipe.steps.categories import MISSING, UNKNOWN
from clary.data.recipe.steps.imputed import Filled
from clary.data.recipe.steps.missing import Indicated
from clary.data.recipe.steps.one_hot import OneHotFitted
from clary.data.recipe.steps.ordinal import OrdinalFitted
from clary.data.recipe.steps.rare import RareFitted
from clary.data.recipe.steps.rows import ColumnsDropped, Renamed


@functools.singledispatch
def emit(step: Any, graph: Graph) -> None:
    """Write a fitted step into the graph, by its class. Raises NoForm for classes that have none."""
    raise NoForm("it is not implemented for ONNX")


@emit.register
def _filled(step: Filled, graph: Graph) -> None:
    for name, fill in zip(step.names, step.fills, strict=True):
        if graph.kind(name) is Kind.TIME:
            raise NoForm(f"column {name!r} holds times, for which ONNX has no values")
        value = graph.constant(str(fill) if graph.kind(name) is Kind.TEXT else float(fill))
        graph.write(name, graph.node("Where", graph.is_missing(name), value, graph.read(name)))


@emit.register
def _indicated(step: Indicated, graph: Graph) -> None:
    from onnx import TensorProto

    for name, made in zip(step.inputs, step.made, strict=True):
        graph.write(made.name, graph.node("Cast", graph.is_missing(name), to=TensorProto.DOUBLE))


@emit.register
def _dropped(step: ColumnsDropped, graph: Graph) -> None:
    """The columns are not handed on: that is all."""


@emit.register
def _renamed(step: Renamed, graph: Graph) -> None:
    for name, made in zip(step.inputs, step.made, strict=True):
        graph.write(made.name, graph.read(name))


@emit.register
def _ordinal(step: OrdinalFitted, graph: Graph) -> None:
    for name, levels in zip(step.names, step.levels, strict=True):
        numbers = [float(place) for place in range(len(levels))]
        graph.write(name, _looked_up(graph, name, levels, numbers, step.unknown, step.missing))


@emit.register
def _rare(step: RareFitted, graph: Graph) -> None:
    for name, kept in zip(step.names, step.kept, strict=True):
        if graph.kind(name) is not Kind.TEXT:
            raise NoForm(f"column {name!r} holds {graph.kind(name)}: text would have to be made of numbers")
        values = _texts(name, kept)
        known = {**{value: value for value in values}, MISSING_TEXT: MISSING_TEXT}
        attributes = {"keys_strings": list(known), "values_strings": list(known.values())}
        label = graph.node(
            "LabelEncoder", graph.read(name), domain="ai.onnx.ml", default_string=step.other, **attributes
        )
        graph.write(name, label)


@emit.register
def _one_hot(step: OneHotFitted, graph: Graph) -> None:
    from onnx import TensorProto

    for place, name in enumerate(step.names):
        levels, made = step.levels[place], step.made_names[place]
        places = np.array([*range(len(levels)), UNKNOWN, MISSING], np.int32)
        # Which of the new columns is 1: for each level, for an unknown level, for a missing value; -1 for none.
        *known, unknown, missing = step._columns(places, len(levels), len(made)).astype(float).tolist()
        code = _looked_up(graph, name, levels, known, unknown, missing)
        numbers_ = graph.constant(np.arange(len(made), dtype=np.float64)[None, :])
        hot = graph.node("Cast", graph.node("Equal", code, numbers_), to=TensorProto.DOUBLE)
        if step.unknown == "error":  # a level that was left out is 0 in all columns, an unknown level NaN
            seen = [*levels.to_pylist(), *step.left[place].to_pylist()]
            new = _looked_up(graph, name, pa.array(seen, levels.type), [0.0] * len(seen), math.nan, 0.0)
            hot = graph.node("Add", hot, new)
        if step.blocks[place]:
            graph.write(name, hot)
        else:
            graph.write_side_by_side(made, hot)


def _looked_up(
    graph: Graph, name: str, levels: pa.Array, numbers: Sequence[float], unknown: float, missing: float
) -> str:
    """The number of each row's level, a tensor of doubles (rows, 1)."""
    table: Mapping[str, Any]
    if graph.kind(name) is Kind.TEXT:
        places = {value: place for place, value in enumerate(_texts(name, levels))}
        places[MISSING_TEXT] = len(numbers)
        table = {"keys_strings": list(places), "values_int64s": list(places.values())}
        place = graph.node(
            "LabelEncoder", graph.read(name), domain="ai.onnx.ml", default_int64=len(numbers) + 1, **table
        )
        return graph.node("Gather", graph.constant(np.array([*numbers, missing, unknown])), place, axis=0)
    found = graph.constant(unknown)
    for value, number in zip(levels.to_pylist(), numbers, strict=True):
        same = graph.node("Equal", graph.read(name), graph.constant(float(value)))
        found = graph.node("Where", same, graph.constant(number), found)
    return graph.node("Where", graph.is_missing(name), graph.constant(missing), found)


def _texts(name: str, levels: pa.Array) -> list[str]:
    values = [str(value) for value in levels.to_pylist()]
    if MISSING_TEXT in values:
        raise NoForm(f'column {name!r} has the level "", which in ONNX stands for a missing text')
    return values
