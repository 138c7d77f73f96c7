"""Batches as Arrow tables of one schema: an integer column is another dtype in a batch where values are missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from clary.data.batch import Batch, Block, Column, kind_of_arrow, some
from clary.data.errors import DataError
from clary.data.frames import distinct_names


class Columns:
    """The columns of all batches, as the schema says, or else as the first batch has them.

    label  a column that must be there, None for none
    """

    def __init__(self, schema: pa.Schema | None, label: str | None) -> None:
        self.label = label
        self.fields: dict[str, pa.DataType] = {}  # by name; a block's own type is null: it is float64
        self.blocks: dict[str, tuple[str, ...]] = {}
        self.known = schema is not None
        self._order = [one.name for one in schema or ()]
        for one in schema or ():
            self.fields[one.name] = _written(one.type)
        if self.known:
            self._check_label()

    def settle(self, batch: Batch) -> Batch:
        """Take the columns of the first batch, or see that these are the same; in the order of the first.

        Raises DataError.
        """
        if not self.known:
            self.known = True
            for name, column in batch.columns.items():
                if isinstance(column, Block):
                    self.blocks[name] = column.names
                else:
                    array = column if not isinstance(column, np.ndarray) else pa.array(column[:0])
                    self.fields[name] = _written(array.type)
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
        if twice := [new for old, new in zip(names, distinct_names(names), strict=True) if old != new]:
            raise DataError(f"columns are named twice, within blocks or beside them: {some(twice)}")

    def arrow(self, batch: Batch) -> pa.Table:
        """The label first, blocks as columns of their own. Raises DataError."""
        arrays: dict[str, Any] = {}
        names = list(batch.columns)
        if self.label is not None:
            names.remove(self.label)
            names.insert(0, self.label)
        for name in names:
            column = batch[name]
            if isinstance(column, Block):
                if column.names != self.blocks[name]:
                    raise DataError(f"block {name!r} has other columns in this batch than in those before")
                dense = column.dense()
                arrays |= {
                    inner: pa.array(dense[:, place], from_pandas=True) for place, inner in enumerate(column.names)
                }
            else:
                arrays[name] = self.array(name, column)
        return pa.table(arrays)

    def array(self, name: str, column: Column) -> pa.Array:
        """In the type of all batches. Raises DataError where it does not fit."""
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
                f"{wanted}, as in those before; cast it (step `cast`) to one type"
            ) from None

    def empty(self) -> pa.Table:
        names = list(self.fields)
        if self.label is not None:
            names.remove(self.label)
            names.insert(0, self.label)
        return pa.schema([(name, self.fields[name]) for name in names]).empty_table()


def _written(given: pa.DataType) -> pa.DataType:
    """The type that a column has in files: text is no dictionary, nothing at all is numbers."""
    if pa.types.is_dictionary(given):
        given = given.value_type
    if pa.types.is_null(given) or pa.types.is_decimal(given) or pa.types.is_float16(given):
        return pa.float64()
    if pa.types.is_large_string(given) or pa.types.is_string_view(given):
        return pa.string()
    if pa.types.is_timestamp(given) or pa.types.is_date(given):
        return pa.timestamp("us")
    return given
