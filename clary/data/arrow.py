"""Arrow arrays as numpy's and back, without pandas.

pyarrow's own `to_numpy` and `pa.array` of a numpy array load pandas each time a process first calls them: 50 MB and a
fifth of a second, for nothing where no pandas object is about.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_NAT = np.iinfo(np.int64).min


def to_numpy(array: pa.Array) -> NDArray[Any]:
    """The values of an array of integers, floats, booleans or times in microseconds: a view where that is possible.

    A missing value is NaN or NaT. An array of integers or booleans must have none (`pa.Array.null_count` is 0).
    """
    if pa.types.is_boolean(array.type):
        return _bits(array.buffers()[1], array.offset, len(array)).view(np.bool_)
    time = pa.types.is_timestamp(array.type)
    dtype = np.dtype(np.int64 if time else array.type.to_pandas_dtype())
    data = array.buffers()[1]
    if data is None:
        values = np.zeros(len(array), dtype)
    else:
        values = np.frombuffer(data, dtype, len(array), array.offset * dtype.itemsize)
    if array.null_count:
        missing = _bits(array.buffers()[0], array.offset, len(array)) == 0
        values = values.copy()
        values[missing] = _NAT if time else np.nan
    return values.view("datetime64[us]") if time else values


def dictionary_codes(array: pa.DictionaryArray) -> NDArray[np.int32]:
    """The codes of a dictionary's values, -1 where a value is missing."""
    indices = array.indices
    codes = np.frombuffer(indices.buffers()[1] or b"", np.int32)[indices.offset : indices.offset + len(indices)]
    if not len(codes):
        return np.full(len(indices), -1, np.int32)
    return np.where(missing_mask(indices), np.int32(-1), codes) if indices.null_count else codes


def missing_mask(array: pa.Array) -> NDArray[np.bool_]:
    """Where a value is missing."""
    return to_numpy(array.is_null()) if array.null_count else np.zeros(len(array), dtype=bool)


def _bits(data: pa.Buffer | None, offset: int, count: int) -> NDArray[np.uint8]:
    if data is None or not count:
        return np.zeros(count, np.uint8)
    first, skipped = divmod(offset, 8)
    packed = np.frombuffer(data, np.uint8, (skipped + count + 7) // 8, first)
    return np.unpackbits(packed, count=skipped + count, bitorder="little")[skipped:]


def to_arrow(values: NDArray[Any]) -> pa.Array:
    """An Arrow array of numbers, booleans or times; NaN and NaT become null."""
    kind, count = values.dtype.kind, len(values)
    if kind == "b":
        return pa.Array.from_buffers(pa.bool_(), count, [None, _buffer(np.packbits(values, bitorder="little"))])
    missing = np.isnan(values) if kind == "f" else np.isnat(values) if kind == "M" else None
    validity = None
    if missing is not None and missing.any():
        validity = _buffer(np.packbits(~missing, bitorder="little"))
    if kind == "M":
        values = values.astype("datetime64[us]", copy=False).view(np.int64)
    arrow_type = pa.timestamp("us") if kind == "M" else pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(arrow_type, count, [validity, _buffer(values)])


def _buffer(values: NDArray[Any]) -> pa.Buffer:
    return pa.py_buffer(np.ascontiguousarray(values))
