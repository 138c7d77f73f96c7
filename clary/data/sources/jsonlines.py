"""JSON Lines: an object a line, parsed block by block on all cores; nested objects become columns "outer.inner"."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import json as arrow_json

from clary.data.errors import ReadError
from clary.data.notes import Note
from clary.data.scans import Scan
from clary.data.sources.bad_rows import BadRow, BadRows
from clary.data.sources.blocks import TextBlock, blocks, utf8
from clary.data.sources.chunks import flattened, spill_chunks
from clary.data.sources.encoding import HEAD_BYTES, encoding_of_json
from clary.data.sources.input_file import InputFile
from clary.data.sources.parallel import map_in_order
from clary.data.sources.read_options import ReadOptions
from clary.data.sources.values import columns_of, table_of, with_times

OPTIONS = frozenset({"encoding"})
BLOCK_BYTES = 4 << 20


def scan(file: InputFile, options: ReadOptions) -> Scan:
    """Raises ReadError."""
    notes: list[Note] = []
    encoding = encoding_of_json(file.head(HEAD_BYTES), options.format_options.get("encoding"), notes)
    bad = BadRows(file.name, options.bad_rows)

    time_columns: dict[str, pa.DataType] = {}

    def chunks(text: frozenset[str]) -> Iterator[pa.Table]:
        time_columns.clear()
        # Each block is parsed with the columns of times that are known when its turn comes.
        items = ((block, dict(time_columns)) for block in _blocks(file, encoding))
        for table, bad_rows, new_notes, found in map_in_order(items, lambda item: _parsed(item[0], text, item[1])):
            time_columns.update(found)
            bad.add(bad_rows)
            notes.extend(note for note in new_notes if note not in notes)
            yield table

    found = spill_chunks(chunks, options, notes, bad)
    if not found.arrow_schema.names:
        found.close()
        raise ReadError(f"{file.name} is empty: it has neither columns nor rows")
    nested = [name for name in found.arrow_schema.names if "." in name]
    if nested:
        found.add_notes([Note(f"Nested objects became columns: {', '.join(nested[:10])}.")])
    return found


def _blocks(file: InputFile, encoding: str) -> Iterator[TextBlock]:
    with file.reading(), file.open() as raw:
        text = utf8(raw, encoding)
        for block in blocks(
            text, BLOCK_BYTES, skip=0, first_line=1, newline=b"\n", quote="", delimiter="", name=file.name
        ):
            marked = block.first_line == 1 and block.data.startswith(b"\xef\xbb\xbf")
            yield TextBlock(block.data[3:], 1) if marked else block


Parsed = tuple[pa.Table, list[BadRow], list[Note], dict[str, pa.DataType]]


def _parsed(block: TextBlock, text: frozenset[str], time_columns: dict[str, pa.DataType]) -> Parsed:
    """time_columns  columns that hold times, with types that keep their text; returned with those that are found"""
    if not block.data.strip():
        return pa.table({}), [], [], {}
    try:
        block.data.decode()  # which Arrow does not check
        table = _arrow(block.data, time_columns)
        # Arrow recognizes times by rules of its own: their text is needed instead.
        if found := {field.name: _as_text(field.type) for field in table.schema if _as_text(field.type) != field.type}:
            time_columns = time_columns | found
            table = _arrow(block.data, time_columns).select(table.column_names)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
        return *_by_line(block, text), time_columns
    table = flattened(table)
    if any(field.name in text and not pa.types.is_string(field.type) for field in table.schema):
        return *_by_line(block, text), time_columns
    columns = [
        column.combine_chunks() if field.name in text else with_times(column.combine_chunks())
        for field, column in zip(table.schema, table.columns, strict=True)
    ]
    return pa.table(columns, names=table.column_names), [], [], time_columns


def _arrow(data: bytes, time_columns: dict[str, pa.DataType]) -> pa.Table:
    return arrow_json.read_json(
        pa.BufferReader(data),
        arrow_json.ReadOptions(use_threads=False, block_size=len(data) + 1),
        arrow_json.ParseOptions(explicit_schema=pa.schema(list(time_columns.items())) if time_columns else None),
    )


def _as_text(given: pa.DataType) -> pa.DataType:
    """The type with text in place of times."""
    if pa.types.is_timestamp(given):
        return pa.string()
    if pa.types.is_struct(given):
        return pa.struct([pa.field(field.name, _as_text(field.type)) for field in given])
    return pa.list_(_as_text(given.value_type)) if pa.types.is_list(given) else given


def _by_line(block: TextBlock, text: frozenset[str]) -> tuple[pa.Table, list[BadRow], list[Note]]:
    """A block that Arrow cannot parse: with types that differ from row to row, or rows that are not objects."""
    records: list[dict[str, Any]] = []
    bad: list[BadRow] = []
    notes: list[Note] = []
    for number, line in enumerate(block.data.split(b"\n"), block.first_line):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            bad.append(BadRow(number, f"not JSON ({error})"[:200], line.decode("utf-8", "backslashreplace")))
            continue
        if not isinstance(record, dict):
            bad.append(BadRow(number, f"a {type(record).__name__}, not an object", line.decode("utf-8", "replace")))
            continue
        records.append(record)
    return table_of(columns_of(records), notes, text), bad, notes
