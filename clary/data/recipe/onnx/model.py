"""A fitted recipe as an ONNX graph, for hosts that run no Python.

A step has an ONNX form if it has a method `onnx(graph)`, if `columns`, `numbers` or `formulas` of this package write
it, or if it is one of scikit-learn's that skl2onnx converts exactly, in doubles. A graph cannot refuse a value: where
`transform` raises, because a level is unknown or there is no logarithm, the graph gives NaN.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from clary.data.batch import Kind, Schema
from clary.data.errors import DataError
from clary.data.recipe.onnx.formulas import emit
from clary.data.recipe.onnx.graph import ML_OPSET, OPSET, Graph, NoForm
from clary.data.recipe.plan import Plan
from clary.data.recipe.step import FittedStep

# What skl2onnx writes in doubles, equal to scikit-learn's own in the last digits; of others it makes floats of 32 bits.
_CONVERTED = frozenset(
    {
        "MaxAbsScaler",
        "MinMaxScaler",
        "Normalizer",
        "PCA",
        "QuantileTransformer",
        "RobustScaler",
        "StandardScaler",
        "TruncatedSVD",
    }
)


def model(plan: Plan, columns: Schema, names: Sequence[str]) -> Any:
    """An onnx.ModelProto: an input for each column that is needed, an output `features` (rows, numbers).

    columns  of the table
    names    of the features, for the model's metadata

    Missing numbers are NaN, missing texts "". Where `transform` would raise StepError for a value, the graph gives NaN.
    Raises DataError naming each step that has no ONNX form, and why.
    """
    schema = Schema(tuple(field for field in columns.fields if field.name in plan.inputs))
    try:
        graph = Graph(schema)
    except NoForm as reason:
        raise DataError(f"the recipe has no ONNX form: {reason}") from None
    wrong: list[str] = []
    for label, step in zip(plan.labels, plan.steps, strict=True):
        try:
            if not wrong:
                _write(step, graph)
            elif not _has_form(step):
                raise NoForm(_reason(step))
        except NoForm as reason:
            wrong.append(f"step {label}: {reason}")
    if wrong:
        raise DataError("the recipe has no ONNX form:\n" + "\n".join(f"- {reason}" for reason in wrong))
    return graph.model(plan.outputs, {"names": json.dumps(names)})


def _write(step: FittedStep, graph: Graph) -> None:
    if hasattr(step, "onnx"):
        step.onnx(graph)
    elif emit.dispatch(type(step)) is not emit.dispatch(object):
        emit(step, graph)
    else:
        _by_skl2onnx(step, graph)
    graph.done([field.name for field in step.made], step.after(graph.schema))


def _has_form(step: FittedStep) -> bool:
    own = hasattr(step, "onnx") or emit.dispatch(type(step)) is not emit.dispatch(object)
    return own or type(step.sklearn()).__name__ in _CONVERTED


def _reason(step: FittedStep) -> str:
    estimator = step.sklearn()
    if estimator is None:
        return "it is not implemented for ONNX"
    return f"{type(estimator).__name__} cannot be converted without losing digits"


def _by_skl2onnx(step: FittedStep, graph: Graph) -> None:
    """scikit-learn's estimator, converted by skl2onnx and put into the graph."""
    estimator = step.sklearn()
    if type(estimator).__name__ not in _CONVERTED:
        raise NoForm(_reason(step))
    made = Schema(step.made)
    if any(field.kind is not Kind.NUMBER for field in made.fields):
        raise NoForm("it makes a block of columns, and skl2onnx dense columns")
    try:
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import DoubleTensorType
    except ImportError:
        raise DataError("ONNX needs packages that are not installed: pip install 'clary[onnx]'") from None
    from onnx import compose

    given = graph.joined(step.inputs)
    width = len(Schema(tuple(graph.schema[name] for name in step.inputs)).flat_names)
    shape = [("given", DoubleTensorType([None, width]))]
    converted = convert_sklearn(estimator, initial_types=shape, target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET})
    inner = compose.add_prefix(converted, f"{graph.fresh()}_").graph
    graph.initializers.extend(inner.initializer)
    for node in inner.node:
        node.input[:] = [given if name == inner.input[0].name else name for name in node.input]
        graph.nodes.append(node)
    graph.write_side_by_side(made.names, inner.output[0].name)
