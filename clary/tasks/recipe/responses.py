"""Features in each of the formats that a caller, or the next container, may ask for.

A number is written with the fewest digits that read back to the same float64; recordio-protobuf has float32.
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
from clary.tasks.host.handlers import RequestError

RECORDIO_PROTOBUF = "application/x-recordio-protobuf"


def response_type(accept: str | None, default: str) -> str:
    """The first media type of an Accept header that is supported. Raises RequestError (406)."""
    wildcards = (media_types.ANY, "application/*", "text/*")
    if found := media_types.preferred(accept, ALGORITHM.response_types, default, wildcards):
        return found
    raise RequestError(406, f"Accept {accept} is not supported. Ask for {', '.join(ALGORITHM.response_types)}.")


def encode(rows: Sequence[tuple[Any, ...]], name: str) -> bytes:
    """rows  of floats (NaN where missing), str, numpy.datetime64, None. Raises RequestError (406)."""
    if name == media_types.CSV:
        return _csv(rows)
    if name == RECORDIO_PROTOBUF:
        return _recordio(rows)
    features = [{"features": [_json_value(value) for value in row]} for row in rows]
    if name == media_types.JSON:
        return json.dumps({"instances": features}, allow_nan=False).encode()
    return "".join(f"{json.dumps(row, allow_nan=False)}\n" for row in features).encode()


def _csv(rows: Sequence[tuple[Any, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(["" if value != value else value for value in row] for row in rows)
    return text.getvalue().encode()


def _json_value(value: Any) -> Any:
    """null where missing."""
    if isinstance(value, float):
        if math.isinf(value):
            raise RequestError(406, f"A feature is infinite, for which JSON has no number: ask for {media_types.CSV}.")
        return value if value == value else None
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        raise RequestError(406, "A feature holds bytes, which no response can hold; leave it out in the recipe.")
    return None if value != value else str(value) if not isinstance(value, list | dict) else value


def _recordio(rows: Sequence[tuple[Any, ...]]) -> bytes:
    import numpy as np

    from clary.formats.recordio import write_rows

    for row in rows:
        if other := [value for value in row if not isinstance(value, float)]:
            raise RequestError(406, f"A feature is {other[0]!r}, not a number: {RECORDIO_PROTOBUF} has only numbers.")
    with np.errstate(over="ignore"):  # beyond float32 is infinite, as in files
        return write_rows(np.array(rows, dtype="<f8").astype("<f4"))
