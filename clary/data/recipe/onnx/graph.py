"""An ONNX graph that grows step by step, and where in it each column is at this point.

Each column is a tensor of shape (rows, 1): numbers and booleans as doubles, NaN where missing; texts as strings, ""
where missing, since ONNX has no other value for it. A block is one tensor of doubles, (rows, columns).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clary.data.batch import Field, Kind, Schema
from clary.data.errors import DataError, StepError

OPSET, ML_OPSET = 19, 3
MISSING_TEXT = ""
FEATURES = "features"  # the output with all numbers


class NoForm(Exception):
    """A step cannot be expressed in ONNX; the message gives the reason."""


class Graph:
    """What a step's `onnx(graph)` writes into. It reads columns as they were before it, as in `RowCode`.

    Raises DataError where the extra `onnx` is not installed.
    """

    def __init__(self, schema: Schema) -> None:
        try:
            from onnx import helper, numpy_helper
        except ImportError:
            raise DataError("ONNX needs packages that are not installed: pip install 'clary[onnx]'") from None
        self._helper, self._numpy_helper = helper, numpy_helper
        self.schema = schema  # before the step that is being written
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.inputs = [self._input(field) for field in schema.fields]
        self._prefix = "t"  # of all names that are made here: no column's begins so
        while any(field.name.startswith(self._prefix) for field in schema.fields):
            self._prefix += "_"
        self._where = {field.name: field.name for field in schema.fields}
        self._written: dict[str, str] = {}
        self._names = 0

    def _input(self, field: Field) -> Any:
        from onnx import TensorProto

        if not field.name or field.name in (FEATURES, f"{FEATURES}.out"):
            raise NoForm(f"a column is called {field.name!r}, which no input of a graph can be: rename it")
        if field.kind not in (Kind.NUMBER, Kind.BOOLEAN, Kind.TEXT):
            raise NoForm(f"column {field.name!r} holds {field.kind}, for which ONNX has no values")
        kind = TensorProto.STRING if field.kind is Kind.TEXT else TensorProto.DOUBLE
        return self._helper.make_tensor_value_info(field.name, kind, [None, 1])

    # ---- what steps use ----

    def kind(self, name: str) -> Kind:
        """What the column holds before this step."""
        return self.schema[name].kind

    def read(self, name: str) -> str:
        """The tensor of a column before this step."""
        return self._where[name]

    def write(self, name: str, tensor: str) -> None:
        """The column's tensor after this step."""
        self._written[name] = tensor

    def node(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """An operator; gives the name of its one output."""
        output = self.fresh()
        self.nodes.append(self._helper.make_node(kind, list(inputs), [output], domain=domain, **attributes))
        return output

    def constant(self, value: Any) -> str:
        """A tensor of what was known at fitting: a number is a double, a text a string."""
        array = np.asarray(value)
        array = array.astype(object) if array.dtype.kind in "US" else array
        name = self.fresh()
        self.initializers.append(self._numpy_helper.from_array(array, name))
        return name

    def fresh(self) -> str:
        """A name that no column and no other tensor has."""
        self._names += 1
        return f"{self._prefix}{self._names}"

    def joined(self, names: Sequence[str]) -> str:
        """Columns of numbers side by side, one tensor (rows, columns)."""
        tensors = [self.read(name) for name in names]
        return tensors[0] if len(tensors) == 1 else self.node("Concat", *tensors, axis=1)

    def write_side_by_side(self, names: Sequence[str], tensor: str) -> None:
        """Columns from one tensor (rows, columns)."""
        for place, name in enumerate(names):
            self.write(name, self.column(tensor, place))

    def column(self, tensor: str, place: int) -> str:
        """One column of a tensor, (rows, 1)."""
        return self.node("Gather", tensor, self.constant(np.array([place], np.int64)), axis=1)

    def is_missing(self, name: str) -> str:
        """A tensor of booleans, (rows, 1)."""
        if self.kind(name) is Kind.TEXT:
            return self.node("Equal", self.read(name), self.constant(MISSING_TEXT))
        return self.node("IsNaN", self.read(name))

    # ---- what the recipe uses ----

    def done(self, made: Sequence[str], after: Schema) -> None:
        """The step is written. Raises StepError where it has not written what it makes."""
        if set(made) != set(self._written):
            raise StepError("its ONNX form does not make the columns that it makes")
        places = self._where | self._written
        self._where = {name: places[name] for name in after.names}
        self.schema, self._written = after, {}

    def model(self, names: Sequence[str], metadata: Mapping[str, str]) -> Any:
        """The ModelProto: `features` has all columns of numbers, each text has an output under its own name."""
        import onnx

        outputs = []
        numeric = [name for name in names if self.kind(name) is not Kind.TEXT]
        if numeric:
            whole = self.node("Concat", *(self.read(name) for name in numeric), axis=1)
            width = len(Schema(tuple(self.schema[name] for name in numeric)).flat_names)
            outputs.append(self._output(whole, FEATURES, onnx.TensorProto.DOUBLE, width))
        texts = [name for name in names if self.kind(name) is Kind.TEXT]
        outputs += [
            self._output(self.read(name), self._free(f"{name}.out"), onnx.TensorProto.STRING, 1) for name in texts
        ]
        graph = self._helper.make_graph(self.nodes, "recipe", self.inputs, outputs, self.initializers)
        opsets = [self._helper.make_opsetid("", OPSET), self._helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        model = self._helper.make_model(graph, opset_imports=opsets, producer_name="clary", ir_version=9)
        self._helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model

    def _free(self, name: str) -> str:
        while any(input_.name == name for input_ in self.inputs):
            name = f"{name}.out"
        return name

    def _output(self, tensor: str, name: str, kind: int, width: int) -> Any:
        self.nodes.append(self._helper.make_node("Identity", [tensor], [name]))
        return self._helper.make_tensor_value_info(name, kind, [None, width])
