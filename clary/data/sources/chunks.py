"""Tables that come in chunks with types of their own: JSON Lines, databases, Arrow streams.

A column may have another type in each chunk. Where a common type holds all values without loss, chunks are spilled as
they are and cast when they are read; where none does, the column is text, and the source is read again to get the text
as it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from clary.data.notes import Note
from clary.data.scans import BATCH_ROWS
from clary.data.sources.bad_rows import BadRows
from clary.data.sources.read_options import ReadOptions
from clary.data.sources.spill import DICTIONARY, Spill, SpillScan
from clary.data.sources.wrappers import common_type

Chunks = Callable[[frozenset[str]], Iterator[pa.Table]]


def spill_chunks(chunks: Chunks, options: ReadOptions, notes: list[Note], bad: BadRows | None = None) -> SpillScan:
    """The table of all chunks, spilled.

    chunks  called with the names of columns that must be text; begins anew each time
    Raises  ReadError.
    """
    spill = Spill(options.spill, on_disk=not options.in_memory)
    try:
        text: frozenset[str] = frozenset()
        first = list(notes)
        while True:
            types, unfit = _pass(chunks(text), spill, options)
            if not unfit - text:
                break
            text |= unfit
            spill.clear()
            notes[:] = first
            if bad is not None:
                bad.reset()
        notes += [Note("It mixes types without a common type: it was read as text.", name) for name in sorted(text)]
        if bad is not None:
            notes += bad.finish()
    except BaseException:
        spill.close()
        raise
    return SpillScan(spill, pa.schema(list(types.items())), notes)


def _pass(
    chunks: Iterator[pa.Table], spill: Spill, options: ReadOptions
) -> tuple[dict[str, pa.DataType], frozenset[str]]:
    """(types that hold all chunks, columns for which there is none)."""
    types: dict[str, pa.DataType] = {}
    unfit: set[str] = set()
    for chunk in chunks:
        table = flattened(chunk)
        for field in table.schema:
            kind = pa.string() if pa.types.is_large_string(field.type) else field.type
            common = common_type(types.get(field.name, kind), kind)
            if common is None:
                unfit.add(field.name)
            else:
                types[field.name] = common
        wanted = table.num_rows if options.rows is None else options.rows - spill.rows
        for batch in table.slice(0, wanted).combine_chunks().to_batches(BATCH_ROWS):
            spill.add(_coded(batch, types))
        if options.rows is not None and spill.rows >= options.rows:
            break
    return types, frozenset(unfit)


def _coded(batch: pa.RecordBatch, types: dict[str, pa.DataType]) -> pa.RecordBatch:
    """Text that repeats is dictionary-encoded, in this chunk and in those after it."""
    arrays = []
    for field, array in zip(batch.schema, batch.columns, strict=True):
        text = pa.types.is_string(field.type)
        if text and (types[field.name] == DICTIONARY or _repeats(array)):
            types[field.name] = DICTIONARY
            arrays.append(array.dictionary_encode())
        else:
            arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, batch.schema.names)


def _repeats(texts: pa.Array) -> bool:
    return len(texts) >= 1000 and 2 * pc.count_distinct(texts.slice(0, 1 << 13)).as_py() <= min(len(texts), 1 << 13)


def flattened(table: pa.Table) -> pa.Table:
    """Without structs: their fields as columns "outer.inner"."""
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    if len(set(table.column_names)) < table.num_columns:
        from clary.data.frames import distinct_names

        table = table.rename_columns(distinct_names(table.column_names))
    return table
