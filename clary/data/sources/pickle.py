"""Pickles: refused unless the caller trusts them, since reading a pickle runs the code that it names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from clary.data.errors import ReadError
from clary.data.frames import arrow_of_pandas
from clary.data.notes import Note
from clary.data.scans import FrameScan, Scan
from clary.data.sources.arrays import table_of_array
from clary.data.sources.input_file import InputFile
from clary.data.sources.read_options import ReadOptions
from clary.data.sources.values import columns_of, table_of

OPTIONS: frozenset[str] = frozenset()


def scan(file: InputFile, options: ReadOptions) -> Scan:
    """Raises ReadError, before anything is unpickled, where the caller did not allow it."""
    if not options.allow_pickle:
        raise ReadError(
            f"{file.name} is a pickle, and unpickling runs whatever code the file names; "
            "pass allow_pickle=True only if you trust whoever made it"
        )
    import pickle

    notes = [Note("The file was read whole; unpickling it ran the code that it names.")]
    with file.reading(), file.open() as stream:
        data = stream.read()
    try:
        found = pickle.loads(data)  # noqa: S301 (allowed by the caller)
    except Exception as error:  # a __reduce__ may raise anything
        raise ReadError(f"{file.name} cannot be unpickled: {type(error).__name__}: {error}") from None
    return FrameScan(_table(found, file, notes), notes)


def _table(found: Any, file: InputFile, notes: list[Note]) -> pa.Table:
    import pandas as pd

    if isinstance(found, pd.Series):
        found = found.to_frame(str(found.name) if found.name is not None else "column_1")
    if isinstance(found, pd.DataFrame):
        if not isinstance(found.index, pd.RangeIndex):
            found = found.reset_index()
            notes.append(Note("The index became columns in front."))
        table, more = arrow_of_pandas(found)
        notes += more
        return table
    if isinstance(found, pa.Table):
        return found
    if isinstance(found, np.ndarray):
        return table_of_array(found, file.name, notes)
    if isinstance(found, list) and found and all(isinstance(item, dict) for item in found):
        return table_of(columns_of(found), notes)
    if isinstance(found, dict) and _are_columns(list(found.values())):
        return table_of({str(name): list(values) for name, values in found.items()}, notes)
    raise ReadError(f"{file.name} holds a {type(found).__name__}, which is not a table")


def _are_columns(values: list[Any]) -> bool:
    return all(isinstance(item, (list, np.ndarray)) for item in values) and len({len(item) for item in values}) == 1
