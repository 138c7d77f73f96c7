"""Spreadsheets: .xlsx, .xls, .xlsb and .ods, a sheet of them, by calamine."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Any

from clary.data.batch import some
from clary.data.errors import ReadError
from clary.data.notes import Note
from clary.data.scans import FrameScan, Scan
from clary.data.sources.cells import MISSING, frequencies
from clary.data.sources.input_file import InputFile
from clary.data.sources.read_options import ReadOptions
from clary.data.sources.values import named, table_of

OPTIONS = frozenset({"sheet", "header", "skip", "missing"})


def scan(file: InputFile, options: ReadOptions) -> Scan:
    """sheet    its name, or its place from 0; the first by default, with a note where there are several
    header   whether the first row names the columns: True by default; skip: rows to skip first
    missing  the texts that stand for a missing value
    Raises   ReadError.
    """
    try:
        from python_calamine import CalamineWorkbook
    except ImportError:
        raise ReadError("reading spreadsheets needs the package python-calamine: pip install 'clary[data]'") from None
    notes = [Note("The sheet was read whole.")]
    with (
        file.reading_as("a spreadsheet"),
        file.seekable() as stream,
        CalamineWorkbook.from_filelike(stream) as book,
    ):
        name = _sheet(book.sheet_names, options.format_options.get("sheet"), file, notes)
        rows = book.get_sheet_by_name(name).to_python()
    return FrameScan(table_of(_columns(rows, options, file, notes), notes), notes)


def _sheet(names: list[str], wanted: object, file: InputFile, notes: list[Note]) -> str:
    if not names:
        raise ReadError(f"{file.name} has no sheet")
    if wanted is None:
        if len(names) > 1:
            notes.append(
                Note(f"Of {len(names)} sheets the first, {names[0]!r}, was read; others by sheet=: {some(names[1:])}.")
            )
        return names[0]
    if isinstance(wanted, str) and wanted in names:
        return wanted
    if isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < len(names):
        return names[wanted]
    raise ReadError(f"{file.name} has no sheet {wanted!r}; it has {some(names)}")


def _columns(rows: list[list[Any]], options: ReadOptions, file: InputFile, notes: list[Note]) -> dict[str, list[Any]]:
    header, skip = options.format_options.get("header", True), options.format_options.get("skip", 0)
    missing = options.format_options.get("missing", MISSING)
    if not isinstance(header, bool) or not isinstance(skip, int) or skip < 0:
        raise ReadError(f"header={header!r}, skip={skip!r}: header is True or False, skip a number of rows")
    if isinstance(missing, str) or not all(isinstance(marker, str) for marker in missing):
        raise ReadError(f"missing={missing!r} is not a list of texts")
    rows = [row for row in rows[skip:] if any(value != "" for value in row)]
    if not rows:
        raise ReadError(f"{file.name}: the sheet is empty")
    width = max(place + 1 for row in rows for place, value in enumerate(row) if value != "")
    body = [row[:width] for row in rows[header:]]
    names = [_name(value) for value in rows[0][:width]] if header else None
    columns = named(body, names, notes)
    return {name: _cells(values, name, frozenset(missing), notes) for name, values in columns.items()}


def _name(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _cells(values: list[Any], name: str, missing: frozenset[str], notes: list[Note]) -> list[Any]:
    """A sheet's numbers are floats: they become integers where all are whole. An empty cell is a missing value."""
    markers: Counter[str] = Counter()
    cells: list[Any] = []
    for value in values:
        if isinstance(value, str) and (text := value.strip()) in (missing | {""}):
            if text:
                markers[text] += 1
            cells.append(None)
        else:
            cells.append(value)
    if markers:
        notes.append(Note(f"Read as missing: {frequencies(markers)}.", name, markers.total()))
    numbers = [value for value in cells if type(value) is float]
    if numbers and all(value.is_integer() and abs(value) <= 2**53 for value in numbers):
        cells = [int(value) if type(value) is float else value for value in cells]
    if any(isinstance(value, (datetime.time, datetime.timedelta)) for value in cells):
        notes.append(Note("Times of day and durations were read as text.", name))
        cells = [str(value) if isinstance(value, (datetime.time, datetime.timedelta)) else value for value in cells]
    return cells
