"""Folders of files of which each is a row: its path, the folder that it is in as its label, its bytes, and facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from clary.data.notes import Note
from clary.data.scans import Scan
from clary.data.sources.ahead import in_order
from clary.data.sources.how import BadRow, BadRows, How
from clary.data.sources.loose import spilled
from clary.data.sources.origin import Origin

# A chunk holds the files' bytes: so many of them, or fewer large ones.
CHUNK_FILES = 256
CHUNK_BYTES = 32 << 20


class BadFileError(Exception):
    """This is no image, or no recording."""


def scan_media(
    origins: Sequence[Origin], how: How, column: str, facts: Callable[[bytes], dict[str, Any]], types: pa.Schema
) -> Scan:
    """column  of the bytes; facts: further columns, of these types, from the bytes; raises BadFileError."""
    folders = {str(PurePosixPath(one.below).parent) for one in origins}
    labelled = folders != {"."}
    label = [pa.field("label", pa.string())] if labelled else []
    schema = pa.schema([pa.field("path", pa.string()), *label, pa.field(column, pa.binary()), *types])
    bad = BadRows("the folder" if len(origins) > 1 else origins[0].name, how.bad_rows)

    def row(origin: Origin) -> dict[str, Any] | BadRow:
        with origin.reading(), origin.open() as stream:
            data = stream.read()
        try:
            found = facts(data)
        except BadFileError as error:
            return BadRow(0, str(error), origin.name)
        parent = PurePosixPath(origin.below).parent.name
        return {"path": origin.name, "label": parent or None, column: data, **found}

    def chunks(_: frozenset[str]) -> Iterator[pa.Table]:
        yield schema.empty_table()
        held: list[dict[str, Any]] = []
        size = 0
        for found in in_order(origins, row):
            if isinstance(found, BadRow):
                bad.add([found])
                continue
            held.append(found)
            size += len(found[column])
            if len(held) >= CHUNK_FILES or size >= CHUNK_BYTES:
                yield pa.Table.from_pylist(held, schema)
                held, size = [], 0
        if held:
            yield pa.Table.from_pylist(held, schema)

    told = "A file's label is the folder that it is in." if labelled else "The files are in no sub-folders: no labels."
    return spilled(chunks, how, [Note(told)], bad)
