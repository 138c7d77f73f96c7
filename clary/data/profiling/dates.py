"""Whether texts are dates, and in which order day and month stand."""

from __future__ import annotations

import re
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

from clary.data.profiling.sample_summaries import reads_as

# Day and month, in either order, then the year; or the year first. A time of day may follow.
_CLOCK = r"(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?$"
_YEAR_LAST = r"^(?P<a>\d{1,2})[./-](?P<b>\d{1,2})[./-](?P<year>\d{4})" + _CLOCK
_YEAR_FIRST = r"^(?P<year>\d{4})[./-](?P<b>\d{1,2})[./-](?P<a>\d{1,2})" + _CLOCK


class Dates(StrEnum):
    """How texts read as dates."""

    NONE = ""
    PLAIN = "plain"  # ISO 8601, or the year first
    DAY_FIRST = "day first"
    MONTH_FIRST = "month first"
    EITHER = "either"  # every day is one that could be a month


def dates_of(texts: pa.Array) -> Dates:
    """NONE where some text that is not blank reads as no date, or there is none."""
    if reads_as(texts, pa.timestamp("us")):
        return Dates.PLAIN
    present = pc.utf8_trim_whitespace(texts.drop_null())
    if not len(present):
        return Dates.NONE
    first = next((text for text in present[:100].to_pylist() if text), "")
    if re.match(_YEAR_FIRST, first):
        return Dates.PLAIN if _reads(present, _YEAR_FIRST, ("year", "b", "a")) else Dates.NONE
    if not re.match(_YEAR_LAST, first):
        return Dates.NONE
    day_first = _reads(present, _YEAR_LAST, ("year", "b", "a"))
    if _reads(present, _YEAR_LAST, ("year", "a", "b")):
        return Dates.EITHER if day_first else Dates.MONTH_FIRST
    return Dates.DAY_FIRST if day_first else Dates.NONE


def _reads(present: pa.Array, pattern: str, order: tuple[str, str, str]) -> bool:
    """Whether all are of this pattern, and days of the calendar when year, month and day stand in this order."""
    present = present.filter(pc.not_equal(present, ""))
    found = pc.extract_regex(present, pattern=pattern)
    if found.null_count:
        return False
    year, month, day = (found.field(name) for name in order)
    padded = [year, *(pc.utf8_lpad(part, width=2, padding="0") for part in (month, day))]
    return reads_as(pc.binary_join_element_wise(*padded, "-"), pa.timestamp("us"))
