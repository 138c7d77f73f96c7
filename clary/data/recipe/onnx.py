"""A fitted recipe as an ONNX graph, for hosts that run no Python.

A step has an ONNX form if it has a method `onnx(graph)`, if `onnx_steps`, `onnx_numbers` or `onnx_formulas` writes it,
or if it is one of scikit-learn's that skl2onnx converts exactly, in doubles. A graph cannot refuse a value: where
`transform` raises, because a level is unknown or there is no logarithm, the graph gives NaN.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from clary.data.batch import Kind, Schema
from clary.data.errors import DataError
from clary.data.recipe.onnx_formulas import emit
from clary.data.recipe.onnx_graph import ML_OPSET, OPSET, Graph, NoForm
from clary.data.recipe.step import FittedStep

if TYPE_CHECKING:
    from clary.data.recipe.fitted import FittedRecipe

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


def model(fitted: FittedRecipe) -> Any:
    """An onnx.ModelProto: one input for each column that is needed, one output `features` (rows, numbers).

    Missing numbers are NaN, missing texts "". Where `transform` would raise StepError for a value, the graph gives NaN.
    Raises DataError naming each step that has no ONNX form, and why.
    """
    path, names = fitted.way(target=False, training=False)
    schema = Schema(tuple(one for one in fitted.schema_in.fields if one.name in path.raw))
    try:
        graph = Graph(schema)
    except NoForm as reason:
        raise DataError(f"the recipe has no ONNX form: {reason}") from None
    wrong: list[str] = []
    for label, one in zip(path.labels, path.steps, strict=True):
        try:
            if not wrong:
                _written(one, graph)
            elif not _has_form(one):
                raise NoForm(_reason(one))
        except NoForm as reason:
            wrong.append(f"step {label}: {reason}")
    if wrong:
        raise DataError("the recipe has no ONNX form:\n" + "\n".join(f"- {one}" for one in wrong))
    return graph.model(names, {"names": json.dumps(fitted.names)})


def _written(one: FittedStep, graph: Graph) -> None:
    if hasattr(one, "onnx"):
        one.onnx(graph)
    elif emit.dispatch(type(one)) is not emit.dispatch(object):
        emit(one, graph)
    else:
        _by_skl2onnx(one, graph)
    graph.done([each.name for each in one.made], one.after(graph.schema))


def _has_form(one: FittedStep) -> bool:
    own = hasattr(one, "onnx") or emit.dispatch(type(one)) is not emit.dispatch(object)
    return own or type(one.sklearn()).__name__ in _CONVERTED


def _reason(one: FittedStep) -> str:
    estimator = one.sklearn()
    if estimator is None:
        return "nobody has written it for ONNX"
    return f"{type(estimator).__name__} cannot be converted without losing digits"


def _by_skl2onnx(one: FittedStep, graph: Graph) -> None:
    """scikit-learn's estimator, converted by skl2onnx and put into the graph."""
    estimator = one.sklearn()
    if type(estimator).__name__ not in _CONVERTED:
        raise NoForm(_reason(one))
    made = Schema(one.made)
    if any(each.kind is not Kind.NUMBER for each in made.fields):
        raise NoForm("it makes a block of columns, and skl2onnx dense ones")
    try:
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import DoubleTensorType
    except ImportError:
        raise DataError("ONNX needs more than is installed: pip install 'clary[onnx]'") from None
    from onnx import compose

    given = graph.joined(one.inputs)
    width = len(Schema(tuple(graph.schema[name] for name in one.inputs)).flat_names)
    shape = [("given", DoubleTensorType([None, width]))]
    converted = convert_sklearn(estimator, initial_types=shape, target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET})
    inner = compose.add_prefix(converted, f"{graph.fresh()}_").graph
    graph.initializers.extend(inner.initializer)
    for node in inner.node:
        node.input[:] = [given if name == inner.input[0].name else name for name in node.input]
        graph.nodes.append(node)
    graph.write_side_by_side(made.names, inner.output[0].name)
