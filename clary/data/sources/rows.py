"""Rows of a little delimited text, one by one: to look at, not to read a file by."""

from __future__ import annotations

import re
from collections.abc import Iterator


def fields_of(text: str, delimiter: str, quote: str, newline: str) -> Iterator[tuple[list[str], int]]:
    """(fields, where the row ends), of each row that has any; a quote that is never closed is a letter."""
    mark, end = re.escape(delimiter), "\r\n|\n|\r" if newline == "\n" else "\r"
    plain = rf"[^{mark}\r\n]*"
    quoted = rf"[ ]*{re.escape(quote)}((?:[^{re.escape(quote)}]|{re.escape(quote * 2)})*){re.escape(quote)}[ ]*"
    one = re.compile(rf"(?:{quoted}|({plain}))({mark}|{end}|\Z)" if quote else rf"()({plain})({mark}|{end}|\Z)")
    row: list[str] = []
    at = 0
    while at < len(text) or row:
        found = one.match(text, at)
        if found is None:  # a carriage return amid a field
            at += 1
            continue
        inner, bare, ended = found.groups()
        row.append(inner.replace(quote * 2, quote) if inner is not None and quote and bare is None else bare or "")
        at = found.end()
        if ended != delimiter:
            if row != [""]:
                yield row, at
            row = []
            if at >= len(text):
                return
