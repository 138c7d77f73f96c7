"""Features on their way out, in each of the forms that the next container, or a caller, may want.

Numbers are written as short as they read back to the same float64; recordio-protobuf has float32, as in files.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from clary.algorithms.data import ALGORITHM
from clary.formats import media_types
from clary.tasks.host import Refused

RECORDIO_PROTOBUF = "application/x-recordio-protobuf"


def response_type(accept: str | None, default: str) -> str:
    """The first media type of an Accept header that is supported. Raises Refused (406)."""
    wildcards = (media_types.ANY, "application/*", "text/*")
    if found := media_types.preferred(accept, ALGORITHM.response_types, default, wildcards):
        return found
    raise Refused(406, f"Accept {accept} is not supported. Ask for {', '.join(ALGORITHM.response_types)}.")


def encode(rows: Sequence[tuple[Any, ...]], name: str) -> bytes:
    """rows  of floats (NaN where missing), str, numpy.datetime64, None. Raises Refused (406)."""
    if name == media_types.CSV:
        return _csv(rows)
    if name == RECORDIO_PROTOBUF:
        return _recordio(rows)
    plain = [{"features": [_plain(value) for value in row]} for row in rows]
    if name == media_types.JSON:
        return json.dumps({"instances": plain}, allow_nan=False).encode()
    return "".join(f"{json.dumps(row, allow_nan=False)}\n" for row in plain).encode()


def _csv(rows: Sequence[tuple[Any, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(["" if value != value else value for value in row] for row in rows)
    return text.getvalue().encode()


def _plain(value: Any) -> Any:
    """As JSON has it: null where missing."""
    if isinstance(value, float):
        if math.isinf(value):
            raise Refused(406, f"A feature is infinite, which JSON has no number for: ask for {media_types.CSV}.")
        return value if value == value else None
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        raise Refused(406, "A feature holds bytes, which have no form in an answer; leave it out in the recipe.")
    return None if value != value else str(value) if not isinstance(value, list | dict) else value


def _recordio(rows: Sequence[tuple[Any, ...]]) -> bytes:
    import numpy as np

    from clary.formats.recordio import write_rows

    for row in rows:
        if other := [value for value in row if not isinstance(value, float)]:
            raise Refused(406, f"A feature is {other[0]!r}, not a number: {RECORDIO_PROTOBUF} has only numbers.")
    with np.errstate(over="ignore"):  # beyond float32 is infinite, as in files
        return write_rows(np.array(rows, dtype="<f8").astype("<f4"))
