"""The rows of a request, in each of the forms that SageMaker's clients and containers send."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clary.algorithms.data import ALGORITHM
from clary.formats import media_types
from clary.tasks.host import Refused

# What a recipe's function takes: column -> value, or the values of all columns but the target in the table's order.
Row = Mapping[str, Any] | Sequence[Any]

JSON_LINES = (media_types.JSON_LINES, "application/x-jsonlines", "application/jsonl")
# Keys that hold the values of one row.
_ONE = ("features", "data", "values")


def read(body: bytes, content_type: str | None, columns: Sequence[str], header: bool) -> list[Row]:
    """The rows, in order; at least one.

    columns  the recipe's own, of which some names may be those of SageMaker's forms ("features")
    header   whether the first line of CSV names the columns, where the content type says nothing (`header=present`)
    Raises   Refused: 415 for a content type we do not know, 400 for a body that is not what it says.
    """
    name, parameters = media_types.media_type(content_type)
    reader = _reader(name or guess(body))
    if reader is None:
        supported = ", ".join(ALGORITHM.content_types)
        raise Refused(415, f"Content type {content_type} is not supported. Send one of {supported}.")
    told = parameters.get("header")
    if told not in (None, "present", "absent"):
        raise Refused(415, f"header={told} of content type {content_type} is neither present nor absent.")
    try:
        text = body.decode("utf-8-sig")
        rows = reader(text, columns, told == "present" if told else header)
    except (ValueError, csv.Error, RecursionError) as error:
        raise Refused(400, f"The body cannot be read as {name or guess(body)}: {error}") from None
    if not rows:
        raise Refused(400, "There is no row in the body.")
    return rows


def guess(body: bytes) -> str:
    """The type of a body whose request does not say it."""
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
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"the header names the column {twice[0]!r} twice")
    for number, line in enumerate(lines[1:], 1):
        if len(line) != len(names):
            raise ValueError(f"row {number} has {len(line)} values, the header {len(names)}")
    return [dict(zip(names, [value or None for value in line], strict=True)) for line in lines[1:]]


def _json(text: str, columns: Sequence[str], header: bool) -> list[Row]:
    given = json.loads(text)
    if isinstance(given, dict):
        if "instances" in given and "instances" not in columns:
            return _many(given["instances"], columns, "instances")
        if isinstance(given.get("data"), list) and "data" not in columns:
            return _many(given["data"], columns, "data")
        return [_one(given, columns)]
    return _many(given, columns, "the body")


def _many(given: Any, columns: Sequence[str], where: str) -> list[Row]:
    if not isinstance(given, list):
        raise ValueError(f"{where} must be a list of rows")
    if given and not any(isinstance(one, dict | list) for one in given):
        return [given]  # the values of one row
    return [_one(one, columns) for one in given]


def _json_lines(text: str, columns: Sequence[str], header: bool) -> list[Row]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows.append(_one(json.loads(line), columns))
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
    return rows


def _one(given: Any, columns: Sequence[str]) -> Row:
    """{"age": 7}, [7], {"features": [7]}, {"data": {"features": {"values": [7]}}}."""
    while isinstance(given, dict) and len(given) == 1:
        (key, inner), *_ = given.items()
        if key in columns or key not in _ONE or not isinstance(inner, dict | list):
            break
        given = inner
    if not isinstance(given, dict | list):
        raise ValueError(f"a row is an object or a list, not {json.dumps(given)[:50]}")
    return given
