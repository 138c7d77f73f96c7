"""Scans made of scans: several files as a single table, some columns or the first rows of a table, constant columns."""

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
from clary.data.sources.spill import batches_without_columns, fitted


class ScanWrapper:
    """A scan made of others; closing it closes them."""

    def __init__(self, scans: Sequence[Scan], schema: pa.Schema, rows: int, notes: Sequence[Note]) -> None:
        self._scans, self._schema, self._rows, self._notes = list(scans), schema, rows, tuple(notes)

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
        return [part for scan in self._scans for part in scan.parts()]

    def close(self) -> None:
        with ExitStack() as stack:
            for scan in self._scans:
                stack.callback(close, scan)

    def __enter__(self) -> ScanWrapper:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def close(scan: Scan) -> None:
    """Release the files that a scan holds, if any."""
    closing = getattr(scan, "close", None)
    if closing is not None:
        closing()


class Selection(ScanWrapper):
    """Some columns, in this order, and the first so many rows. Raises ReadError for a column that is not there."""

    def __init__(self, scan: Scan, columns: Sequence[str] | None, rows: int | None) -> None:
        schema = scan.arrow_schema
        if columns is not None:
            if unknown := [name for name in columns if name not in schema.names]:
                close(scan)
                raise ReadError(f"there is no column {some(unknown)}; there are {some(schema.names)}")
            schema = pa.schema([schema.field(name) for name in columns])
        super().__init__([scan], schema, scan.rows if rows is None else min(rows, scan.rows), scan.notes)
        self._all_rows = rows is None

    def parts(self) -> Sequence[Part]:
        if self._all_rows:
            return super().parts()
        return [
            FirstRows(part, part.first_row, self._rows - part.first_row)
            for part in super().parts()
            if part.first_row < self._rows
        ]

    def frame(self) -> Any:
        """The same of a DataFrame that the scan itself makes; None where it makes none."""
        make_frame = getattr(self._scans[0], "frame", None)
        frame = make_frame() if make_frame is not None else None
        return frame if frame is None else frame[self._schema.names].head(self._rows)


@dataclass(frozen=True)
class FirstRows:
    part: Part
    first_row: int
    count: int

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        remaining = self.count
        for batch in self.part.batches(columns, min(rows, self.count)):
            if batch.num_rows <= remaining:
                yield batch
            elif columns:
                yield batch.slice(0, remaining)
            else:
                yield from batches_without_columns(remaining, rows)
            remaining -= batch.num_rows
            if remaining <= 0:
                return


class Concatenation(ScanWrapper):
    """Tables concatenated. Raises ReadError, naming file and column, where they do not fit."""

    def __init__(self, scans: Sequence[tuple[str, Scan]], notes: Sequence[Note] = ()) -> None:
        try:
            schema = _common([(name, scan.arrow_schema) for name, scan in scans])
        except BaseException:
            for _, scan in scans:
                close(scan)
            raise
        several = len(scans) > 1
        prefixed = [
            Note(
                f"{name}: {note.message}" if several and name not in note.message else note.message,
                note.column,
                note.rows,
            )
            for name, scan in scans
            for note in scan.notes
        ]
        super().__init__([scan for _, scan in scans], schema, sum(scan.rows for _, scan in scans), [*notes, *prefixed])

    def parts(self) -> Sequence[Part]:
        parts: list[Part] = []
        first_row = 0
        for scan in self._scans:
            parts += [Shifted(part, first_row + part.first_row, self._schema) for part in scan.parts()]
            first_row += scan.rows
        return parts


@dataclass(frozen=True)
class Shifted:
    """A part of a table as a part of the concatenation, in the columns' common types."""

    part: Part
    first_row: int
    schema: pa.Schema

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        for batch in self.part.batches(columns, rows):
            if not columns:
                yield batch
                continue
            arrays = [fitted(batch.column(place), self.schema.field(name).type) for place, name in enumerate(columns)]
            yield pa.RecordBatch.from_arrays(arrays, list(columns))


def _common(schemas: Sequence[tuple[str, pa.Schema]]) -> pa.Schema:
    first_name, first = schemas[0]
    types = {field.name: field.type for field in first}
    for name, schema in schemas[1:]:
        if missing := [column for column in types if column not in schema.names]:
            raise ReadError(f"{name} has no column {some(missing)}, which {first_name} has")
        if additional := [column for column in schema.names if column not in types]:
            raise ReadError(f"{name} has the column {some(additional)}, which {first_name} does not have")
        for field in schema:
            common = common_type(types[field.name], field.type)
            if common is None:
                raise ReadError(
                    f"{name}, column {field.name!r} holds {field.type}, while in {first_name} it is "
                    f"{types[field.name]}; leave the column out (columns=), or, for text files, read it with "
                    f'types={{{field.name!r}: "text"}}'
                )
            types[field.name] = common
    return pa.schema(list(types.items()))


def common_type(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """The type that holds the values of both unchanged; None where there is none."""
    if left == right or pa.types.is_null(right):
        return left
    if pa.types.is_null(left):
        return right
    coded = pa.types.is_dictionary(left) or pa.types.is_dictionary(right)
    left, right = (kind.value_type if pa.types.is_dictionary(kind) else kind for kind in (left, right))
    if _is_text(left) and _is_text(right):
        return pa.dictionary(pa.int32(), pa.string()) if coded else pa.string()
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (left, right)):
        floating = pa.types.is_floating(left) or pa.types.is_floating(right)
        return pa.float64() if floating else pa.int64()
    if pa.types.is_temporal(left) and pa.types.is_temporal(right) and _zone(left) == _zone(right):
        clock = pa.types.is_time(left) or pa.types.is_duration(left)
        return None if clock else pa.timestamp("us", _zone(left))
    return None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _zone(kind: pa.DataType) -> str | None:
    return kind.tz if pa.types.is_timestamp(kind) else None


class WithConstants(ScanWrapper):
    """A table with constant columns in front: those of its folder's name, as Hive partitions have them."""

    def __init__(self, scan: Scan, values: dict[str, str | int]) -> None:
        schema = scan.arrow_schema
        if repeated := [name for name in values if name in schema.names]:
            raise ReadError(f"column {some(repeated)} is both in the file and in its folder's name")
        fields = [(name, pa.int64() if isinstance(value, int) else pa.string()) for name, value in values.items()]
        super().__init__([scan], pa.schema([*[pa.field(*field) for field in fields], *schema]), scan.rows, scan.notes)
        self._values = values

    def parts(self) -> Sequence[Part]:
        return [ConstantsPart(part, part.first_row, self._values, self._schema) for part in super().parts()]


@dataclass(frozen=True)
class ConstantsPart:
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
