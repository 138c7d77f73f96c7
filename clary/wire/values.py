"""JSON values as the model's scalar types: the value itself, or SerializationException with AWS's text."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

from clary.core.errors import SerializationException

Convert = Callable[[Any, str], Any]


def refuse(value: Any, noun: str, path: str) -> NoReturn:
    """Raise for a value of another JSON type than the shape's. `noun` is the expected type: "a String"."""
    where = f" (at '{path}')" if path else ""
    match value:
        case dict():
            raise SerializationException(f"Start of structure or map found where not expected{where}: expected {noun}.")
        case list():
            raise SerializationException(f"Start of list found where not expected{where}: expected {noun}.")
        case bool():
            kind = "TRUE_VALUE" if value else "FALSE_VALUE"
        case str():
            kind = "STRING_VALUE"
        case None:
            kind = "NULL_VALUE"
        case _:
            kind = "NUMBER_VALUE"
    raise SerializationException(f"{kind} can not be converted to {noun}{where}")


def string(value: Any, path: str) -> str:
    if not isinstance(value, str):
        refuse(value, "a String", path)
    if "\x00" in value or (not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value)):
        # Neither can be kept in a file name, an environment variable or a database.
        raise SerializationException(
            f"Illegal character (U+0000 or half of a surrogate pair) in a String (at '{path}')"
        )
    return value


def boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        refuse(value, "a Boolean", path)
    return value


def integer(bits: int, noun: str) -> Convert:
    """Integers of so many bits; 5.0 is an integer too."""
    limit = 2 ** (bits - 1)

    def convert(value: Any, path: str) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            refuse(value, noun, path)
        if not -limit <= value < limit:
            raise SerializationException(f"Numeric value out of range of {noun} (at '{path}')")
        return value

    return convert


def floating(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse(value, "a Double", path)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise SerializationException(f"Numeric value out of range of a Double (at '{path}')")
    return number


def timestamp(value: Any, path: str) -> datetime:
    """Epoch seconds, ISO 8601 or RFC 7231 text; aware, in UTC."""
    try:
        if isinstance(value, datetime):
            moment = value
        elif isinstance(value, str):
            moment = _date(value)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            refuse(value, "a Timestamp", path)
        else:
            moment = datetime.fromtimestamp(value, UTC)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        raise SerializationException(
            f"Timestamp out of range or not understood (at '{path}'): "
            "expected seconds since 1970 or a date such as 2024-01-31T12:00:00Z"
        ) from None


def _date(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return parsedate_to_datetime(text)


def blob(value: Any, path: str) -> bytes:
    """Base64 text as its bytes."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        refuse(value, "a Blob", path)
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise SerializationException(f"A Blob must be Base64 (at '{path}')") from None


CONVERT: dict[str, Convert] = {
    "string": string,
    "character": string,
    "boolean": boolean,
    "integer": integer(32, "an Integer"),
    "long": integer(64, "a Long"),
    "float": floating,
    "double": floating,
    "timestamp": timestamp,
    "blob": blob,
}
