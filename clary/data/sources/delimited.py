"""CSV and its kin: parsed once, block by block on all cores, and spilled as typed columns.

    bytes ──> blocks of whole rows ──> words ──> typed columns ──> spill
The types are guessed from the first block and widened where a later one asks for it. Where what was read already would
lose by that (a number as it was written, once its column turns out to be text), the file is read once more.
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
from clary.data.sources.column_state import State, told_of, why_text
from clary.data.sources.dialect import Dialect, sniff
from clary.data.sources.encoding import HEAD_BYTES, encoding_of
from clary.data.sources.infer import Converted, convert, guess
from clary.data.sources.input_file import InputFile
from clary.data.sources.parallel import map_in_order
from clary.data.sources.parse import Words, raw_rows, words_of
from clary.data.sources.read_options import ReadOptions
from clary.data.sources.spill import DICTIONARY, Spill, SpillScan

OPTIONS = frozenset(
    {"delimiter", "quote", "escape", "header", "names", "encoding", "skip"}
    | {"decimal", "thousands", "currency", "missing", "trim", "types"}
)
FIRST_BYTES = 1 << 20
LEAST_BYTES, MOST_BYTES = 1 << 18, 8 << 20
# Of all blocks that are worked on at a time, however many cores there are; parsed they take a few times as much.
MOST_BYTES_AT_ONCE = 48 << 20
# A column that but few words do not fit is of that type still, where the caller wants bad rows left out.
TOLERANCE = 0.01
TYPES = {
    "integer": Type.INTEGER,
    "number": Type.NUMBER,
    "boolean": Type.BOOLEAN,
    "time": Type.TIME,
    "text": Type.TEXT,
}


def scan(file: InputFile, options: ReadOptions) -> Scan:
    """What is not said is told by the file's first 256 KiB, and noted where it may be wrong.

    delimiter, quote, escape, encoding   quote="" where quotes mean nothing
    header, names  whether the first row names the columns; names: of the columns, in place of those
    skip           lines that are passed over first
    decimal, thousands, currency         marks of numbers; only the decimal mark is sniffed
    missing        the words that stand for a missing value, instead of infer.MISSING
    trim           whether blanks around words are left out
    types          {column: "number", "integer", "boolean", "time" or "text"}: a word that does not fit is a bad row
    Raises         ReadError.
    """
    notes: list[Note] = []
    head, whole, encoding, mark = opening(file, options, notes)
    dialect = sniff(head, whole, options.format_options, file.name, notes)
    dialect = replace(dialect, encoding=encoding, skip=dialect.skip + mark)
    if not dialect.names:
        raise ReadError(f"{file.name} is empty: it has neither columns nor rows")
    return Reader(file, options, dialect, notes).scan()


def opening(file: InputFile, options: ReadOptions, notes: list[Note]) -> tuple[bytes, bool, str, int]:
    """(first bytes in UTF-8, whether there are no more, the encoding, how long the byte order mark before them is)."""
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
    """One file on its way into a spill."""

    def __init__(self, file: InputFile, options: ReadOptions, dialect: Dialect, notes: list[Note]) -> None:
        self._file, self._options, self._dialect, self._notes = file, options, dialect, notes
        wanted = options.columns if options.columns is not None else dialect.names
        if gone := [name for name in wanted if name not in dialect.names]:
            raise ReadError(f"{file.name} has no column {some(gone)}; it has {some(dialect.names)}")
        self._places = [dialect.names.index(name) for name in wanted]
        self._states = [State(name, Type.NOTHING) for name in wanted]
        self._force(options.format_options.get("types"))
        self._bad = BadRows(file.name, options.bad_rows)
        self._spill = Spill(options.spill, on_disk=not options.in_memory)
        self._block_bytes = FIRST_BYTES

    def _force(self, types: object) -> None:
        if types is None:
            return
        if not isinstance(types, dict) or not all(kind in TYPES for kind in types.values()):
            raise ReadError(f"types={types!r} is not a mapping of columns to {some(TYPES)}")
        if gone := [name for name in types if name not in self._dialect.names]:
            raise ReadError(f"types: there is no column {some(gone)}; there are {some(self._dialect.names)}")
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
            told = self._bad.finish()
        except BaseException:
            self._spill.close()
            raise
        schema = pa.schema([(state.name, DICTIONARY if state.coded else ARROW[state.type]) for state in self._states])
        return SpillScan(self._spill, schema, [*self._notes, *told, *told_of(self._states)])

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
        """The types that the first block asks for, and how large blocks should be."""
        first = next(self._blocks(FIRST_BYTES), None)
        if first is None:
            return
        words = self._words(first, frozenset())
        if not words.rows:
            return
        most = min(MOST_BYTES, MOST_BYTES_AT_ONCE // (cores() + 1))
        self._block_bytes = max(LEAST_BYTES, min(most, len(first.data) * BATCH_ROWS // words.rows))
        cells = self._dialect.cells
        for state, column in zip(self._states, words.columns, strict=True):
            if not state.forced:
                state.type = guess(column, cells, TOLERANCE if self._bad.skipping else 0.0)
                if state.type is Type.TEXT:
                    self._notes += why_text(state, column, cells)
            if state.type is Type.TEXT:
                state.coded = 2 * pc.count_distinct(column).as_py() <= words.rows

    def _pass(self) -> bool:
        """Over the whole file. Whether it must be read once more, since a column is text after all."""
        again = False
        most = self._options.rows
        for block, words, columns in self._worked():
            again |= self._settle(block, words, columns)
            if most is not None and self._spill.rows >= most:
                break
        for state in self._states:
            if state.misfits > TOLERANCE * (state.misfits + state.present) and not state.forced:
                self._notes.append(
                    Note(
                        f"{state.misfits:,} words, such as {state.example!r}, are no {state.type}: read as text.",
                        state.name,
                    )
                )
                state.type, again = Type.TEXT, True
        return again

    def _worked(self) -> Iterator[tuple[TextBlock, Words, list[Converted]]]:
        """Blocks as typed columns, in order; a few are worked on at a time."""
        coded = frozenset(place for place, state in zip(self._places, self._states, strict=True) if state.coded)
        cells = self._dialect.cells

        def work(item: tuple[TextBlock, list[Type]]) -> tuple[TextBlock, Words, list[Converted]]:
            block, types = item
            try:
                words = self._words(block, coded)
            except ReadError as error:
                raise ReadError(f"{self._file.name}, from line {block.first_line} on: {error}") from None
            pairs = zip(words.columns, types, strict=True)
            return block, words, [convert(column, kind, cells) for column, kind in pairs]

        size = self._block_bytes if self._options.rows is None else FIRST_BYTES
        # Each block is worked on by the types that are known when it is taken up.
        return map_in_order(((block, [state.type for state in self._states]) for block in self._blocks(size)), work)

    def _words(self, block: TextBlock, coded: frozenset[int]) -> Words:
        return words_of(block, self._dialect, self._places, coded)

    def _settle(self, block: TextBlock, words: Words, columns: list[Converted]) -> bool:
        """Put a block's rows into the spill. Whether the file must be read once more."""
        self._bad.add(words.bad)
        keep = np.ones(words.rows, dtype=bool)
        again = False
        for place, state in enumerate(self._states):
            found = columns[place]
            if found.misfits is not None and self._is_bad(state, found):
                self._refuse(block, state, words.columns[place], found, keep)
            elif not lossless(found.type, wider(state.type, found.needed)) or found.misfits is not None:
                again |= self._widen(state, found, words.columns[place])
                columns[place] = convert(words.columns[place], state.type, self._dialect.cells)
            state.missing = (state.missing or Counter()) + columns[place].missing
        arrays = [self._kept(state, found) for state, found in zip(self._states, columns, strict=True)]
        if arrays:
            batch = pa.RecordBatch.from_arrays(arrays, [state.name for state in self._states])
            batch = batch if keep.all() else batch.filter(pa.array(keep))
            left = batch.num_rows if self._options.rows is None else self._options.rows - self._spill.rows
            if batch.num_rows:
                self._spill.add(batch.slice(0, left))
        return again

    def _is_bad(self, state: State, found: Converted) -> bool:
        """Whether misfits are rows to leave out, rather than a reason for another type."""
        if state.forced:
            return True
        return self._bad.skipping and not lossless(state.type, found.needed)

    def _refuse(self, block: TextBlock, state: State, words: pa.Array, found: Converted, keep: Any) -> None:
        assert found.misfits is not None
        places = np.flatnonzero(found.misfits)
        state.misfits += len(places)
        state.example = state.example or str(words[int(places[0])])
        new = places[keep[places]]
        keep[places] = False
        reason = f"column {state.name!r} holds no {state.type}"
        if self._bad.needs_text:
            rows = raw_rows(block, self._dialect, new.tolist(), reason)
            rows += [BadRow(0, reason, str(words[int(place)])) for place in new[len(rows) :]]
        else:
            rows = [BadRow(0, reason, "")] * len(new)
        self._bad.add(rows)

    def _widen(self, state: State, found: Converted, words: pa.Array) -> bool:
        """Whether what was read before must be read again."""
        old, new = state.type, wider(state.type, found.needed)
        state.type = new
        if lossless(old, new):
            return False
        example = "" if found.misfits is None else str(words[int(np.flatnonzero(found.misfits)[0])])
        behind = f"behind {self._spill.rows:,} rows" if self._spill.rows else "soon"
        self._notes.append(
            Note(f"It begins as {old}, but {behind} holds {example[:40]!r}: it was read as {new}.", state.name)
        )
        return True

    def _kept(self, state: State, found: Converted) -> pa.Array:
        array = found.array
        state.present += len(array) - array.null_count
        if state.type is Type.INTEGER and len(array) and not state.beyond:
            ends = pc.min_max(array).as_py()
            state.beyond = max(abs(ends["min"] or 0), abs(ends["max"] or 0)) > 2**53
        return array
