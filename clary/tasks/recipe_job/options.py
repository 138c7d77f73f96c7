"""What the library says, in the words of the program: `--bad-rows skip` where it says `bad_rows="skip"`."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from typing import Any

from clary.data.errors import DataError

# Of clary.data.read, which also have a place of their own among the program's options.
TAKEN = ("format", "columns", "rows", "allow_pickle", "bad_rows", "spill", "in_memory")
# An option of a format in a message: a word of its own, not a piece of a path or of a value.
_OF_A_FORMAT = (
    "colspecs|currency|decimal|delimiter|encoding|escape|header|key|member|missing|names|query|quote|records|sheet|skip"
    "|table|thousands|trim|types|widths"
)
_WORDS = (
    (r'Read with bad_rows="skip" to leave them out, or bad_rows=\S+ to write them to that file',
     "Give --bad-rows skip to leave them out"),
    (r"(?<![\w-])allow_pickle=True", "--allow-pickle"),
    (r"(?<![\w-])label=", "--label "),
    (r"(?<![\w-])rows_per_file=", "--rows-per-file "),
    (r"(?<![\w-])say format=", "say --input-format"),
    (r"(?<![\w-])format=", "--input-format "),
    (rf"(?<![\w/.'\"-])({_OF_A_FORMAT})=", r"--read \1="),
)  # fmt: skip
_GAP = " […] "


def in_options(message: str) -> str:
    """The same message with the program's options in the place of the library's arguments."""
    for pattern, replacement in _WORDS:
        message = re.sub(pattern, replacement, message)
    return message


def shortened(message: str, most: int) -> str:
    """At most so many characters: what was wrong stands at its beginning and the remedy at its end, so both stay."""
    if len(message) <= most:
        return message
    end = (most - len(_GAP)) // 2
    return message[: most - len(_GAP) - end] + _GAP + message[-end:]


def read_options(given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE as arguments of clary.data.read: VALUE is JSON or a Python literal, else a text.

    Raises DataError.
    """
    made: dict[str, Any] = {}
    for one in given:
        name, sign, text = one.partition("=")
        if not sign or not name.isidentifier():
            raise DataError(f"--read {one}: it is not of the form NAME=VALUE")
        if name in TAKEN:
            raise DataError(f"--read {one}: {name} is no option of a format; the program may have one of its own")
        if name in made:
            raise DataError(f"--read {one}: {name} was given before")
        made[name] = _value(text)
    return made


def _value(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return text
