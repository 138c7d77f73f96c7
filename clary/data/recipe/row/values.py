"""Values of a row as received, converted to what the row code takes; a value that does not fit is an error.

A mapping has JSON's values: null is missing, "" is a text. A sequence has the values in the columns' order, as of a
line of a CSV file: there "" is missing, whatever the column holds.
"""

from __future__ import annotations

import base64
import binascii
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, cast

import numpy as np
import pyarrow as pa

from clary.data.batch import Kind, some
from clary.data.errors import DataError

NOT_A_TIME = np.datetime64("NaT", "us")
_TRUE = {"true": 1.0, "1": 1.0, "1.0": 1.0, "false": 0.0, "0": 0.0, "0.0": 0.0}
_LONGEST = 60  # characters of a value that a message shows


def is_missing(value: object) -> bool:
    """None, NaN, NaT and pandas' NA."""
    if value is None:
        return True
    if isinstance(value, float):
        return value != value
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    pandas = sys.modules.get("pandas")  # who has no pandas loaded has no NA of its
    return pandas is not None and (value is pandas.NA or value is pandas.NaT)


def number(value: object, name: str) -> float:
    """A float, NaN where missing. Raises DataError for other values, and for text that is not wholly a number."""
    if isinstance(value, str):
        text = value.strip()
        if text and "_" not in text:
            try:
                found = float(text)
            except ValueError:
                found = None
            if found is not None and (not math.isinf(found) or "n" in text.lower()):  # "inf" is, 1e999 is not
                return found
        raise wrong_value(value, name, "a number")
    if is_missing(value):
        return math.nan
    if isinstance(value, bool | np.bool_ | int | float | np.integer | np.floating):
        try:
            return float(value)
        except OverflowError:
            pass
    raise wrong_value(value, name, "a number")


def boolean(value: object, name: str) -> float:
    """1.0 or 0.0, NaN where missing. Raises DataError for anything but true, false, 1, 0 and these as text."""
    found = _TRUE.get(value.strip().lower()) if isinstance(value, str) else number(value, name)
    if found is None or (found == found and found not in (0.0, 1.0)):
        raise wrong_value(value, name, "true or false")
    return found


def text(value: object, name: str) -> str | None:
    """A str, None where missing. Raises DataError for numbers and all else: their text form is not guessed."""
    if isinstance(value, str):
        return str(value)
    if not is_missing(value):
        raise wrong_value(value, name, "text")
    return None


def time(value: object, name: str) -> np.datetime64:
    """datetime64[us] in UTC, NaT where missing. Raises DataError for what is no ISO 8601 date or time.

    A time without a zone is taken to be in UTC, as in a batch.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise wrong_value(value, name, "a date or time in ISO 8601, like 2024-02-29T12:30:00Z") from None
    if is_missing(value):
        return NOT_A_TIME
    if isinstance(value, datetime):
        value = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo is not None else value
    if isinstance(value, date | np.datetime64):
        return cast("np.datetime64", np.datetime64(value, "us"))  # type: ignore[call-overload]
    raise wrong_value(value, name, "a date or time")


def reader_of(kind: pa.DataType) -> Callable[[object, str], pa.Array]:
    """A reader of values of an Arrow type: bytes, lists, structs. Bytes may come as base64, which JSON can hold."""

    def read(value: object, name: str) -> pa.Array:
        if isinstance(value, str) and (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            try:
                value = base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                raise wrong_value(value, name, "bytes, or base64 of bytes") from None
        try:
            return pa.array([None if is_missing(value) else value], kind)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            raise wrong_value(value, name, f"{kind}") from None

    return read


# The class that values mostly have already, and what makes others so.
READERS: Mapping[Kind, tuple[type | None, Callable[[object, str], Any]]] = {
    Kind.NUMBER: (float, number),
    Kind.BOOLEAN: (float, boolean),
    Kind.TEXT: (str, text),
    Kind.TIME: (None, time),
}


def wrong_value(value: object, name: str, wanted: str) -> DataError:
    shown = repr(value)
    shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
    return DataError(
        f"column {name!r}: {shown} ({type(value).__name__}) is not {wanted}; "
        "send null (in CSV: nothing) where the value is missing"
    )


def missing_columns(names: Sequence[str]) -> DataError:
    return DataError(f"the row has no column {some(names)}; send null where a value is missing")


def in_column_order(row: object, columns: Sequence[str], needed: Sequence[int]) -> list[Any]:
    """The values needed of a row, in their order. Raises DataError for rows of another form or length.

    columns  what a sequence holds, in its order
    needed   places among them
    """
    if isinstance(row, Mapping):
        if lacking := [columns[place] for place in needed if columns[place] not in row]:
            raise missing_columns(lacking)
        return [row[columns[place]] for place in needed]
    if isinstance(row, str | bytes) or not isinstance(row, Sequence | np.ndarray):
        raise DataError(f"a row is a mapping from column to value, or a sequence of values; not {type(row).__name__}")
    if len(row) != len(columns):
        raise DataError(f"the row has {len(row)} values; {len(columns)} are wanted: {some(columns)}")
    return [None if isinstance(row[place], str) and not row[place] else row[place] for place in needed]
