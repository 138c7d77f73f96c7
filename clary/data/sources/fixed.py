"""Text in columns of fixed width: a line is a row, and a column a range of its characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clary.data.errors import ReadError
from clary.data.frames import distinct_names
from clary.data.notes import Note
from clary.data.scans import Scan
from clary.data.sources.blocks import TextBlock
from clary.data.sources.cells import MISSING, Cells, Type
from clary.data.sources.delimited import Reader, first_bytes
from clary.data.sources.dialect import Dialect
from clary.data.sources.infer import guess
from clary.data.sources.input_file import InputFile
from clary.data.sources.parse import TextColumns, parse_block
from clary.data.sources.read_options import ReadOptions

OPTIONS = frozenset({"widths", "colspecs", "header", "names", "encoding", "missing", "skip", "types"})
SAMPLE_LINES = 200
# Occurs in no text: each line is a single field.
NO_DELIMITER = "\x1f"
Spans = tuple[tuple[int, int | None], ...]


def scan(file: InputFile, options: ReadOptions) -> Scan:
    """A table.

    widths    of the columns in order; or colspecs: (start, end) of each, end exclusive, None for the end of the line.
    Without either, columns are separated where the first 200 lines all have blanks.

    header    whether the first line names the columns; guessed by default. names: of the columns
    Raises    ReadError.
    """
    notes: list[Note] = []
    head, whole, encoding, mark = first_bytes(file, options, notes)
    text = head.decode("utf-8", "replace")
    text = text if whole else text[: text.rfind("\n") + 1]
    skipped = _skipped(text, options.format_options)
    lines = [line for line in text[len(skipped) :].splitlines()[:SAMPLE_LINES] if line.strip()]
    if not lines:
        raise ReadError(f"{file.name} is empty: it has neither columns nor rows")
    spans = _spans(lines, options.format_options, notes)
    names, header = _names(lines, spans, options.format_options, notes)
    if header:
        skipped = text[: text.index(lines[0], len(skipped)) + len(lines[0])]
        skipped += text[len(skipped) :][: text[len(skipped) :].find("\n") + 1]
    cells = Cells(frozenset(options.format_options.get("missing", MISSING)), trim=True)
    dialect = Dialect(
        encoding=encoding,
        delimiter=NO_DELIMITER,
        quote="",
        escape="",
        newline=b"\n",
        names=names,
        header=header,
        skip=len(skipped.encode()) + mark,
        first_line=1 + skipped.count("\n"),
        cells=cells,
    )
    types = {name: value for name, value in options.format_options.items() if name == "types"}
    return FixedReader(file, replace(options, format_options=types), dialect, notes, spans).scan()


class FixedReader(Reader):
    def __init__(
        self, file: InputFile, options: ReadOptions, dialect: Dialect, notes: list[Note], spans: Spans
    ) -> None:
        super().__init__(file, options, dialect, notes)
        self._spans = [spans[place] for place in self._places]
        self._lines = replace(dialect, names=("line",))

    def _texts(self, block: TextBlock, coded: frozenset[int]) -> TextColumns:
        lines = parse_block(block, self._lines, [0], frozenset())
        columns = [_cut(lines.columns[0], span) for span in self._spans]
        for index, place in enumerate(self._places):
            if place in coded:
                columns[index] = columns[index].dictionary_encode()
        return TextColumns(columns, lines.rows, lines.bad)


def _cut(lines: pa.Array, span: tuple[int, int | None]) -> pa.Array:
    return pc.utf8_trim_whitespace(pc.utf8_slice_codeunits(lines, span[0], span[1]))


def _skipped(text: str, options: Mapping[str, Any]) -> str:
    lines = options.get("skip", 0)
    if not isinstance(lines, int) or lines < 0:
        raise ReadError(f"skip={lines!r} is not a number of lines")
    return "".join(text.splitlines(keepends=True)[:lines])


def _spans(lines: Sequence[str], options: Mapping[str, Any], notes: list[Note]) -> Spans:
    widths, colspecs = options.get("widths"), options.get("colspecs")
    if widths is not None:
        if colspecs is not None or not all(isinstance(width, int) and width > 0 for width in widths):
            raise ReadError(f"widths={widths!r} are not numbers of characters, or colspecs= is given too")
        ends = np.cumsum([0, *widths]).tolist()
        return tuple(pairwise(ends))
    if colspecs is not None:
        spans = tuple(tuple(span) for span in colspecs)
        for span in spans:
            start, end = span if len(span) == 2 else (None, None)
            if not isinstance(start, int) or start < 0 or (end is not None and end <= start):
                raise ReadError(f"colspecs={colspecs!r} are not (start, end) pairs")
        return spans
    used = np.zeros(max(map(len, lines)) + 2, dtype=bool)
    for line in lines:
        used[1 : len(line) + 1] |= np.array([letter not in " \t" for letter in line])
    edges = np.flatnonzero(np.diff(used.astype(np.int8)))
    ranges = list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
    notes.append(Note(f"Columns were separated by blanks: {ranges}; give widths= or colspecs= if that is wrong."))
    return (*ranges[:-1], (ranges[-1][0], None))


def _names(
    lines: Sequence[str], spans: Spans, options: Mapping[str, Any], notes: list[Note]
) -> tuple[tuple[str, ...], bool]:
    first = [lines[0][start:end].strip() for start, end in spans]
    header, given = options.get("header"), options.get("names")
    if header not in (None, True, False):
        raise ReadError(f"header={header!r} is neither True nor False")
    if header is None:
        header = given is None and all(guess(pa.array([text]), Cells()) is Type.TEXT for text in first)
    if given is not None and (isinstance(given, str) or len(given) != len(spans)):
        raise ReadError(f"names={given!r}: there are {len(spans)} columns")
    written = list(given) if given is not None else first if header else [""] * len(spans)
    names = distinct_names([name or f"column_{place}" for place, name in enumerate(written, 1)])
    if given is None and not header:
        notes.append(Note(f"The first line is data: the columns are named {', '.join(names[:3])} …"))
    return tuple(names), bool(header)
