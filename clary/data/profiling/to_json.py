"""A profile as JSON has it."""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from clary.data.profiling.summaries import ColumnSummary, Matrix, Numbers, Times

if TYPE_CHECKING:
    from clary.data.profiling.profile_data import ProfileData

_LEFT_OUT = ("sample", "columns_to_plot")
_TEXT_CHARACTERS = 1_000  # of a value: a profile is no copy of the table


def to_json(profile: ProfileData) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(profile) if field.name not in _LEFT_OUT]
    found = {name: _plain(getattr(profile, name)) for name in names}
    return {**found, "suggested_recipe": _plain(profile.suggested_recipe())}


def _plain(value: Any) -> Any:
    if isinstance(value, Times):
        return _times(value)
    if isinstance(value, Matrix):
        return {"names": list(value.names), "rows": value.rows, "values": _plain(value.values.tolist())}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        made = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        if isinstance(value, Numbers):
            made["deviation"] = _plain(value.deviation)
        if isinstance(value, ColumnSummary):
            made |= {"count": value.count, "missing_share": value.missing_share}
        return made
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return _atom(value)


def _atom(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value[:_TEXT_CHARACTERS].encode("utf-8", "replace").decode()
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    return str(value)[:_TEXT_CHARACTERS]


def _times(value: Times) -> dict[str, Any]:
    return {
        "first": iso(value.first),
        "last": iso(value.last),
        "mean": iso(value.mean),
        "quantiles": {str(q): iso(at) for q, at in value.quantiles.items()},
        "order": value.order,
        "histogram": _plain(value.histogram),
    }


def iso(microseconds: float) -> str | None:
    """A time as ISO 8601, to the second where it is one; None for none."""
    if not math.isfinite(microseconds):
        return None
    text = str(np.datetime64(round(microseconds), "us"))
    return text.removesuffix(".000000")
