"""Chunks that are typed each on its own, spilled as one table: JSON Lines, databases, Arrow streams.

A column may have another type in each chunk. Where one type holds them all without loss, chunks stay as they are and
are cast when they are read; where none does, the column is text and all is read once more, to have what was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from clary.data.notes import Note
from clary.data.scans import BATCH_ROWS
from clary.data.sources.how import BadRows, How
from clary.data.sources.joined import common_type
from clary.data.sources.spill import DICTIONARY, Spill, SpillScan

Chunks = Callable[[frozenset[str]], Iterator[pa.Table]]


def spilled(chunks: Chunks, how: How, notes: list[Note], bad: BadRows | None = None) -> SpillScan:
    """The table of all chunks.

    chunks  told which columns are text in any case; begins anew each time it is called
    Raises  ReadError.
    """
    spill = Spill(how.spill, on_disk=not how.in_memory)
    try:
        text: frozenset[str] = frozenset()
        first = list(notes)
        while True:
            types, unfit = _pass(chunks(text), spill, how)
            if not unfit - text:
                break
            text |= unfit
            spill.clear()
            notes[:] = first
            if bad is not None:
                bad.forget()
        notes += [Note("It mixes types that have none in common: it was read as text.", name) for name in sorted(text)]
        if bad is not None:
            notes += bad.over()
    except BaseException:
        spill.close()
        raise
    return SpillScan(spill, pa.schema(list(types.items())), notes)


def _pass(chunks: Iterator[pa.Table], spill: Spill, how: How) -> tuple[dict[str, pa.DataType], frozenset[str]]:
    """(types that hold all chunks, columns for which there is none)."""
    types: dict[str, pa.DataType] = {}
    unfit: set[str] = set()
    for chunk in chunks:
        table = flattened(chunk)
        for one in table.schema:
            kind = pa.string() if pa.types.is_large_string(one.type) else one.type
            common = common_type(types.get(one.name, kind), kind)
            if common is None:
                unfit.add(one.name)
            else:
                types[one.name] = common
        left = table.num_rows if how.rows is None else how.rows - spill.rows
        for batch in table.slice(0, left).combine_chunks().to_batches(BATCH_ROWS):
            spill.add(_coded(batch, types))
        if how.rows is not None and spill.rows >= how.rows:
            break
    return types, frozenset(unfit)


def _coded(batch: pa.RecordBatch, types: dict[str, pa.DataType]) -> pa.RecordBatch:
    """Words that repeat as dictionaries, in this chunk and from now on."""
    arrays = []
    for one, array in zip(batch.schema, batch.columns, strict=True):
        text = pa.types.is_string(one.type)
        if text and (types[one.name] == DICTIONARY or _repeats(array)):
            types[one.name] = DICTIONARY
            arrays.append(array.dictionary_encode())
        else:
            arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, batch.schema.names)


def _repeats(words: pa.Array) -> bool:
    return len(words) >= 1000 and 2 * pc.count_distinct(words.slice(0, 1 << 13)).as_py() <= min(len(words), 1 << 13)


def flattened(table: pa.Table) -> pa.Table:
    """Without structs: their fields as columns "outer.inner"."""
    while any(pa.types.is_struct(one.type) for one in table.schema):
        table = table.flatten()
    if len(set(table.column_names)) < table.num_columns:
        from clary.data.frames import distinct_names

        table = table.rename_columns(distinct_names(table.column_names))
    return table
