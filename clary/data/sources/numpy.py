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
from clary.data.sources.how import How
from clary.data.sources.origin import Origin

OPTIONS = frozenset({"key"})


def scan(origin: Origin, how: How) -> Scan:
    """key  the array of an .npz; without it, vectors of one length are the columns of a table. Raises ReadError."""
    key = how.options.get("key")
    notes = [Note("The file was read whole.")]
    try:
        with origin.reading_as("NumPy"), origin.seekable() as stream:
            found = np.load(stream, allow_pickle=how.allow_pickle)
            if not isinstance(found, np.lib.npyio.NpzFile):
                return FrameScan(table_of_array(found, origin.name, notes), notes)
            with found:
                arrays = {name: found[name] for name in _wanted(found.files, key, origin)}
            return FrameScan(_of_several(arrays, origin, notes), notes)
    except ReadError as error:
        if "allow_pickle=False" not in str(error):
            raise
        raise ReadError(
            f"{origin.name} holds Python objects, and reading them runs code that the file names; "
            "pass allow_pickle=True if you trust whoever made it"
        ) from None


def _wanted(names: list[str], key: object, origin: Origin) -> list[str]:
    if key is None:
        return names
    if key not in names:
        raise ReadError(f"{origin.name} has no array {key!r}; it has {some(names)}")
    return [str(key)]


def _of_several(arrays: dict[str, Any], origin: Origin, notes: list[Note]) -> pa.Table:
    if len(arrays) == 1:
        (array,) = arrays.values()
        return table_of_array(array, origin.name, notes)
    if not arrays or any(one.ndim != 1 for one in arrays.values()) or len({len(one) for one in arrays.values()}) > 1:
        shapes = some(f"{name} {one.shape}" for name, one in arrays.items())
        raise ReadError(f"{origin.name} has several arrays: choose one by key=: {shapes}")
    tables = [table_of_array(array, origin.name, [], [name]) for name, array in arrays.items()]
    return pa.table([table.column(0) for table in tables], names=list(arrays))
