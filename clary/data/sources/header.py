"""The names of a delimited file's columns: in its first row, given by the caller, or generated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from clary.data.errors import ReadError
from clary.data.frames import distinct_names
from clary.data.notes import Note
from clary.data.sources.cells import Cells, Type
from clary.data.sources.infer import guess

# The first rows: their fields, and where each ends in the text.
Sample = Sequence[tuple[list[str], int]]


def names_of(
    sample: Sample, options: Mapping[str, Any], cells: Cells, notes: list[Note], name: str
) -> tuple[tuple[str, ...], bool, int]:
    """(names, whether the first line holds them, number of fields in a row beyond the names)."""
    given = options.get("names")
    header = options.get("header")
    if header not in (None, True, False):
        raise ReadError(f"header={header!r} is neither True nor False; names= gives the columns' names")
    if given is not None and (isinstance(given, str) or not all(isinstance(item, str) for item in given)):
        raise ReadError(f"names={given!r} is not a list of texts")
    if not sample:
        return tuple(given or ()), False, 0
    first = sample[0][0]
    if header is None:
        header, sure = _is_header(sample, cells)
        header = header and (given is None or list(given) == first)
        if header and not sure:
            notes.append(Note("The first line was taken for names; give header=False if it is data."))
    width = len(first)
    widths = Counter(len(row) for row, _ in sample[1:])
    common = widths.most_common(1)[0][0] if widths else width
    if given is not None:
        if len(given) != (common if header else width):
            raise ReadError(f"{name}: names= has {len(given)} names, but the rows have {width} fields")
        return tuple(distinct_names(list(given))), bool(header), 0
    if not header:
        return tuple(f"column_{place}" for place in range(1, max(width, 1) + 1)), False, 0
    written, extra = [field.strip() for field in first], 0
    if common == width + 1 and len(widths) == 1:
        if all(not row[-1].strip() for row, _ in sample[1:]):
            extra = 1
            notes.append(Note("Each row ends with an additional delimiter: that empty field was left out."))
        else:
            written = ["index", *written]
            notes.append(Note("Rows have a field more than the header: the first was named 'index'.", "index"))
    return _distinct(written, notes), True, extra


def _distinct(written: Sequence[str], notes: list[Note]) -> tuple[str, ...]:
    names = distinct_names([name or f"column_{place}" for place, name in enumerate(written, 1)])
    for old, new in zip(written, names, strict=True):
        if old != new:
            reason = f"was {old!r}, which is there twice" if old else "was empty"
            notes.append(Note(f"The column's name {reason}; it is now {new!r}.", new))
    return tuple(names)


def _is_header(sample: Sample, cells: Cells) -> tuple[bool, bool]:
    """(whether the first row holds names, whether that is certain): it differs from the rows below.

    A first row of numbers is data, unless it alone is text in a column.
    """
    first = [field.strip() for field in sample[0][0]]
    types = [guess(pa.array([field], pa.string()), cells) for field in first]
    if len(sample) == 1:
        return all(kind in (Type.TEXT, Type.NOTHING) for kind in types), False
    columns = [guess(pa.array(fields, pa.string()), cells, 0.2) for fields in columns_of(sample[1:])]
    votes = 0
    for kind, below in zip(types, columns, strict=False):
        if below not in (Type.TEXT, Type.NOTHING):
            votes += 1 if kind is Type.TEXT else -1 if kind is not Type.NOTHING else 0
    if votes:
        return votes > 0, True
    if any(kind in (Type.INTEGER, Type.NUMBER, Type.TIME, Type.ZONED) for kind in types):
        return False, True
    # All text: names are distinct, and none is a value of its own column.
    names = [field for field in first if field]
    under = columns_of(sample[1:])
    return len(set(names)) == len(names) and not any(map(_within, first, under)), False


def _within(name: str, fields: Sequence[str]) -> bool:
    return name in fields


def columns_of(sample: Sample) -> list[list[str]]:
    width = max((len(row) for row, _ in sample), default=0)
    return [[row[place] for row, _ in sample if place < len(row)] for place in range(width)]
