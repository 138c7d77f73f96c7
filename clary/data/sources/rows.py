"""The rows of a short delimited text, in Python: for guessing the dialect, not for reading a file."""

from __future__ import annotations

import re
from collections.abc import Iterator


def fields_of(text: str, delimiter: str, quote: str, newline: str) -> Iterator[tuple[list[str], int]]:
    """(fields, where the row ends) of each row that is not empty; a quote that is never closed is a character."""
    mark, end = re.escape(delimiter), "\r\n|\n|\r" if newline == "\n" else "\r"
    unquoted = rf"[^{mark}\r\n]*"
    quoted = rf"[ ]*{re.escape(quote)}((?:[^{re.escape(quote)}]|{re.escape(quote * 2)})*){re.escape(quote)}[ ]*"
    field = re.compile(rf"(?:{quoted}|({unquoted}))({mark}|{end}|\Z)" if quote else rf"()({unquoted})({mark}|{end}|\Z)")
    row: list[str] = []
    position = 0
    while position < len(text) or row:
        found = field.match(text, position)
        if found is None:  # a carriage return within a field
            position += 1
            continue
        inner, bare, ended = found.groups()
        row.append(inner.replace(quote * 2, quote) if inner is not None and quote and bare is None else bare or "")
        position = found.end()
        if ended != delimiter:
            if row != [""]:
                yield row, position
            row = []
            if position >= len(text):
                return
