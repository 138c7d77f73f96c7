"""ReadOptions cells of a text file are written, and the types that they may have.

    nothing ──> boolean | integer ──> number | time | zoned time ──> text       a column's type only ever widens

Whole numbers become numbers without loss; where anything else has to widen, the texts themselves are needed again.
Leading zeros ("007") make a cell text, as do numbers of more than 64 bits: as numbers they would change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

# The texts that stand for a missing value where the caller names none. Case matters.
MISSING: tuple[str, ...] = (
    "",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "#NA",
    "<NA>",
    "NaN",
    "nan",
    "-NaN",
    "-nan",
    "NULL",
    "Null",
    "null",
)
MISSING += ("None", "none", "NaT", "#NULL!", "?", "-", "--")


class Type(StrEnum):
    NOTHING = "nothing"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    TIME = "time"
    ZONED = "time with zone"
    TEXT = "text"


ARROW = {
    Type.NOTHING: pa.null(),
    Type.BOOLEAN: pa.bool_(),
    Type.INTEGER: pa.int64(),
    Type.NUMBER: pa.float64(),
    Type.TIME: pa.timestamp("us"),
    Type.ZONED: pa.timestamp("us", "UTC"),
    Type.TEXT: pa.string(),
}
_WHOLE = r"^[+-]?(0|[1-9]\d*)$"
_DECIMAL = r"^[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?$|^[+-]?([iI]nf|INF|[iI]nfinity|INFINITY)$"
_CLOCK = r"([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)"
_ZONE = r"(Z|[+-]\d\d(:?\d\d)?)"
PATTERNS = {
    Type.BOOLEAN: r"^([tT]rue|TRUE|[fF]alse|FALSE)$",
    Type.INTEGER: _WHOLE,
    Type.NUMBER: _DECIMAL,
    Type.TIME: rf"^\d{{4}}-\d\d-\d\d{_CLOCK}?$",
    Type.ZONED: rf"^\d{{4}}-\d\d-\d\d{_CLOCK}{_ZONE}$",
}
ZEROS = r"^[+-]?0\d+(\.\d*)?$"


def lossless(old: Type, new: Type) -> bool:
    """Whether values that were read as `old` need not be read again to become `new`."""
    return old == new or old is Type.NOTHING or (old, new) == (Type.INTEGER, Type.NUMBER)


def wider(left: Type, right: Type) -> Type:
    """The narrowest type that holds the values of both."""
    if lossless(left, right):
        return right
    return left if lossless(right, left) else Type.TEXT


@dataclass(frozen=True)
class Cells:
    """ReadOptions cells are written.

    decimal    the mark between whole and fraction; thousands, currency: marks that numbers may have, "" for none
    trim       whether blanks around a text are dropped
    """

    missing: frozenset[str] = frozenset(MISSING)
    decimal: str = "."
    thousands: str = ""
    currency: str = ""
    trim: bool = False

    @cached_property
    def is_standard(self) -> bool:
        """Whether Arrow's own conversion is right: no marks, and no missing marker that is also a value of a type."""
        marks = self.decimal != "." or self.thousands or self.currency
        return not marks and not any(
            re.match(pattern, marker) for marker in self.missing for pattern in PATTERNS.values()
        )

    def number_texts(self, texts: pa.Array) -> pa.Array:
        """The texts without blanks and marks, with a decimal point."""
        texts = pc.utf8_trim_whitespace(texts)
        if self.currency:
            texts = pc.utf8_trim_whitespace(pc.replace_substring(texts, self.currency, ""))
        if self.thousands:
            texts = _without_thousands(texts, self.thousands, self.decimal)
        if self.decimal != ".":
            # A point is not the decimal mark: 1.5 must not be read as a number.
            pointed = pc.match_substring(texts, ".")
            texts = pc.replace_substring(texts, self.decimal, ".")
            texts = pc.if_else(pointed, "no number", texts)
        return texts


def _without_thousands(texts: pa.Array, mark: str, decimal: str) -> pa.Array:
    """Where groups are of three digits: "1,234.5" but not "1,2,3"."""
    escaped, point = re.escape(mark), re.escape(decimal)
    grouped = pc.match_substring_regex(texts, rf"^[+-]?\d{{1,3}}({escaped}\d{{3}})+({point}\d*)?$")
    return pc.if_else(grouped, pc.replace_substring(texts, mark, ""), texts)


def frequencies(counts: Mapping[str, int]) -> str:
    """Texts with their counts, the most frequent first; for a note."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{text!r} {count:,} {'time' if count == 1 else 'times'}" for text, count in ordered)
