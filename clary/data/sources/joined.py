"""Scans around scans: several files as one table, some of a table's columns, its first rows, a column that is the same
throughout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from clary.data.batch import some
from clary.data.errors import ReadError
from clary.data.notes import Note
from clary.data.scans import Part, Scan
from clary.data.sources.spill import fitted, of_no_columns


class Wrapper:
    """A scan that holds others; closing it closes them."""

    def __init__(self, within: Sequence[Scan], schema: pa.Schema, rows: int, notes: Sequence[Note]) -> None:
        self._within, self._schema, self._rows, self._notes = list(within), schema, rows, tuple(notes)

    @property
    def arrow_schema(self) -> pa.Schema:
        return self._schema

    @property
    def rows(self) -> int:
        return self._rows

    @property
    def notes(self) -> Sequence[Note]:
        return self._notes

    def parts(self) -> Sequence[Part]:
        return [one for scan in self._within for one in scan.parts()]

    def close(self) -> None:
        with ExitStack() as stack:
            for one in self._within:
                stack.callback(close, one)

    def __enter__(self) -> Wrapper:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def close(scan: Scan) -> None:
    """Give back what a scan holds, where it holds anything."""
    closing = getattr(scan, "close", None)
    if closing is not None:
        closing()


class Chosen(Wrapper):
    """Some columns, in this order, and the first so many rows. Raises ReadError for a column that is not there."""

    def __init__(self, scan: Scan, columns: Sequence[str] | None, rows: int | None) -> None:
        schema = scan.arrow_schema
        if columns is not None:
            if gone := [name for name in columns if name not in schema.names]:
                close(scan)
                raise ReadError(f"there is no column {some(gone)}; there are {some(schema.names)}")
            schema = pa.schema([schema.field(name) for name in columns])
        super().__init__([scan], schema, scan.rows if rows is None else min(rows, scan.rows), scan.notes)
        self._whole = rows is None

    def parts(self) -> Sequence[Part]:
        if self._whole:
            return super().parts()
        return [
            FirstRows(part, part.first_row, self._rows - part.first_row)
            for part in super().parts()
            if part.first_row < self._rows
        ]

    def frame(self) -> Any:
        """The same of a DataFrame that the scan makes itself; None where it makes none."""
        own = getattr(self._within[0], "frame", None)
        frame = own() if own is not None else None
        return frame if frame is None else frame[self._schema.names].head(self._rows)


@dataclass(frozen=True)
class FirstRows:
    part: Part
    first_row: int
    most: int

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        left = self.most
        for batch in self.part.batches(columns, min(rows, self.most)):
            if batch.num_rows <= left:
                yield batch
            elif columns:
                yield batch.slice(0, left)
            else:
                yield from of_no_columns(left, rows)
            left -= batch.num_rows
            if left <= 0:
                return


class Joined(Wrapper):
    """Tables one under the other. Raises ReadError, naming file and column, where they do not fit."""

    def __init__(self, scans: Sequence[tuple[str, Scan]], notes: Sequence[Note] = ()) -> None:
        try:
            schema = _common([(name, scan.arrow_schema) for name, scan in scans])
        except BaseException:
            for _, scan in scans:
                close(scan)
            raise
        several = len(scans) > 1
        told = [
            Note(
                f"{name}: {note.message}" if several and name not in note.message else note.message,
                note.column,
                note.rows,
            )
            for name, scan in scans
            for note in scan.notes
        ]
        super().__init__([scan for _, scan in scans], schema, sum(scan.rows for _, scan in scans), [*notes, *told])

    def parts(self) -> Sequence[Part]:
        found: list[Part] = []
        first_row = 0
        for scan in self._within:
            found += [Shifted(part, first_row + part.first_row, self._schema) for part in scan.parts()]
            first_row += scan.rows
        return found


@dataclass(frozen=True)
class Shifted:
    """A part of one table as a part of all, in the columns' common types."""

    part: Part
    first_row: int
    schema: pa.Schema

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        for batch in self.part.batches(columns, rows):
            if not columns:
                yield batch
                continue
            arrays = [fitted(batch.column(at), self.schema.field(name).type) for at, name in enumerate(columns)]
            yield pa.RecordBatch.from_arrays(arrays, list(columns))


def _common(schemas: Sequence[tuple[str, pa.Schema]]) -> pa.Schema:
    first_name, first = schemas[0]
    types = {one.name: one.type for one in first}
    for name, schema in schemas[1:]:
        if gone := [one for one in types if one not in schema.names]:
            raise ReadError(f"{name} has no column {some(gone)}, which {first_name} has")
        if more := [one for one in schema.names if one not in types]:
            raise ReadError(f"{name} has the column {some(more)}, which {first_name} has not")
        for one in schema:
            common = common_type(types[one.name], one.type)
            if common is None:
                raise ReadError(
                    f"{name}, column {one.name!r} holds {one.type}, while in {first_name} it is {types[one.name]}; "
                    f'read one without it (columns=), or, from text files, with types={{{one.name!r}: "text"}}'
                )
            types[one.name] = common
    return pa.schema(list(types.items()))


def common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type that holds the values of both unchanged; None where there is none."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    coded = pa.types.is_dictionary(one) or pa.types.is_dictionary(other)
    one, other = (kind.value_type if pa.types.is_dictionary(kind) else kind for kind in (one, other))
    if _is_text(one) and _is_text(other):
        return pa.dictionary(pa.int32(), pa.string()) if coded else pa.string()
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (one, other)):
        return _wider_number(one, other)
    if pa.types.is_temporal(one) and pa.types.is_temporal(other) and _zone(one) == _zone(other):
        return pa.timestamp("us", _zone(one)) if not pa.types.is_time(one) and not pa.types.is_duration(one) else None
    return None


def _wider_number(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if pa.types.is_floating(one) or pa.types.is_floating(other):
        return pa.float64()
    return pa.int64()


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _zone(kind: pa.DataType) -> str | None:
    return kind.tz if pa.types.is_timestamp(kind) else None


class Within(Wrapper):
    """A table with columns in front that are the same in each row: those that its folder's name tells."""

    def __init__(self, scan: Scan, values: dict[str, str | int]) -> None:
        schema = scan.arrow_schema
        if twice := [name for name in values if name in schema.names]:
            raise ReadError(f"column {some(twice)} is both in the file and in its folder's name")
        fields = [(name, pa.int64() if isinstance(value, int) else pa.string()) for name, value in values.items()]
        super().__init__([scan], pa.schema([*[pa.field(*one) for one in fields], *schema]), scan.rows, scan.notes)
        self._values = values

    def parts(self) -> Sequence[Part]:
        return [SameThroughout(part, part.first_row, self._values, self._schema) for part in super().parts()]


@dataclass(frozen=True)
class SameThroughout:
    part: Part
    first_row: int
    values: dict[str, str | int]
    schema: pa.Schema

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        inner = [name for name in columns if name not in self.values]
        for batch in self.part.batches(inner, rows):
            if not columns:
                yield batch
                continue
            arrays = [
                pa.repeat(pa.scalar(self.values[name], self.schema.field(name).type), batch.num_rows)
                if name in self.values
                else batch.column(inner.index(name))
                for name in columns
            ]
            yield pa.RecordBatch.from_arrays(arrays, list(columns))
