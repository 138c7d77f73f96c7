"""What is known of a delimited file's columns while it is read, and the notes about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clary.data.notes import Note
from clary.data.sources.cells import ZEROS, Cells, Type, frequencies
from clary.data.sources.infer import convert


@dataclass
class ColumnState:
    """What is known of a column so far."""

    name: str
    type: Type
    coded: bool = False
    forced: bool = False
    missing: Counter[str] | None = None
    misfits: int = 0
    present: int = 0
    example: str = ""  # of a text that does not fit
    inexact: bool = False  # holds whole numbers that no float holds exactly


def text_notes(state: ColumnState, texts: pa.Array, cells: Cells) -> list[Note]:
    """A note where the caller may have expected numbers."""
    present = convert(texts, Type.TEXT, cells).array.drop_null()
    zeros = pc.match_substring_regex(cells.number_texts(present), ZEROS)
    numbers = np.asarray(pc.fill_null(convert(present, Type.NUMBER, cells).array.is_valid(), False))
    zero_count = pc.sum(zeros).as_py() or 0
    if zero_count and zero_count + int(numbers.sum()) == len(present):
        example = present.filter(zeros)[0].as_py()
        return [Note(f"Values such as {example!r} begin with zeros: it was read as text.", state.name)]
    if numbers.any():
        example = present.filter(pa.array(~numbers))[0].as_py()
        share = int(numbers.sum()) / len(present)
        mixture = (
            f"It mixes numbers ({share:.0%} of the first {len(present)} values) with text such as {example[:40]!r}"
        )
        return [Note(f"{mixture}: it was read as text.", state.name)]
    return []


def notes_of(states: Sequence[ColumnState]) -> list[Note]:
    """The notes once all rows are read."""
    notes = []
    for state in states:
        if state.missing:
            notes.append(Note(f"Read as missing: {frequencies(state.missing)}.", state.name, state.missing.total()))
        if state.inexact and state.type is Type.NUMBER:
            notes.append(Note("Some whole numbers have more digits than a float holds, and were rounded.", state.name))
        if state.type is Type.ZONED:
            notes.append(Note("Times have zones; they were converted to UTC.", state.name))
    return notes
