"""What is known of a delimited file's columns while it is read, and what people are told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clary.data.notes import Note
from clary.data.sources.cells import ZEROS, Cells, Type
from clary.data.sources.infer import convert


@dataclass
class State:
    """What is known of a column so far."""

    name: str
    type: Type
    coded: bool = False
    forced: bool = False
    missing: Counter[str] | None = None
    misfits: int = 0
    present: int = 0
    example: str = ""  # of a word that made it wider
    beyond: bool = False  # whole numbers that no float holds exactly


def why_text(state: State, words: pa.Array, cells: Cells) -> list[Note]:
    """Where a person may have expected numbers."""
    present = convert(words, Type.TEXT, cells).array.drop_null()
    zeros = pc.match_substring_regex(cells.number_words(present), ZEROS)
    numbers = np.asarray(pc.fill_null(convert(present, Type.NUMBER, cells).array.is_valid(), False))
    found = pc.sum(zeros).as_py() or 0
    if found and found + int(numbers.sum()) == len(present):
        one = present.filter(zeros)[0].as_py()
        return [Note(f"Words such as {one!r} begin with zeros: it was read as text.", state.name)]
    if numbers.any():
        other = present.filter(pa.array(~numbers))[0].as_py()
        share = int(numbers.sum()) / len(present)
        told = f"It mixes numbers ({share:.0%} of the first {len(present)} words) with words such as {other[:40]!r}"
        return [Note(f"{told}: it was read as text.", state.name)]
    return []


def told_of(states: Sequence[State]) -> list[Note]:
    """What there is to tell once all rows were read."""
    notes = []
    for state in states:
        met = state.missing or Counter()
        if met:
            marks = ", ".join(
                f"{mark!r} {count:,} {'time' if count == 1 else 'times'}" for mark, count in met.most_common()
            )
            notes.append(Note(f"Read as missing: {marks}.", state.name, met.total()))
        if state.beyond and state.type is Type.NUMBER:
            notes.append(Note("Some whole numbers have more digits than a float holds, and were rounded.", state.name))
        if state.type is Type.ZONED:
            notes.append(Note("Times have zones; they were turned into UTC.", state.name))
    return notes
