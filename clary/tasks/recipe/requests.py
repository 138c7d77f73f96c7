"""The rows of a request, in each of the formats that SageMaker's clients and containers send."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clary.algorithms.data import ALGORITHM
from clary.formats import media_types
from clary.tasks.host.handlers import RequestError

# What a row function takes: column -> value, or the values of all columns but the target in the table's order.
Row = Mapping[str, Any] | Sequence[Any]

JSON_LINES = (media_types.JSON_LINES, "application/x-jsonlines", "application/jsonl")
# Keys that hold the values of one row.
_ROW_KEYS = ("features", "data", "values")


def read(body: bytes, content_type: str | None, columns: Sequence[str], header: bool) -> list[Row]:
    """The rows, in order; at least one.

    columns  the recipe's, some of which may be named like SageMaker's keys ("features")
    header   whether the first line of CSV names the columns, where the content type has no `header=present`
    Raises   RequestError: 415 for an unknown content type, 400 for a body that is not of it.
    """
    name, parameters = media_types.media_type(content_type)
    reader = _reader(name or guess_type(body))
    if reader is None:
        supported = ", ".join(ALGORITHM.content_types)
        raise RequestError(415, f"Content type {content_type} is not supported. Send one of {supported}.")
    csv_header = parameters.get("header")
    if csv_header not in (None, "present", "absent"):
        raise RequestError(415, f"header={csv_header} of content type {content_type} is neither present nor absent.")
    try:
        text = body.decode("utf-8-sig")
        rows = reader(text, columns, csv_header == "present" if csv_header else header)
    except (ValueError, csv.Error, RecursionError) as error:
        raise RequestError(400, f"The body cannot be read as {name or guess_type(body)}: {error}") from None
    if not rows:
        raise RequestError(400, "There is no row in the body.")
    return rows


def guess_type(body: bytes) -> str:
    """The media type of a body without a content type."""
    return media_types.JSON if body.lstrip()[:1] in (b"{", b"[") else media_types.CSV


def _reader(name: str) -> Callable[[str, Sequence[str], bool], list[Row]] | None:
    if name == media_types.CSV:
        return _csv
    if name == media_types.JSON:
        return _json
    return _json_lines if name in JSON_LINES else None


def _csv(text: str, columns: Sequence[str], header: bool) -> list[Row]:
    lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    if not header:
        return list(lines)
    if not lines:
        return []
    names = lines[0]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"the header names the column {repeated[0]!r} twice")
    for number, line in enumerate(lines[1:], 1):
        if len(line) != len(names):
            raise ValueError(f"row {number} has {len(line)} values, the header {len(names)}")
    return [dict(zip(names, [value or None for value in line], strict=True)) for line in lines[1:]]


def _json(text: str, columns: Sequence[str], header: bool) -> list[Row]:
    value = json.loads(text)
    if isinstance(value, dict):
        if "instances" in value and "instances" not in columns:
            return _rows(value["instances"], columns, "instances")
        if isinstance(value.get("data"), list) and "data" not in columns:
            return _rows(value["data"], columns, "data")
        return [_row(value, columns)]
    return _rows(value, columns, "the body")


def _rows(values: Any, columns: Sequence[str], name: str) -> list[Row]:
    if not isinstance(values, list):
        raise ValueError(f"{name} must be a list of rows")
    if values and not any(isinstance(value, dict | list) for value in values):
        return [values]  # the values of a single row
    return [_row(value, columns) for value in values]


def _json_lines(text: str, columns: Sequence[str], header: bool) -> list[Row]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows.append(_row(json.loads(line), columns))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
    return rows


def _row(value: Any, columns: Sequence[str]) -> Row:
    """{"age": 7}, [7], {"features": [7]}, {"data": {"features": {"values": [7]}}}."""
    while isinstance(value, dict) and len(value) == 1:
        (key, inner), *_ = value.items()
        if key in columns or key not in _ROW_KEYS or not isinstance(inner, dict | list):
            break
        value = inner
    if not isinstance(value, dict | list):
        raise ValueError(f"a row is an object or a list, not {json.dumps(value)[:50]}")
    return value
