"""Figures as people read them. What comes from the table is shown without anything that steers a terminal."""

from __future__ import annotations

import math
from typing import Any

from clary.data.profiling.summaries import ColumnSummary
from clary.data.profiling.to_json import iso

_LONGEST = 40


def shown(value: Any, longest: int = _LONGEST) -> str:
    """A value of the table, cut short; what cannot be printed becomes a replacement character."""
    text = number(value) if isinstance(value, float) else str(value)
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def number(value: float | None) -> str:
    """To five digits; "–" for none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.1f}" if 1e5 <= abs(value) < 1e15 else f"{value:.5g}"


def time(microseconds: float) -> str:
    return (iso(microseconds) or "–").replace("T", " ").removesuffix(" 00:00:00")


def share(part: float, of: float) -> str:
    """A percentage that is 0 or 100 only where it is exactly so."""
    if not of:
        return "–"
    ratio = part / of
    if 0 < ratio < 0.001:
        return "<0.1%"
    if 0.999 < ratio < 1:
        return ">99.9%"
    return f"{ratio:.0%}" if ratio in (0, 1) else f"{ratio:.1%}"


def gist(column: ColumnSummary) -> str:
    """A column in a few words: its range, or what is in it most."""
    if column.numbers is not None and column.kind.value == "number":
        numbers = column.numbers
        return (
            f"{number(numbers.low)} … {number(numbers.quantiles[0.5])} … {number(numbers.high)}, "
            f"mean {number(numbers.mean)} ± {number(numbers.deviation)}"
        )
    if column.times is not None:
        return f"{time(column.times.first)} … {time(column.times.last)}"
    return ", ".join(f"{shown(level.value, 24)} {share(level.rows, column.top_of)}" for level in column.top[:3])
