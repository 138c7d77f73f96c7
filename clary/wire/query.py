"""AWS query (sts, iam): a form names the operation and its parameters, answers are XML.

Lists are `Name.member.1`, maps `Name.entry.1.key`; structures nest with dots.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from clary.core.errors import SerializationException
from clary.wire.shapes import Operation, Service, Shape

CONTENT_TYPE = "text/xml"
MAX_FIELDS = 10_000

# The codes of errors that AWS query calls otherwise than JSON services.
CODES = {
    "ValidationException": "ValidationError",
    "UnknownOperationException": "InvalidAction",
    "SerializationException": "MalformedQueryString",
    "UnrecognizedClientException": "InvalidClientTokenId",
    "InvalidSignatureException": "SignatureDoesNotMatch",
}


def parse(form: str) -> dict[str, str]:
    """The parameters, by name. Raises SerializationException."""
    try:
        pairs = parse_qsl(form, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise SerializationException(f"The parameters cannot be read: {error}") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise SerializationException("A parameter is given twice.")
    return fields


def read(service: Service, operation: Operation, fields: Mapping[str, str]) -> dict[str, Any]:
    """The request in JSON's types, for the validator."""
    tree: dict[str, Any] = {}
    for name, text in fields.items():
        _put(tree, name, text)
    if not operation.input:
        return {}
    value = _value(service.shapes, service.shapes[operation.input], tree)
    assert isinstance(value, dict)
    return value


def _put(tree: dict[str, Any], name: str, text: str) -> None:
    *parents, last = name.split(".", maxsplit=64)
    for step in parents:
        tree = tree.setdefault(step, {})
        if not isinstance(tree, dict):
            raise SerializationException(f"The parameter {name[:256]!r} contradicts another one.")
    if last in tree:
        raise SerializationException(f"The parameter {name[:256]!r} contradicts another one.")
    tree[last] = text


def _value(shapes: Mapping[str, Shape], shape: Shape, given: Any) -> Any:
    """The given value in the JSON type of its shape; unchanged where it cannot be converted."""
    match shape["type"], given:
        case "structure", dict():
            return {
                name: _value(shapes, shapes[raw["shape"]], given[wire])
                for name, raw in shape["members"].items()
                if (wire := raw.get("locationName", name)) in given
            }
        case "list", dict():
            item = shapes[shape["member"]["shape"]]
            items = given if shape.get("flattened") else given.get(shape["member"].get("locationName", "member"), given)
            return [_value(shapes, item, entry) for entry in _numbered(items)]
        case "list", "":
            return []
        case "map", dict():
            return dict(_entries(shapes, shape, given))
        case (("integer" | "long"), str()):
            return _number(int, given)
        case (("float" | "double"), str()):
            return _number(float, given)
        case "boolean", str():
            return {"true": True, "false": False}.get(given.lower(), given)
    return given


def _numbered(items: Any) -> list[Any]:
    if not isinstance(items, dict) or not all(key.isascii() and key.isdigit() and len(key) < 10 for key in items):
        raise SerializationException("The items of a list are numbered: Name.member.1, Name.member.2, …")
    return [items[key] for key in sorted(items, key=int)]


def _entries(shapes: Mapping[str, Shape], shape: Shape, given: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for entry in _numbered(given if shape.get("flattened") else given.get("entry", given)):
        key = entry.get(shape["key"].get("locationName", "key")) if isinstance(entry, dict) else None
        if not isinstance(key, str):
            raise SerializationException("The entries of a map have a key and a value: Name.entry.1.key, …")
        value = entry.get(shape["value"].get("locationName", "value"), "")
        yield key, _value(shapes, shapes[shape["value"]["shape"]], value)


def _number(kind: type[int] | type[float], text: str) -> Any:
    try:
        return kind(text) if len(text) < 64 else text
    except ValueError:
        return text


def write(service: Service, operation: Operation, output: dict[str, Any], request_id: str) -> bytes:
    """A response's body."""
    inner = _xml(service.shapes, service.shapes[operation.output], output) if operation.output else ""
    result = f"<{operation.wrapper}>{inner}</{operation.wrapper}>" if operation.wrapper else inner
    name = f"{operation.name}Response"
    meta = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    return f'<{name} xmlns="{service.namespace}">{result}{meta}</{name}>'.encode(errors="replace")


def write_error(code: str, message: str, request_id: str, fault: str) -> bytes:
    """`fault` is Sender or Receiver."""
    error = f"<Type>{fault}</Type><Code>{code}</Code><Message>{_text(message)}</Message>"
    body = f"<ErrorResponse><Error>{error}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    return body.encode(errors="replace")


def _xml(shapes: Mapping[str, Shape], shape: Shape, value: Any) -> str:
    match shape["type"]:
        case "structure":
            return "".join(
                _element(raw.get("locationName", name), _xml(shapes, shapes[raw["shape"]], value[name]))
                for name, raw in shape["members"].items()
                if value.get(name) is not None
            )
        case "list":
            item, tag = shapes[shape["member"]["shape"]], shape["member"].get("locationName", "member")
            return "".join(_element(tag, _xml(shapes, item, entry)) for entry in value)
        case "map":
            item = shapes[shape["value"]["shape"]]
            return "".join(
                _element("entry", _element("key", _text(key)) + _element("value", _xml(shapes, item, entry)))
                for key, entry in value.items()
            )
    return _text(_scalar(value))


def _element(tag: str, inner: str) -> str:
    return f"<{tag}>{inner}</{tag}>"


def _scalar(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case bytes():
            return base64.b64encode(value).decode()
    return str(value)


def _text(text: str) -> str:
    """The text escaped, without the control characters that XML cannot hold."""
    return escape("".join(letter for letter in text if letter >= " " or letter in "\t\n\r"))
