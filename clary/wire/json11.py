"""AWS JSON 1.1: X-Amz-Target names the operation, bodies are JSON, timestamps are epoch seconds, None is not sent."""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from datetime import UTC, datetime
from typing import Any, NoReturn

from clary.core.errors import SerializationException

CONTENT_TYPE = "application/x-amz-json-1.1"

# The codes of errors that JSON services call otherwise than AWS's list of common errors.
CODES = {
    "IncompleteSignature": "IncompleteSignatureException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
}


def parse(body: bytes) -> dict[str, Any]:
    """The request's members. Raises SerializationException for anything but a JSON object."""
    if not body.strip():
        return {}
    try:
        value = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise SerializationException(f"The body is not UTF-8: {error.reason} at byte {error.start}.") from None
    except RecursionError:
        raise SerializationException("The body is nested too deeply.") from None
    except ValueError as error:  # JSONDecodeError, and numbers of more digits than Python converts
        raise SerializationException(f"The body is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise SerializationException(f"The body must be a JSON object, not {_NOUNS[type(value)]}.")
    return value


_NOUNS = {
    list: "a list", str: "a string", int: "a number", float: "a number", bool: "a boolean", type(None): "null"
}  # fmt: skip


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        ((duplicate, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise SerializationException(f"Duplicate field {duplicate[:256]!r} in a JSON object.")
    return members


def _no_constant(name: str) -> NoReturn:
    raise SerializationException(f"The body is not valid JSON: {name} is not a JSON number.")


def write(output: dict[str, Any]) -> bytes:
    """A response's body."""
    text = json.dumps(_json_value(output), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode(errors="replace")


def write_error(code: str, message: str) -> bytes:
    return json.dumps({"__type": code, "message": message}).encode()


def _json_value(value: Any) -> Any:
    """The value as JSON has it; None is left out of structures and lists."""
    match value:
        case dict():
            return {str(key): _json_value(item) for key, item in value.items() if item is not None}
        case list() | tuple():
            return [_json_value(item) for item in value if item is not None]
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        case bytes():
            return base64.b64encode(value).decode()
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
