"""A block of a delimited file as columns of texts, by pyarrow's parser, and the rows that it cannot parse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from pyarrow import csv

from clary.data.errors import ReadError
from clary.data.sources.bad_rows import BadRow
from clary.data.sources.blocks import TextBlock
from clary.data.sources.dialect import Dialect
from clary.data.sources.rows import fields_of

TEXT_DICTIONARY = pa.dictionary(pa.int32(), pa.string())


@dataclass
class TextColumns:
    """columns  of texts, those that were asked for; rows: their length
    bad         the rows that could not be parsed
    """

    columns: list[pa.Array]
    rows: int
    bad: list[BadRow] = field(default_factory=list)


def parse_block(block: TextBlock, dialect: Dialect, wanted: Sequence[int], coded: frozenset[int]) -> TextColumns:
    """Columns at the wanted places; those in `coded` as dictionaries.

    Raises ReadError for what is not text at all.
    """
    data = _without_blanks_before_quotes(block.data, dialect)
    bad: list[BadRow] = []
    if b"\0" in data:
        data, bad = _without_faults(block, dialect)
    try:
        columns, ragged = _parsed(data, dialect, wanted, coded)
    except UnicodeDecodeError:
        data, bad = _without_faults(block, dialect)
        columns, ragged = _parsed(data, dialect, wanted, coded)
    rows = len(columns[0]) if columns else 0
    return TextColumns(columns, rows, bad + _with_line_numbers(ragged, block))


def _without_blanks_before_quotes(data: bytes, dialect: Dialect) -> bytes:
    """Where blanks follow delimiters: behind a blank, a quote would be a character of the field."""
    if not dialect.cells.trim or not dialect.quote:
        return data
    mark, quote = dialect.delimiter.encode(), dialect.quote.encode()
    return data.replace(mark + b" " + quote, mark + quote)


def _parsed(
    data: bytes, dialect: Dialect, wanted: Sequence[int], coded: frozenset[int]
) -> tuple[list[pa.Array], list[tuple[str, str]]]:
    ragged: list[tuple[str, str]] = []
    width = len(dialect.names) + dialect.extra
    places = [str(place) for place in range(width)]

    def refuse(row: csv.InvalidRow) -> str:
        ragged.append((f"{row.actual_columns} fields instead of {width}", row.text))
        return "skip"

    quoted = bool(dialect.quote) and dialect.quote.encode() in data
    names = [places[place] for place in wanted]
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=places),
            csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=dialect.quote or False,
                escape_char=dialect.escape or False,
                newlines_in_values=quoted,
                invalid_row_handler=refuse,
            ),
            csv.ConvertOptions(
                column_types={name: TEXT_DICTIONARY if int(name) in coded else pa.string() for name in names},
                include_columns=names,
                strings_can_be_null=False,
                null_values=[],
            ),
        )
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error) or "UTF-8" in str(error):
            raise UnicodeDecodeError("utf-8", b"", 0, 0, "") from None
        if "Empty CSV" in str(error):
            return [pa.array([], pa.string()) for _ in wanted], ragged
        raise ReadError(f"it cannot be parsed: {str(error)[:200]}") from None
    return [_array(table.column(place)) for place in range(len(names))], ragged


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _without_faults(block: TextBlock, dialect: Dialect) -> tuple[bytes, list[BadRow]]:
    """Without lines that are not UTF-8 or have NUL bytes in them."""
    kept, bad = [], []
    for number, line in enumerate(block.data.split(dialect.newline), block.first_line):
        reason = "a NUL byte" if b"\0" in line else ""
        try:
            line.decode()
        except UnicodeDecodeError as error:
            reason = f"byte {error.object[error.start]:#x}, which is not UTF-8 (is encoding='cp1252' meant?)"
        if reason:
            bad.append(BadRow(number, reason, line.decode("utf-8", "backslashreplace")))
            continue
        kept.append(line)
    return dialect.newline.join(kept), bad


def _with_line_numbers(ragged: list[tuple[str, str]], block: TextBlock) -> list[BadRow]:
    """With their line numbers: each text is searched behind the text before."""
    rows, position, line = [], 0, block.first_line
    for reason, text in ragged:
        raw = text.encode()
        start = block.data.find(raw, position)
        if start < 0:
            rows.append(BadRow(0, reason, text))
            continue
        line += block.data.count(b"\n", position, start)
        position = start
        rows.append(BadRow(line, reason, text.rstrip("\r\n")))
    return rows


def raw_rows(block: TextBlock, dialect: Dialect, wanted: Sequence[int], reason: str) -> list[BadRow]:
    """The rows at these places among those that can be parsed, as they are written in the file."""
    text = block.data.decode("utf-8", "replace")
    places, number, position, line = set(wanted), 0, 0, block.first_line
    width = len(dialect.names) + dialect.extra
    rows = []
    for row, end in fields_of(text, dialect.delimiter, dialect.quote, dialect.newline.decode()):
        if len(row) == width:
            if number in places:
                raw = text[position:end]
                blank = len(raw) - len(raw.lstrip("\r\n"))
                rows.append(BadRow(line + raw.count("\n", 0, blank), reason, raw.strip("\r\n")))
                if len(rows) == len(places):
                    return rows
            number += 1
        line += text.count("\n", position, end)
        position = end
    return rows
