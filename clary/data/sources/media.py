"""Folders in which each file is a row: its path, its folder as the label, its bytes, and metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from clary.data.notes import Note
from clary.data.scans import Scan
from clary.data.sources.bad_rows import BadRow, BadRows
from clary.data.sources.chunks import spill_chunks
from clary.data.sources.input_file import InputFile
from clary.data.sources.parallel import map_in_order
from clary.data.sources.read_options import ReadOptions

# A chunk holds the files' bytes: of so many files, or of fewer large files.
CHUNK_FILES = 256
CHUNK_BYTES = 32 << 20


class BadFileError(Exception):
    """The bytes are not an image, or not a recording."""


def scan_media(
    files: Sequence[InputFile],
    options: ReadOptions,
    column: str,
    metadata: Callable[[bytes], dict[str, Any]],
    types: pa.Schema,
) -> Scan:
    """column  of the bytes; metadata: further columns, of these types, from the bytes; raises BadFileError."""
    folders = {str(PurePosixPath(file.relative_path).parent) for file in files}
    labelled = folders != {"."}
    label = [pa.field("label", pa.string())] if labelled else []
    schema = pa.schema([pa.field("path", pa.string()), *label, pa.field(column, pa.binary()), *types])
    bad = BadRows("the folder" if len(files) > 1 else files[0].name, options.bad_rows)

    def row(file: InputFile) -> dict[str, Any] | BadRow:
        with file.reading(), file.open() as stream:
            data = stream.read()
        try:
            values = metadata(data)
        except BadFileError as error:
            return BadRow(0, str(error), file.name)
        parent = PurePosixPath(file.relative_path).parent.name
        return {"path": file.name, "label": parent or None, column: data, **values}

    def chunks(_: frozenset[str]) -> Iterator[pa.Table]:
        yield schema.empty_table()
        held: list[dict[str, Any]] = []
        size = 0
        for result in map_in_order(files, row):
            if isinstance(result, BadRow):
                bad.add([result])
                continue
            held.append(result)
            size += len(result[column])
            if len(held) >= CHUNK_FILES or size >= CHUNK_BYTES:
                yield pa.Table.from_pylist(held, schema)
                held, size = [], 0
        if held:
            yield pa.Table.from_pylist(held, schema)

    note = "A file's label is the folder that it is in." if labelled else "The files are in no sub-folders: no labels."
    return spill_chunks(chunks, options, [Note(note)], bad)
