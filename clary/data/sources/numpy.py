"""NumPy's .npy and .npz."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from clary.data.batch import some
from clary.data.errors import ReadError
from clary.data.notes import Note
from clary.data.scans import FrameScan, Scan
from clary.data.sources.arrays import table_of_array
from clary.data.sources.input_file import InputFile
from clary.data.sources.read_options import ReadOptions

OPTIONS = frozenset({"key"})


def scan(file: InputFile, options: ReadOptions) -> Scan:
    """key  the array of an .npz; without it, vectors of the same length become columns. Raises ReadError."""
    key = options.format_options.get("key")
    notes = [Note("The file was read whole.")]
    try:
        with file.reading_as("NumPy"), file.seekable() as stream:
            found = np.load(stream, allow_pickle=options.allow_pickle)
            if not isinstance(found, np.lib.npyio.NpzFile):
                return FrameScan(table_of_array(found, file.name, notes), notes)
            with found:
                arrays = {name: found[name] for name in _wanted(found.files, key, file)}
            return FrameScan(_table_of_arrays(arrays, file, notes), notes)
    except ReadError as error:
        if "allow_pickle=False" not in str(error):
            raise
        raise ReadError(
            f"{file.name} holds Python objects, and reading them runs code that the file names; "
            "pass allow_pickle=True if you trust whoever made it"
        ) from None


def _wanted(names: list[str], key: object, file: InputFile) -> list[str]:
    if key is None:
        return names
    if key not in names:
        raise ReadError(f"{file.name} has no array {key!r}; it has {some(names)}")
    return [str(key)]


def _table_of_arrays(arrays: dict[str, Any], file: InputFile, notes: list[Note]) -> pa.Table:
    if len(arrays) == 1:
        (array,) = arrays.values()
        return table_of_array(array, file.name, notes)
    if (
        not arrays
        or any(array.ndim != 1 for array in arrays.values())
        or len({len(array) for array in arrays.values()}) > 1
    ):
        shapes = some(f"{name} {array.shape}" for name, array in arrays.items())
        raise ReadError(f"{file.name} has several arrays: choose one by key=: {shapes}")
    tables = [table_of_array(array, file.name, [], [name]) for name, array in arrays.items()]
    return pa.table([table.column(0) for table in tables], names=list(arrays))
