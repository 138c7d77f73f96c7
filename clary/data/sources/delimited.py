"""CSV and other delimited text: parsed once, block by block on all cores, and spilled as typed columns.

    bytes ──> blocks of whole rows ──> texts ──> typed columns ──> spill
The types are guessed from the first block and widened where a later block requires it. Where values that were read
cannot be widened without loss (a number as it was written, once its column turns out to be text), the file is read
again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clary.data.batch import some
from clary.data.errors import ReadError
from clary.data.notes import Note
from clary.data.scans import BATCH_ROWS, Scan, cores
from clary.data.sources.bad_rows import BadRow, BadRows
from clary.data.sources.blocks import TextBlock, blocks, utf8
from clary.data.sources.cells import ARROW, Type, lossless, wider
from clary.data.sources.column_state import ColumnState, notes_of, text_notes
from clary.data.sources.dialect import Dialect, sniff
from clary.data.sources.encoding import HEAD_BYTES, encoding_of
from clary.data.sources.infer import Converted, convert, guess
from clary.data.sources.input_file import InputFile
from clary.data.sources.parallel import map_in_order
from clary.data.sources.parse import TextColumns, parse_block, raw_rows
from clary.data.sources.read_options import ReadOptions
from clary.data.sources.spill import DICTIONARY, Spill, SpillScan

OPTIONS = frozenset(
    {"delimiter", "quote", "escape", "header", "names", "encoding", "skip"}
    | {"decimal", "thousands", "currency", "missing", "trim", "types"}
)
FIRST_BYTES = 1 << 20
MIN_BYTES, MAX_BYTES = 1 << 18, 8 << 20
# Of all blocks that are parsed at a time, however many cores there are; parsed they take a few times as much.
MAX_BYTES_AT_ONCE = 48 << 20
# A column keeps its type although a few texts do not fit it, where the caller wants bad rows left out.
TOLERANCE = 0.01
TYPES = {
    "integer": Type.INTEGER,
    "number": Type.NUMBER,
    "boolean": Type.BOOLEAN,
    "time": Type.TIME,
    "text": Type.TEXT,
}


def scan(file: InputFile, options: ReadOptions) -> Scan:
    """What is not given is guessed from the file's first 256 KiB, and noted where it may be wrong.

    delimiter, quote, escape, encoding   quote="" where quotes have no meaning
    header, names  whether the first row names the columns; names: of the columns, instead of those
    skip           lines to skip first
    decimal, thousands, currency         marks of numbers; only the decimal mark is sniffed
    missing        the texts that stand for a missing value, instead of cells.MISSING
    trim           whether blanks around texts are dropped
    types          {column: "number", "integer", "boolean", "time" or "text"}: a text that does not fit is a bad row
    Raises         ReadError.
    """
    notes: list[Note] = []
    head, whole, encoding, mark = first_bytes(file, options, notes)
    dialect = sniff(head, whole, options.format_options, file.name, notes)
    dialect = replace(dialect, encoding=encoding, skip=dialect.skip + mark)
    if not dialect.names:
        raise ReadError(f"{file.name} is empty: it has neither columns nor rows")
    return Reader(file, options, dialect, notes).scan()


def first_bytes(file: InputFile, options: ReadOptions, notes: list[Note]) -> tuple[bytes, bool, str, int]:
    """(first bytes in UTF-8, whether they are the whole file, the encoding, the length of the byte order mark)."""
    encoding = encoding_of(file.head(HEAD_BYTES), options.format_options.get("encoding"), notes)
    with file.reading(), file.open() as raw:
        first = _filled(utf8(raw, encoding), HEAD_BYTES)
    mark = 3 if first.startswith(b"\xef\xbb\xbf") else 0
    return first[mark:], len(first) < HEAD_BYTES, encoding, mark


def _filled(stream: BinaryIO, count: int) -> bytes:
    parts = []
    while count > 0 and (part := stream.read(count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class Reader:
    """Parses a file into a spill."""

    def __init__(self, file: InputFile, options: ReadOptions, dialect: Dialect, notes: list[Note]) -> None:
        self._file, self._options, self._dialect, self._notes = file, options, dialect, notes
        wanted = options.columns if options.columns is not None else dialect.names
        if unknown := [name for name in wanted if name not in dialect.names]:
            raise ReadError(f"{file.name} has no column {some(unknown)}; it has {some(dialect.names)}")
        self._places = [dialect.names.index(name) for name in wanted]
        self._states = [ColumnState(name, Type.NOTHING) for name in wanted]
        self._force_types(options.format_options.get("types"))
        self._bad = BadRows(file.name, options.bad_rows)
        self._spill = Spill(options.spill, on_disk=not options.in_memory)
        self._block_bytes = FIRST_BYTES

    def _force_types(self, types: object) -> None:
        if types is None:
            return
        if not isinstance(types, dict) or not all(kind in TYPES for kind in types.values()):
            raise ReadError(f"types={types!r} is not a mapping of columns to {some(TYPES)}")
        if unknown := [name for name in types if name not in self._dialect.names]:
            raise ReadError(f"types: there is no column {some(unknown)}; there are {some(self._dialect.names)}")
        for state in self._states:
            if state.name in types:
                state.type, state.forced = TYPES[types[state.name]], True

    def scan(self) -> SpillScan:
        try:
            self._guess()
            while self._pass():
                self._spill.clear()
                self._bad.reset()
                for state in self._states:
                    state.missing, state.misfits, state.present = None, 0, 0
            bad_rows = self._bad.finish()
        except BaseException:
            self._spill.close()
            raise
        schema = pa.schema([(state.name, DICTIONARY if state.coded else ARROW[state.type]) for state in self._states])
        return SpillScan(self._spill, schema, [*self._notes, *bad_rows, *notes_of(self._states)])

    def _blocks(self, size: int) -> Iterator[TextBlock]:
        dialect = self._dialect
        with self._file.reading(), self._file.open() as raw:
            yield from blocks(
                utf8(raw, dialect.encoding),
                size,
                skip=dialect.skip,
                first_line=dialect.first_line,
                newline=dialect.newline,
                quote=dialect.quote,
                delimiter=dialect.delimiter,
                name=self._file.name,
            )

    def _guess(self) -> None:
        """Choose the types by the first block, and the size of blocks by its rows."""
        first = next(self._blocks(FIRST_BYTES), None)
        if first is None:
            return
        texts = self._texts(first, frozenset())
        if not texts.rows:
            return
        largest = min(MAX_BYTES, MAX_BYTES_AT_ONCE // (cores() + 1))
        self._block_bytes = max(MIN_BYTES, min(largest, len(first.data) * BATCH_ROWS // texts.rows))
        cells = self._dialect.cells
        for state, column in zip(self._states, texts.columns, strict=True):
            if not state.forced:
                state.type = guess(column, cells, TOLERANCE if self._bad.skipping else 0.0)
                if state.type is Type.TEXT:
                    self._notes += text_notes(state, column, cells)
            if state.type is Type.TEXT:
                state.coded = 2 * pc.count_distinct(column).as_py() <= texts.rows

    def _pass(self) -> bool:
        """Read the whole file. Whether it must be read again, since a column turned out to be text."""
        reread = False
        limit = self._options.rows
        for block, texts, columns in self._converted():
            reread |= self._store(block, texts, columns)
            if limit is not None and self._spill.rows >= limit:
                break
        for state in self._states:
            if state.misfits > TOLERANCE * (state.misfits + state.present) and not state.forced:
                self._notes.append(
                    Note(
                        f"{state.misfits:,} values, such as {state.example!r}, are no {state.type}: read as text.",
                        state.name,
                    )
                )
                state.type, reread = Type.TEXT, True
        return reread

    def _converted(self) -> Iterator[tuple[TextBlock, TextColumns, list[Converted]]]:
        """Blocks as typed columns, in order; several are parsed at a time."""
        coded = frozenset(place for place, state in zip(self._places, self._states, strict=True) if state.coded)
        cells = self._dialect.cells

        def work(item: tuple[TextBlock, list[Type]]) -> tuple[TextBlock, TextColumns, list[Converted]]:
            block, types = item
            try:
                texts = self._texts(block, coded)
            except ReadError as error:
                raise ReadError(f"{self._file.name}, from line {block.first_line} on: {error}") from None
            pairs = zip(texts.columns, types, strict=True)
            return block, texts, [convert(column, kind, cells) for column, kind in pairs]

        size = self._block_bytes if self._options.rows is None else FIRST_BYTES
        # Each block is converted to the types that are known when its turn comes.
        return map_in_order(((block, [state.type for state in self._states]) for block in self._blocks(size)), work)

    def _texts(self, block: TextBlock, coded: frozenset[int]) -> TextColumns:
        return parse_block(block, self._dialect, self._places, coded)

    def _store(self, block: TextBlock, texts: TextColumns, columns: list[Converted]) -> bool:
        """Put a block's rows into the spill. Whether the file must be read again."""
        self._bad.add(texts.bad)
        keep = np.ones(texts.rows, dtype=bool)
        reread = False
        for place, state in enumerate(self._states):
            found = columns[place]
            if found.misfits is not None and self._is_bad(state, found):
                self._refuse(block, state, texts.columns[place], found, keep)
            elif not lossless(found.type, wider(state.type, found.needed)) or found.misfits is not None:
                reread |= self._widen(state, found, texts.columns[place])
                columns[place] = convert(texts.columns[place], state.type, self._dialect.cells)
            state.missing = (state.missing or Counter()) + columns[place].missing
        arrays = [self._checked(state, found) for state, found in zip(self._states, columns, strict=True)]
        if arrays:
            batch = pa.RecordBatch.from_arrays(arrays, [state.name for state in self._states])
            batch = batch if keep.all() else batch.filter(pa.array(keep))
            wanted = batch.num_rows if self._options.rows is None else self._options.rows - self._spill.rows
            if batch.num_rows:
                self._spill.add(batch.slice(0, wanted))
        return reread

    def _is_bad(self, state: ColumnState, found: Converted) -> bool:
        """Whether misfits are rows to leave out, rather than a reason for another type."""
        if state.forced:
            return True
        return self._bad.skipping and not lossless(state.type, found.needed)

    def _refuse(self, block: TextBlock, state: ColumnState, texts: pa.Array, found: Converted, keep: Any) -> None:
        assert found.misfits is not None
        places = np.flatnonzero(found.misfits)
        state.misfits += len(places)
        state.example = state.example or str(texts[int(places[0])])
        new = places[keep[places]]
        keep[places] = False
        reason = f"column {state.name!r} holds no {state.type}"
        if self._bad.needs_text:
            rows = raw_rows(block, self._dialect, new.tolist(), reason)
            rows += [BadRow(0, reason, str(texts[int(place)])) for place in new[len(rows) :]]
        else:
            rows = [BadRow(0, reason, "")] * len(new)
        self._bad.add(rows)

    def _widen(self, state: ColumnState, found: Converted, texts: pa.Array) -> bool:
        """Widen a column's type. Whether the values that were read before must be read again."""
        old, new = state.type, wider(state.type, found.needed)
        state.type = new
        if lossless(old, new):
            return False
        example = "" if found.misfits is None else str(texts[int(np.flatnonzero(found.misfits)[0])])
        where = f"after {self._spill.rows:,} rows" if self._spill.rows else "soon"
        self._notes.append(
            Note(f"It begins as {old}, but {where} holds {example[:40]!r}: it was read as {new}.", state.name)
        )
        return True

    def _checked(self, state: ColumnState, found: Converted) -> pa.Array:
        array = found.array
        state.present += len(array) - array.null_count
        if state.type is Type.INTEGER and len(array) and not state.inexact:
            ends = pc.min_max(array).as_py()
            state.inexact = max(abs(ends["min"] or 0), abs(ends["max"] or 0)) > 2**53
        return array
