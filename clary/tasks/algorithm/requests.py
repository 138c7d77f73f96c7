"""The rows of a request to an algorithm's endpoint."""

from __future__ import annotations

from clary.formats.decoding import Format, decode, format_of
from clary.formats.table import FormatError, Table
from clary.tasks.host.handlers import RequestError


def read_rows(body: bytes, content_type: str | None) -> tuple[Table, Format]:
    """The rows, which have no label whatever the content type's label_size. Raises RequestError (415)."""
    try:
        kind = format_of(content_type)[0] if content_type else guess_format(body)
    except FormatError as error:
        raise RequestError(415, str(error)) from None
    try:
        return decode(body, kind, label_size=0), kind
    except FormatError as error:
        raise RequestError(
            415, f"Loading {kind} data failed with Exception, please ensure data is in {kind} format: {error}"
        ) from None


def guess_format(body: bytes) -> Format:
    """LibSVM, as AWS's images assume; but a line with commas and no colon is CSV."""
    line = body[:1024].split(b"\n", 1)[0]
    return Format.CSV if b"," in line and b":" not in line else Format.LIBSVM
