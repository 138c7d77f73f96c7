"""Frames of `application/vnd.amazon.eventstream`, as InvokeEndpointWithResponseStream answers.

    total length | headers length | CRC of both | headers | payload | CRC of all before     (big-endian, 4 bytes each)
    header: length of name (1) | name | 7 = string (1) | length of value (2) | value
Reference: Smithy, "Amazon Event Stream Specification".
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Literal
from zlib import crc32

CONTENT_TYPE = "application/vnd.amazon.eventstream"

StreamErrorCode = Literal["ModelInvocationTimeExceeded", "StreamBroken"]

_STRING = 7
_FRAMING_BYTES = 16  # prelude with its CRC, and the CRC at the end


def _header_block(headers: Mapping[str, str]) -> bytes:
    block = bytearray()
    for name, value in headers.items():
        name_bytes, value_bytes = name.encode(), value.encode()
        block += struct.pack("!B", len(name_bytes)) + name_bytes
        block += struct.pack("!BH", _STRING, len(value_bytes)) + value_bytes
    return bytes(block)


def _frame(header_block: bytes, payload: bytes) -> bytes:
    lengths = struct.pack("!II", _FRAMING_BYTES + len(header_block) + len(payload), len(header_block))
    prelude_crc = crc32(lengths)
    start = lengths + struct.pack("!I", prelude_crc) + header_block
    whole_crc = crc32(payload, crc32(start))
    return b"".join((start, payload, struct.pack("!I", whole_crc)))


_PAYLOAD_PART = _header_block(
    {":event-type": "PayloadPart", ":content-type": "application/octet-stream", ":message-type": "event"}
)


def payload_part(chunk: bytes) -> bytes:
    """A piece of the container's response."""
    return _frame(_PAYLOAD_PART, chunk)


def failure(
    kind: Literal["ModelStreamError", "InternalStreamFailure"],
    message: str,
    error_code: StreamErrorCode | Literal[""] = "",
) -> bytes:
    """The last frame of a stream that did not end well."""
    payload = {"Message": message} | ({"ErrorCode": error_code} if error_code else {})
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return _frame(_header_block(headers), json.dumps(payload).encode())
