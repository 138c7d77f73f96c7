"""RecordIO-protobuf as SageMaker's algorithms read it: float32, one record a row; rows of a sparse block stay sparse.

    Record         features = 1 (map), label = 2 (map); the entry "values" holds the numbers
    Value          float32_tensor = 2
    Float32Tensor  values = 1 (packed), keys = 2 (packed, where sparse), shape = 3 (packed)
Reference: "Common data formats for training" (SageMaker developer guide).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from clary.data.batch import Batch
from clary.data.errors import DataError
from clary.data.sinks.base import OpenFile
from clary.data.sinks.columns import Columns
from clary.data.sinks.matrix import features_of, label_of
from clary.formats.recordio import frame, write_rows


@dataclass(frozen=True)
class RecordIoFormat:
    ending: str = ".recordio"
    sparse: bool = True

    def open(self, stream: IO[bytes], columns: Columns) -> OpenFile:
        return _RecordIoFile(stream, columns)


class _RecordIoFile:
    def __init__(self, stream: IO[bytes], columns: Columns) -> None:
        self._stream, self._columns = stream, columns

    def write(self, batch: Batch) -> None:
        if not batch.rows:
            return
        label = label_of(batch, self._columns)
        matrix = features_of(batch, self._columns)
        write = _dense if isinstance(matrix, np.ndarray) else _sparse
        self._stream.write(write(matrix, label))

    def close(self) -> None:
        self._stream.flush()


def _dense(matrix: Any, label: Any) -> bytes:
    """All records have the same length and differ in their numbers only: a template is copied and filled in."""
    width = matrix.shape[1]
    values = _float32(matrix).view(np.uint8).reshape(len(matrix), 4 * width)
    labels = None if label is None else _float32(label).view(np.uint8).reshape(len(matrix), 4)
    mark = np.full((1, width), 1.5, "<f4")
    record = write_rows(mark, None if labels is None else np.full(1, 2.5, "<f4"))
    rows = np.tile(np.frombuffer(record, np.uint8), (len(matrix), 1))
    if width:
        at = record.index(mark.tobytes())
        rows[:, at : at + 4 * width] = values
    if labels is not None:
        at = record.rindex(np.float32(2.5).tobytes())
        rows[:, at : at + 4] = labels
    return rows.tobytes()


def _sparse(matrix: Any, label: Any) -> bytes:
    shape = _field(3, _varints([matrix.shape[1]]))
    values = _float32(matrix.data)
    labels = None if label is None else _float32(label)
    out = []
    for row in range(matrix.shape[0]):
        entries = slice(matrix.indptr[row], matrix.indptr[row + 1])
        tensor = _field(1, values[entries].tobytes()) + _field(2, _varints(matrix.indices[entries].tolist())) + shape
        record = _entry(1, tensor)
        if labels is not None:
            record += _entry(2, _field(1, labels[row : row + 1].tobytes()))
        out.append(frame(record))
    return b"".join(out)


def _float32(values: Any) -> Any:
    """As float32. Raises DataError where a finite number would become infinite."""
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(values, dtype="<f4")
    if (np.isinf(converted) & np.isfinite(values)).any():
        raise DataError("a number is larger than float32 holds, the only type of this format: scale it first")
    return converted


def _entry(field: int, tensor: bytes) -> bytes:
    return _field(field, _field(1, b"values") + _field(2, _field(2, tensor)))


def _field(number: int, value: bytes) -> bytes:
    """A field of bytes: its number and wire type, its length, itself."""
    return _varints([number << 3 | 2, len(value)]) + value


def _varints(numbers: Iterable[int]) -> bytes:
    out = bytearray()
    for number in numbers:
        remaining = number
        while remaining > 0x7F:
            out.append(remaining & 0x7F | 0x80)
            remaining >>= 7
        out.append(remaining)
    return bytes(out)
