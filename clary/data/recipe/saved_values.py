"""The values that fitted steps keep, as JSON beside arrays; what has no such form is pickled, and told apart."""

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
from clary.data.recipe import saved_classes

# Of numpy's types; an array of Python objects is pickled.
_ARRAY_KINDS = "biufcSUMm"


@dataclass
class Writer:
    """Values on their way into a file.

    files   arrays: name in the archive -> bytes
    opaque  what only pickle can hold, by number
    """

    files: dict[str, bytes] = field(default_factory=dict)
    opaque: list[Any] = field(default_factory=list)

    def said(self, value: Any) -> Any:
        """As JSON: what is not null, true, false, a number or a text is a mapping from its form to what makes it."""
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
                return {"tuple": [self.said(one) for one in value]}
            case list() if type(value) is list:
                return {"list": [self.said(one) for one in value]}
            case frozenset() if type(value) is frozenset:
                return {"set": [self.said(one) for one in sorted(value, key=repr)]}
            case dict() if type(value) is dict:
                return {"dict": [[self.said(key), self.said(one)] for key, one in value.items()]}
            case Field():
                return {"field": [value.name, value.kind.value, list(value.names), value.aside]}
            case Schema():
                return {"schema": [self.said(one) for one in value.fields]}
            case np.ufunc() if getattr(np, _name(value), None) is value:
                return {"ufunc": _name(value)}
            case np.ndarray() | np.generic() if value.dtype.kind in _ARRAY_KINDS:
                return {"array" if isinstance(value, np.ndarray) else "scalar": self._file("npy", _npy(value))}
            case pa.Array():
                return {"arrow": self._file("arrow", _arrow(value))}
            case pa.DataType():
                return {"type": self._file("arrow", _arrow(pa.nulls(0, value)))}
            case _:
                return self._unlike_others(value)

    def _unlike_others(self, value: Any) -> Any:
        from scipy import sparse

        if name := saved_classes.name_of(value):
            inner = saved_classes.fields_of(value)
            return {"object": [name, {each: self.said(one) for each, one in inner.items()}]}
        if sparse.issparse(value):
            matrix = value.tocsr()
            parts = [matrix.data, matrix.indices, matrix.indptr]
            return {"csr": [*(self.said(one) for one in parts), list(matrix.shape)]}
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
    """Values on their way out of a file that anybody may have written.

    file    the bytes of one of the archive's files; raises DataError where there is none
    opaque  what was pickled, where the caller allows it
    """

    file: Callable[[str], bytes]
    opaque: list[Any]

    def value(self, said: Any) -> Any:
        """Raises DataError, or what numpy and Arrow raise for bytes that are not theirs."""
        if said is None or isinstance(said, bool | int | float | str):
            return said
        if not isinstance(said, Mapping) or len(said) != 1:
            raise DataError(f"a value has no form: {str(said)[:60]}")
        ((form, inner),) = said.items()
        readers: dict[str, Callable[[Any], Any]] = {
            "kind": Kind,
            "float": _float,
            "bytes": bytes.fromhex,
            "tuple": lambda inner: tuple(map(self.value, inner)),
            "list": lambda inner: list(map(self.value, inner)),
            "set": lambda inner: frozenset(map(self.value, inner)),
            "dict": lambda inner: {self.value(key): self.value(one) for key, one in inner},
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
        return saved_classes.made(_text(name), {each: self.value(one) for each, one in values.items()})

    def _csr(self, inner: Any) -> Any:
        from scipy import sparse

        data, indices, indptr, shape = *map(self.value, inner[:3]), tuple(inner[3])
        made = sparse.csr_matrix((data, indices, indptr), shape=shape)
        made.check_format(full_check=True)
        return made


def _float(said: str) -> float:
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[said]


def _field(name: Any, kind: Any, names: Any, aside: Any) -> Field:
    return Field(_text(name), Kind(kind), tuple(map(_text, names)), aside is True)


def _text(said: Any) -> str:
    if not isinstance(said, str):
        raise DataError(f"{str(said)[:60]!r} is no text")
    return said


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
