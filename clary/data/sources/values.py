"""Python values (of JSON, spreadsheets, databases) as Arrow columns."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clary.data.errors import ReadError
from clary.data.frames import distinct_names
from clary.data.notes import Note
from clary.data.sources.cells import ARROW, Cells, Type
from clary.data.sources.infer import guess


def array_of(values: Sequence[Any], name: str, notes: list[Note], *, text: bool = False) -> pa.Array:
    """Values of the same type as they are, integers and floats as floats, any other mixture as text, with a note.

    text    whether it has to be text
    Raises  ReadError for values that a table cannot hold.
    """
    values = [None if isinstance(value, float) and math.isnan(value) else value for value in values]
    kinds = {type(value) for value in values if value is not None}
    if text or (len(kinds) > 1 and not (kinds <= {int, float}) and not _temporal(kinds)):
        if not text:
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            notes.append(Note(f"It mixes {names}: it was read as text.", name))
        return pa.array([None if value is None else as_text(value) for value in values], pa.string())
    if kinds == {int, float}:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    try:
        if _temporal(kinds) and len(kinds) > 1:
            values = [_at_midnight(value) if type(value) is datetime.date else value for value in values]
        array = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeError):
        notes.append(Note("Its values have no common type in a table: it was read as text.", name))
        return _as_texts(values, name)
    return with_times(array)


def _as_texts(values: Sequence[Any], name: str) -> pa.Array:
    try:
        return pa.array([None if value is None else as_text(value) for value in values], pa.string())
    except UnicodeError as error:
        raise ReadError(f"column {name!r} holds text that is not Unicode: {error}") from None


def _temporal(kinds: set[type]) -> bool:
    return bool(kinds) and kinds <= {datetime.date, datetime.datetime}


def _at_midnight(day: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time())


def as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (Mapping, list, tuple, bool)):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def with_times(array: pa.Array) -> pa.Array:
    """Text in which each value is a time by ISO 8601 as times; anything else as it is."""
    if not pa.types.is_string(array.type) or not len(array):
        return array
    first = array.slice(0, 100)
    for kind in (Type.TIME, Type.ZONED):
        if _all_are(first, kind) and _all_are(array, kind):
            try:
                return pc.cast(array, ARROW[kind])
            except pa.ArrowInvalid:  # blanks around a time
                return array
    return array


def _all_are(texts: pa.Array, kind: Type) -> bool:
    return guess(texts, Cells(missing=frozenset())) is kind


def table_of(columns: Mapping[str, Sequence[Any]], notes: list[Note], text: frozenset[str] = frozenset()) -> pa.Table:
    """A table of columns of the same length."""
    arrays = [array_of(values, name, notes, text=name in text) for name, values in columns.items()]
    return pa.Table.from_arrays(arrays, names=list(columns)) if arrays else pa.table({})


def columns_of(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Records as columns, in the order in which keys first occur; nested members are called "outer.inner"."""
    columns: dict[str, list[Any]] = {}
    for number, record in enumerate(records):
        for key, value in _flattened(record).items():
            column = columns.setdefault(key, [])
            column += [None] * (number - len(column))
            column.append(value)
    for column in columns.values():
        column.extend([None] * (len(records) - len(column)))
    return columns


def _flattened(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The members of a record, those of nested records among them; an empty nested record is None."""
    members: dict[str, Any] = {}
    for key, value in record.items():
        name = f"{prefix}{key}"
        nested = isinstance(value, Mapping) and value
        for inner, member in _flattened(value, f"{name}.").items() if nested else [(name, value)]:
            new = inner
            while new in members:  # both {"a.b": 1} and {"a": {"b": 2}}
                new = f"{new}.1"
            members[new] = None if isinstance(member, Mapping) and not member else member
    return members


def named(rows: Sequence[Sequence[Any]], names: Sequence[str] | None, notes: list[Note]) -> dict[str, list[Any]]:
    """Rows as columns of these names, or column_1 …; short rows are padded with None."""
    width = max([len(row) for row in rows] + [len(names or ())], default=0)
    written = list(names or ())[:width] + [""] * (width - len(names or ()))
    distinct = distinct_names([name or f"column_{place}" for place, name in enumerate(written, 1)])
    for old, new in zip(written, distinct, strict=True):
        if old != new and names is not None:
            notes.append(Note(f"The column's name was {old!r}; it is now {new!r}.", new))
    return {name: [row[place] if place < len(row) else None for row in rows] for place, name in enumerate(distinct)}
