"""pandas DataFrames as Arrow tables, and column names that are distinct."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from clary.data.errors import DataError
from clary.data.notes import Note

if TYPE_CHECKING:
    import pandas as pd


def arrow_of_pandas(frame: pd.DataFrame) -> tuple[pa.Table, list[Note]]:
    """(table, notes): the columns of a DataFrame; its index is left out.

    A repeated name gets a number, as pandas' readers do ("a", "a.1"); a name that is not a string becomes a string; a
    column of mixed types becomes text; each is noted. Raises DataError for values that a table cannot hold.
    """
    import pandas as pd

    notes: list[Note] = []
    if isinstance(frame.columns, pd.MultiIndex):
        frame = frame.set_axis(["_".join(map(str, name)) for name in frame.columns], axis=1)
        notes.append(Note("The levels of the columns' names were joined by '_'."))
    names = distinct_names([str(name) for name in frame.columns])
    for old, new in zip(frame.columns, names, strict=True):
        if old != new:
            notes.append(Note(f"The column's name was {old!r}; it is now {new!r}.", new))
    arrays = []
    for place, name in enumerate(names):
        series = frame.iloc[:, place]
        if isinstance(series.dtype, pd.SparseDtype):
            series = pd.Series(series.to_numpy(), index=series.index)
        arrays.append(_array_of(series, name, notes))
    if not arrays:
        return pa.table({"": pa.nulls(len(frame))}).drop_columns([""]), notes
    return pa.Table.from_arrays(arrays, names=names), notes


def _array_of(series: pd.Series, name: str, notes: list[Note]) -> pa.Array:
    try:
        array = pa.Array.from_pandas(series)
        return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeError):
        pass
    present = series.notna()
    try:
        text = [str(value) if is_present else None for value, is_present in zip(series, present, strict=True)]
        array = pa.array(text, pa.string())
    except Exception as error:
        raise DataError(f"column {name!r} of {series.dtype} cannot be put in a table: {error}") from None
    types = sorted({type(value).__name__ for value, is_present in zip(series, present, strict=True) if is_present})
    notes.append(Note(f"The column mixes {', '.join(types)}; it was read as text.", name, int(present.sum())))
    return array


def distinct_names(names: Sequence[str]) -> list[str]:
    """The same names, with a number behind each that repeats an earlier name: a, a.1, a.2."""
    taken = set(names)
    seen: set[str] = set()
    distinct = []
    for name in names:
        new, number = name, 0
        while new in seen or (number and new in taken):
            number += 1
            new = f"{name}.{number}"
        seen.add(new)
        distinct.append(new)
    return distinct
