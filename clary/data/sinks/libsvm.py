"""libsvm: `label index:value index:value …`, indices from 0 in the order of the columns; numbers read back exactly.

Values of a sparse block that are not stored are left out: zeros. Of other columns missing values are left out: to
XGBoost what is absent is missing; zeros are written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clary.data.batch import Batch
from clary.data.errors import DataError
from clary.data.sinks.base import OpenFile
from clary.data.sinks.columns import Columns
from clary.data.sinks.matrix import features_of, label_of, stored


@dataclass(frozen=True)
class LibsvmFormat:
    ending: str = ".libsvm"
    sparse: bool = True

    def open(self, stream: IO[bytes], columns: Columns) -> OpenFile:
        return _LibsvmFile(stream, columns)


class _LibsvmFile:
    def __init__(self, stream: IO[bytes], columns: Columns) -> None:
        self._stream, self._columns = stream, columns

    def write(self, batch: Batch) -> None:
        label = label_of(batch, self._columns)
        assert label is not None
        if np.isnan(label).any():
            raise DataError(
                f"label {self._columns.label!r} is missing in a row, which libsvm cannot express: drop the row"
            )
        matrix = stored(features_of(batch, self._columns))
        pairs = pc.binary_join_element_wise(_texts(matrix.indices), _texts(matrix.data), ":")
        rows = pa.ListArray.from_arrays(pa.array(matrix.indptr.astype(np.int32)), pairs)
        features = pc.binary_join(rows, " ")
        lines = pc.binary_join_element_wise(_texts(label), features, " ")
        lines = pc.if_else(pc.equal(pc.binary_length(features), 0), _texts(label), lines)
        whole = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines), "\n")
        if batch.rows:
            self._stream.write(whole[0].as_buffer())
            self._stream.write(b"\n")

    def close(self) -> None:
        self._stream.flush()


def _texts(numbers: Any) -> pa.Array:
    """Numbers as the shortest text that reads back as the same; whole numbers without a fraction."""
    array = pa.array(numbers)
    if not pa.types.is_floating(array.type):
        return array.cast(pa.string())
    whole = pc.and_(pc.equal(pc.floor(array), array), pc.less(pc.abs(array), 1e15))
    short = pc.if_else(whole, array, 0.0).cast(pa.int64()).cast(pa.string())
    return pc.if_else(whole, short, array.cast(pa.string()))
