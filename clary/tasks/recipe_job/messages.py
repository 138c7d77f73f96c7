"""Messages of the library for people at a command line: `--bad-rows skip` where the library has `bad_rows="skip"`."""

from __future__ import annotations

import re

# An option of a format in a message: an argument of its own, not a piece of a path or of a value.
_READ_OPTIONS = (
    "colspecs|currency|decimal|delimiter|encoding|escape|header|key|member|missing|names|query|quote|records|sheet|skip"
    "|table|thousands|trim|types|widths"
)
_REPLACEMENTS = (
    (r'Read with bad_rows="skip" to leave them out, or bad_rows=\S+ to write them to that file',
     "Give --bad-rows skip to leave them out"),
    (r"(?<![\w-])allow_pickle=True", "--allow-pickle"),
    (r"(?<![\w-])label=", "--label "),
    (r"(?<![\w-])rows_per_file=", "--rows-per-file "),
    (r"(?<![\w-])give format=", "give --input-format"),
    (r"(?<![\w-])format=", "--input-format "),
    (rf"(?<![\w/.'\"-])({_READ_OPTIONS})=", r"--read \1="),
)  # fmt: skip
_GAP = " […] "


def with_flags(message: str) -> str:
    """The same message with the program's options in the place of the library's arguments."""
    for pattern, replacement in _REPLACEMENTS:
        message = re.sub(pattern, replacement, message)
    return message


def shortened(message: str, limit: int) -> str:
    """At most so many characters; a message begins with what is wrong and ends with the remedy, so both ends stay."""
    if len(message) <= limit:
        return message
    end = (limit - len(_GAP)) // 2
    return message[: limit - len(_GAP) - end] + _GAP + message[-end:]
