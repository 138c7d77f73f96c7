"""Batches as Arrow tables with a common schema: numpy has another dtype for integers where some are missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from clary.data.batch import Batch, Block, Column, kind_of_arrow, some
from clary.data.errors import DataError
from clary.data.frames import distinct_names


class Columns:
    """The columns of all batches: those of the schema, or else of the first batch.

    label  a required column, None for no label
    """

    def __init__(self, schema: pa.Schema | None, label: str | None) -> None:
        self.label = label
        self.fields: dict[str, pa.DataType] = {}  # by name; without blocks, whose values are float64
        self.blocks: dict[str, tuple[str, ...]] = {}
        self.known = schema is not None
        self._order = [field.name for field in schema or ()]
        for field in schema or ():
            self.fields[field.name] = _written_type(field.type)
        if self.known:
            self._check_label()

    def settle(self, batch: Batch) -> Batch:
        """Take the columns of the first batch, or check that these are the same; the batch in the order of the first.

        Raises DataError.
        """
        if not self.known:
            self.known = True
            for name, column in batch.columns.items():
                if isinstance(column, Block):
                    self.blocks[name] = column.names
                else:
                    array = column if not isinstance(column, np.ndarray) else pa.array(column[:0])
                    self.fields[name] = _written_type(array.type)
            self._order = list(batch.columns)
            self._check_label()
            self._check_names(batch)
        blocks = {name for name, column in batch.columns.items() if isinstance(column, Block)}
        if set(batch.columns) != set(self._order) or blocks != set(self.blocks):
            raise DataError(f"this batch has the columns {some(batch.columns)}; those before had {some(self._order)}")
        return batch if list(batch.columns) == self._order else batch.only(self._order)

    def _check_label(self) -> None:
        if self.label is not None and self.label not in self.fields:
            raise DataError(f"label={self.label!r} is not one of the columns: {some(self._order)}")

    def _check_names(self, batch: Batch) -> None:
        names = list(batch.schema.flat_names)
        if repeated := [new for old, new in zip(names, distinct_names(names), strict=True) if old != new]:
            raise DataError(f"columns are named twice, within blocks or beside them: {some(repeated)}")

    def arrow(self, batch: Batch) -> pa.Table:
        """The label first, the columns of blocks among the others. Raises DataError."""
        arrays: dict[str, Any] = {}
        names = list(batch.columns)
        if self.label is not None:
            names.remove(self.label)
            names.insert(0, self.label)
        for name in names:
            column = batch[name]
            if isinstance(column, Block):
                if column.names != self.blocks[name]:
                    raise DataError(f"block {name!r} has other columns in this batch than in earlier batches")
                dense = column.dense()
                arrays |= {
                    inner: pa.array(dense[:, place], from_pandas=True) for place, inner in enumerate(column.names)
                }
            else:
                arrays[name] = self.array(name, column)
        return pa.table(arrays)

    def array(self, name: str, column: Column) -> pa.Array:
        """The column in the type of all batches. Raises DataError where it does not fit."""
        wanted = self.fields[name]
        array = pa.array(column, from_pandas=True) if isinstance(column, np.ndarray) else column
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if array.type == wanted:
            return array
        try:
            if pa.types.is_boolean(wanted) and pa.types.is_floating(array.type):
                array = array.cast(pa.int8())
            return array.cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise DataError(
                f"column {name!r} holds {kind_of_arrow(array.type)} ({array.type}) in this batch, which does not fit "
                f"{wanted}, as in earlier batches; cast it (step `cast`) to one type"
            ) from None

    def empty(self) -> pa.Table:
        names = list(self.fields)
        if self.label is not None:
            names.remove(self.label)
            names.insert(0, self.label)
        return pa.schema([(name, self.fields[name]) for name in names]).empty_table()


def _written_type(kind: pa.DataType) -> pa.DataType:
    """The type that a column has in files: text without dictionary, float64 for a column without values."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind) or pa.types.is_decimal(kind) or pa.types.is_float16(kind):
        return pa.float64()
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pa.timestamp("us")
    return kind
