"""The values that fitted steps keep, as JSON beside arrays; values without such a form are pickled, apart from them."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from clary.data.batch import Field, Kind, Schema
from clary.data.errors import DataError
from clary.data.recipe.saved import classes

# Of numpy's types; an array of Python objects is pickled.
_ARRAY_KINDS = "biufcSUMm"


@dataclass
class Writer:
    """Turns values into what a file holds.

    files   arrays: name in the archive -> bytes
    opaque  what only pickle can hold, by number
    """

    files: dict[str, bytes] = field(default_factory=dict)
    opaque: list[Any] = field(default_factory=list)

    def to_json(self, value: Any) -> Any:
        """As JSON: what is not null, true, false, a number or a text is {its form: what constructs it}."""
        match value:
            case Kind():
                return {"kind": value.value}
            case None | bool():
                return value
            case int() | str() if type(value) in (int, str):
                return value
            case float() if type(value) is float:
                return value if math.isfinite(value) else {"float": repr(value)}
            case bytes():
                return {"bytes": value.hex()}
            case tuple() if type(value) is tuple:
                return {"tuple": [self.to_json(item) for item in value]}
            case list() if type(value) is list:
                return {"list": [self.to_json(item) for item in value]}
            case frozenset() if type(value) is frozenset:
                return {"set": [self.to_json(item) for item in sorted(value, key=repr)]}
            case dict() if type(value) is dict:
                return {"dict": [[self.to_json(key), self.to_json(item)] for key, item in value.items()]}
            case Field():
                return {"field": [value.name, value.kind.value, list(value.names), value.aside]}
            case Schema():
                return {"schema": [self.to_json(field) for field in value.fields]}
            case np.ufunc() if getattr(np, _name(value), None) is value:
                return {"ufunc": _name(value)}
            case np.ndarray() | np.generic() if value.dtype.kind in _ARRAY_KINDS:
                return {"array" if isinstance(value, np.ndarray) else "scalar": self._file("npy", _npy(value))}
            case pa.Array():
                return {"arrow": self._file("arrow", _arrow(value))}
            case pa.DataType():
                return {"type": self._file("arrow", _arrow(pa.nulls(0, value)))}
            case _:
                return self._object_or_pickle(value)

    def _object_or_pickle(self, value: Any) -> Any:
        from scipy import sparse

        if name := classes.name_of(value):
            inner = classes.fields_of(value)
            return {"object": [name, {field: self.to_json(item) for field, item in inner.items()}]}
        if sparse.issparse(value):
            matrix = value.tocsr()
            parts = [matrix.data, matrix.indices, matrix.indptr]
            return {"csr": [*(self.to_json(part) for part in parts), list(matrix.shape)]}
        self.opaque.append(value)
        return {"pickled": len(self.opaque) - 1}

    def _file(self, kind: str, data: bytes) -> str:
        name = f"arrays/{len(self.files)}.{kind}"
        self.files[name] = data
        return name


def _name(function: Any) -> str:
    return str(function.__name__)


def _npy(value: Any) -> bytes:
    made = io.BytesIO()
    np.lib.format.write_array(made, np.ascontiguousarray(value).reshape(np.shape(value)), allow_pickle=False)
    return made.getvalue()


def _arrow(array: pa.Array) -> bytes:
    sink = pa.BufferOutputStream()
    batch = pa.record_batch([array], names=["values"])
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


@dataclass(frozen=True)
class Reader:
    """Reads values from a file that anybody may have written.

    file    the bytes of a file in the archive; raises DataError where there is none of the name
    opaque  what was pickled, where the caller allows it
    """

    file: Callable[[str], bytes]
    opaque: list[Any]

    def value(self, document: Any) -> Any:
        """Of what `Writer.to_json` made. Raises DataError, or what numpy and Arrow raise for damaged bytes."""
        if document is None or isinstance(document, bool | int | float | str):
            return document
        if not isinstance(document, Mapping) or len(document) != 1:
            raise DataError(f"a value has no form: {str(document)[:60]}")
        ((form, inner),) = document.items()
        readers: dict[str, Callable[[Any], Any]] = {
            "kind": Kind,
            "float": _float,
            "bytes": bytes.fromhex,
            "tuple": lambda inner: tuple(map(self.value, inner)),
            "list": lambda inner: list(map(self.value, inner)),
            "set": lambda inner: frozenset(map(self.value, inner)),
            "dict": lambda inner: {self.value(key): self.value(item) for key, item in inner},
            "field": lambda inner: Field(
                _text(inner[0]), Kind(inner[1]), tuple(map(_text, inner[2])), inner[3] is True
            ),
            "schema": lambda inner: Schema(tuple(map(self.value, inner))),
            "ufunc": _ufunc,
            "array": lambda inner: _array(self.file(inner)),
            "scalar": lambda inner: _array(self.file(inner))[()],
            "arrow": lambda inner: _from_arrow(self.file(inner)),
            "type": lambda inner: _from_arrow(self.file(inner)).type,
            "csr": self._csr,
            "object": self._object,
            "pickled": lambda inner: self.opaque[inner],
        }
        if form not in readers:
            raise DataError(f"a value is of an unknown form, {form!r}")
        return readers[form](inner)

    def _object(self, inner: Any) -> Any:
        name, values = inner
        return classes.construct(_text(name), {field: self.value(item) for field, item in values.items()})

    def _csr(self, inner: Any) -> Any:
        from scipy import sparse

        data, indices, indptr, shape = *map(self.value, inner[:3]), tuple(inner[3])
        made = sparse.csr_matrix((data, indices, indptr), shape=shape)
        made.check_format(full_check=True)
        return made


def _float(text: str) -> float:
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[text]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise DataError(f"{str(value)[:60]!r} is not text")
    return value


def _ufunc(name: str) -> np.ufunc:
    found = getattr(np, name, None)
    if not isinstance(found, np.ufunc):
        raise DataError(f"numpy has no function {name!r} of this kind")
    return found


def _array(data: bytes) -> Any:
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in _ARRAY_KINDS:
        raise DataError("an array is of a type that no step keeps")
    return array


def _from_arrow(data: bytes) -> pa.Array:
    table = pa.ipc.open_stream(data).read_all()
    table.validate(full=True)
    column = table.column(0).combine_chunks()
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
