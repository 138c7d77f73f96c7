"""ReadOptions a delimited text file is written: its delimiter, its quotes, its header, its marks in numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from clary.data.errors import ReadError
from clary.data.notes import Note
from clary.data.sources.cells import MISSING, PATTERNS, Cells, Type
from clary.data.sources.header import Sample, columns_of, names_of
from clary.data.sources.rows import fields_of

SAMPLE_ROWS = 200
DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Dialect:
    """names       of all columns in the file, distinct
    skip          bytes of the text in UTF-8 before the first row: byte order mark, skipped lines, header
    first_line    the number of the line that the first row begins on
    extra         1 where each row has an empty field behind those that the header names, which is left out; else 0
    """

    encoding: str
    delimiter: str
    quote: str
    escape: str
    newline: bytes
    names: tuple[str, ...]
    header: bool
    skip: int
    first_line: int
    cells: Cells
    extra: int = 0


def sniff(head: bytes, whole: bool, options: Mapping[str, Any], name: str, notes: list[Note]) -> Dialect:
    """ReadOptions the file is written, by its first bytes and what the caller knows already.

    head     in UTF-8, without a byte order mark; whole: whether that is the whole file
    Raises   ReadError where the options do not fit the file.
    """
    text = head.decode("utf-8", "replace")
    if not whole:
        cut = max(text.rfind("\n"), text.rfind("\r")) + 1
        text = text[:cut] or text
    newline = "\n" if "\n" in text or "\r" not in text else "\r"
    text, skipped, delimiter = _after_skipped(text, newline, options)
    quote = _character(options.get("quote", None), "quote", none=True)
    if quote is None:
        quote = _quote(text, delimiter)
    if delimiter is None:
        delimiter = _delimiter(text, quote, newline)
    sample = list(islice(fields_of(text, delimiter, quote, newline), SAMPLE_ROWS))
    cells = _cells(sample, delimiter, options, notes)
    names, header, extra = names_of(sample, options, cells, notes, name)
    ends = sample[0][1] if header and sample else 0
    before = skipped + text[:ends]
    if not header and sample and options.get("header") is None and options.get("names") is None:
        notes.append(Note(f"The first line is data: the columns are named {', '.join(names[:3])} …"))
    return Dialect(
        encoding="utf-8",
        delimiter=delimiter,
        quote=quote,
        escape=_character(options.get("escape", ""), "escape", none=True) or "",
        newline=newline.encode(),
        names=names,
        header=header,
        skip=len(before.encode()),
        first_line=1 + before.count(newline),
        cells=cells,
        extra=extra,
    )


def _after_skipped(text: str, newline: str, options: Mapping[str, Any]) -> tuple[str, str, str | None]:
    """(text behind what is skipped, what is skipped, the delimiter where it is given)."""
    delimiter = _character(options.get("delimiter"), "delimiter", none=False)
    lines = options.get("skip", 0)
    if not isinstance(lines, int) or lines < 0:
        raise ReadError(f"skip={lines!r} is not a number of lines")
    start = 0
    for _ in range(lines):
        start = text.find(newline, start) + 1
        if not start:
            raise ReadError(f"skip={lines}: the first {len(text)} characters of the file have fewer lines")
    declared = re.match(r"sep=(.)\r?\n", text[start:])  # as Excel declares the delimiter
    if declared:
        delimiter = delimiter or declared[1]
        start += declared.end()
    return text[start:], text[:start], delimiter


def _character(given: object, option: str, *, none: bool) -> Any:
    if given is None or (none and given == ""):
        return given
    if not isinstance(given, str) or len(given) != 1 or given in "\r\n" or ord(given) > 127:
        raise ReadError(f"{option}={given!r} is not a single ASCII character")
    return given


def _quote(text: str, delimiter: str | None) -> str:
    """A double quote, unless fields are clearly enclosed in single quotes."""
    marks = re.escape(delimiter or "".join(DELIMITERS))
    single = len(re.findall(rf"(?:^|[{marks}])'[^'\n]*'(?=[{marks}]|\r?$)", text, re.MULTILINE))
    double = len(re.findall(rf'(?:^|[{marks}])"', text, re.MULTILINE))
    return "'" if single > 2 and not double else '"'


def _delimiter(text: str, quote: str, newline: str) -> str:
    """The delimiter that gives most rows the same number of fields; a comma where none does."""
    best, best_score = ",", 0.0
    for delimiter in DELIMITERS:
        counts = Counter(len(row) for row, _ in islice(fields_of(text, delimiter, quote, newline), SAMPLE_ROWS))
        rows_by_fields = {fields: rows for fields, rows in counts.items() if fields > 1}
        if not rows_by_fields:
            continue
        fields, rows = max(rows_by_fields.items(), key=lambda item: (item[1], item[0]))
        share = rows / counts.total()
        score = share * share * (1 + 0.01 * min(fields, 50))
        if score > best_score + 1e-9:
            best, best_score = delimiter, score
    return best


def _cells(sample: Sample, delimiter: str, options: Mapping[str, Any], notes: list[Note]) -> Cells:
    marks = {name: options.get(name, "") for name in ("thousands", "currency")}
    for name, mark in marks.items():
        if not isinstance(mark, str):
            raise ReadError(f"{name}={mark!r} is not a text")
    missing = options.get("missing", MISSING)
    if isinstance(missing, str) or not all(isinstance(marker, str) for marker in missing):
        raise ReadError(f"missing={missing!r} is not a list of texts")
    decimal = options.get("decimal")
    if decimal is None:
        decimal = _decimal(sample, delimiter, frozenset(missing))
        if decimal != ".":
            notes.append(
                Note(
                    f"Numbers have a decimal comma (the delimiter is {delimiter!r}); give decimal='.' if that is wrong."
                )
            )
    elif decimal not in (".", ","):
        raise ReadError(f"decimal={decimal!r} is neither '.' nor ','")
    trim = options.get("trim")
    if trim is None:
        later = [field for row, _ in sample for field in row[1:]]
        trim = bool(later) and all(field.startswith(" ") for field in later if field)
        if trim:
            notes.append(Note(f"Each {delimiter!r} is followed by a blank: blanks around values were dropped."))
    return Cells(frozenset(missing), decimal, marks["thousands"], marks["currency"], bool(trim))


def _decimal(sample: Sample, delimiter: str, missing: frozenset[str]) -> str:
    if delimiter == ",":
        return "."
    columns = columns_of(sample[1:] or sample)
    commas = points = 0
    for fields in columns:
        present = [field.strip() for field in fields if field.strip() not in missing]
        if not present:
            continue
        if any("," in field for field in present):
            commas += all(re.match(r"^[+-]?\d+(,\d+)?([eE][+-]?\d+)?$", field) for field in present)
        elif any("." in field for field in present):
            points += all(re.match(PATTERNS[Type.NUMBER], field) for field in present)
    return "," if commas and not points else "."
