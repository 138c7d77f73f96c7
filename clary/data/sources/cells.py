"""ReadOptions cells of a text file are written, and the types that they may have.

    nothing ──> boolean | integer ──> number | time | zoned time ──> text       a column's type only ever widens

Whole numbers become numbers without loss; where anything else would have to widen, the words themselves are needed
again. Words with leading zeros ("007") and numbers that no 64 bits hold are text: as numbers they would be others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

# The words that stand for a missing value where the caller names none. Case counts, save where both are listed.
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
    """Whether values read as `old` need not be read again to be `new`."""
    return old == new or old is Type.NOTHING or (old, new) == (Type.INTEGER, Type.NUMBER)


def wider(one: Type, other: Type) -> Type:
    """The narrowest type that holds both."""
    if lossless(one, other):
        return other
    return one if lossless(other, one) else Type.TEXT


@dataclass(frozen=True)
class Cells:
    """ReadOptions cells are written.

    decimal    the mark between whole and fraction; thousands, currency: marks that numbers may carry, "" for none
    trim       whether blanks around words are none of theirs
    """

    missing: frozenset[str] = frozenset(MISSING)
    decimal: str = "."
    thousands: str = ""
    currency: str = ""
    trim: bool = False

    @cached_property
    def plain(self) -> bool:
        """Whether Arrow reads words as they are meant: no marks, and no missing marker that looks like a value."""
        marks = self.decimal != "." or self.thousands or self.currency
        return not marks and not any(re.match(one, word) for word in self.missing for one in PATTERNS.values())

    def number_words(self, words: pa.Array) -> pa.Array:
        """Without blanks and marks, with a decimal point."""
        words = pc.utf8_trim_whitespace(words)
        if self.currency:
            words = pc.utf8_trim_whitespace(pc.replace_substring(words, self.currency, ""))
        if self.thousands:
            words = _without_thousands(words, self.thousands, self.decimal)
        if self.decimal != ".":
            # A point is no decimal mark here: 1.5 must not become a number that nobody wrote.
            pointed = pc.match_substring(words, ".")
            words = pc.replace_substring(words, self.decimal, ".")
            words = pc.if_else(pointed, "no number", words)
        return words


def _without_thousands(words: pa.Array, mark: str, decimal: str) -> pa.Array:
    """Where groups are of three digits: "1,234.5" but not "1,2,3"."""
    escaped, point = re.escape(mark), re.escape(decimal)
    grouped = pc.match_substring_regex(words, rf"^[+-]?\d{{1,3}}({escaped}\d{{3}})+({point}\d*)?$")
    return pc.if_else(grouped, pc.replace_substring(words, mark, ""), words)


def counted(met: Mapping[str, int]) -> str:
    """Which words were met, and how often, the most frequent first; for a note."""
    ordered = sorted(met.items(), key=lambda one: -one[1])
    return ", ".join(f"{word!r} {count:,} {'time' if count == 1 else 'times'}" for word, count in ordered)
