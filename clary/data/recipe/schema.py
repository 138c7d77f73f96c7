"""Whether a table has the columns that a recipe was fitted on, and the same table with just these.

A column may arrive otherwise where nothing is lost by it: true and false as numbers, 1 and 0 as booleans, and a column
without any value as whatever is wanted. All else is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from clary.data.batch import Kind, kind_of_arrow, some
from clary.data.errors import DataError
from clary.data.notes import Note
from clary.data.scans import Part, Scan


def check_columns(schema: pa.Schema, wanted: Sequence[str]) -> None:
    """Raises DataError where columns are not there."""
    lacking = [name for name in wanted if name not in schema.names]
    if lacking:
        raise DataError(
            f"the table lacks {some(lacking)}, which the recipe was fitted with; it has: {some(schema.names)}"
        )


def conformed(scan: Scan, wanted: pa.Schema) -> Scan:
    """The table with the wanted columns alone, each of the kind wanted.

    Raises DataError for columns that are not there; reading raises it for values that would have to be made up.
    """
    check_columns(scan.arrow_schema, wanted.names)
    return Conformed(scan, wanted)


@dataclass(frozen=True)
class Conformed:
    """A scan whose columns are those wanted."""

    scan: Scan
    wanted: pa.Schema

    @property
    def arrow_schema(self) -> pa.Schema:
        given = self.scan.arrow_schema
        return pa.schema([field if self._differs(field.name) else given.field(field.name) for field in self.wanted])

    @property
    def rows(self) -> int:
        return self.scan.rows

    @property
    def notes(self) -> Sequence[Note]:
        return self.scan.notes

    def parts(self) -> Sequence[Part]:
        changed = {name: self.wanted.field(name).type for name in self.wanted.names if self._differs(name)}
        return [ConformedPart(part, changed) for part in self.scan.parts()] if changed else self.scan.parts()

    def _differs(self, name: str) -> bool:
        given, wanted = self.scan.arrow_schema.field(name).type, self.wanted.field(name).type
        kind = kind_of_arrow(wanted)
        return kind_of_arrow(given) is not kind or (kind is Kind.OTHER and given != wanted)


@dataclass(frozen=True)
class ConformedPart:
    """A part of it. changed: columns and the types they are to have."""

    part: Part
    changed: dict[str, pa.DataType]

    @property
    def first_row(self) -> int:
        return self.part.first_row

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        for batch in self.part.batches(columns, rows):
            for name in set(columns) & set(self.changed):
                place = batch.schema.get_field_index(name)
                array = as_wanted(batch.column(place), self.changed[name], name)
                batch = batch.set_column(place, pa.field(name, array.type), array)  # noqa: PLW2901
            yield batch


def as_wanted(array: pa.Array, wanted: pa.DataType, name: str) -> pa.Array:
    """The column as that type. Raises DataError where that would not be lossless."""
    given = kind_of_arrow(array.type)
    kind = kind_of_arrow(wanted)
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    if array.null_count == len(array):
        return pa.nulls(len(array), wanted)
    if given is Kind.BOOLEAN and kind is Kind.NUMBER:
        return array.cast(pa.int8()).cast(pa.float64())
    if given is Kind.NUMBER and kind is Kind.BOOLEAN and pc.all(_zero_or_one(array)).as_py():
        return pc.equal(array, 1)
    if given is kind:
        try:
            return array.cast(wanted)
        except pa.ArrowException:
            raise DataError(f"column {name!r} holds {array.type}; the recipe was fitted with {wanted}") from None
    raise DataError(
        f"column {name!r} holds {given}; the recipe was fitted with {kind}. Give it as {kind}, or fit a recipe that "
        "begins with the step `cast`"
    )


def _zero_or_one(array: pa.Array) -> pa.Array:
    return pc.or_(pc.equal(array, 0), pc.equal(array, 1))
