"""An algorithm's answer to each row of a request, in the formats that AWS's algorithms share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from clary.formats.media_types import JSON, JSON_LINES
from clary.formats.recordio import write_records

RECORDIO_PROTOBUF = "application/x-recordio-protobuf"
# The media types of `encode_records`.
RECORD_TYPES = (JSON, JSON_LINES, RECORDIO_PROTOBUF)


def encode_records(records: Iterable[Mapping[str, Any]], media_type: str, envelope: str = "predictions") -> bytes:
    """One record per row: `{"score": 0.98}`; values are numbers or lists of them.

    media_type  JSON: all records in a list under `envelope`; JSON Lines: a line each; recordio-protobuf: a label each
    """
    if media_type == JSON:
        return json.dumps({envelope: list(records)}).encode()
    if media_type == JSON_LINES:
        return lines(json.dumps(record) for record in records)
    return write_records({key: as_list(value) for key, value in record.items()} for record in records)


def lines(texts: Iterable[str]) -> bytes:
    """Each text with a line feed behind it."""
    return "".join(f"{text}\n" for text in texts).encode()


def as_list(value: Any) -> list[float]:
    return value if isinstance(value, list) else [value]
