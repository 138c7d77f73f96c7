"""HDF5: a dataset by h5py; and DataFrames that pandas wrote, in so far as they hold no pickles."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from clary.data.batch import some
from clary.data.errors import ReadError
from clary.data.frames import distinct_names
from clary.data.notes import Note
from clary.data.scans import FrameScan, Scan
from clary.data.sources.arrays import table_of_array
from clary.data.sources.input_file import InputFile
from clary.data.sources.read_options import ReadOptions

OPTIONS = frozenset({"key"})


def scan(file: InputFile, options: ReadOptions) -> Scan:
    """key  the dataset, or the group that pandas wrote, by its path in the file; not needed where there is only one.

    Raises ReadError.
    """
    try:
        import h5py
    except ImportError:
        raise ReadError("reading HDF5 needs the package h5py: pip install 'clary[data]'") from None
    notes = [Note("The dataset was read whole.")]
    with file.reading_as("HDF5"), file.seekable() as stream, h5py.File(stream, "r") as archive:
        found = _chosen(archive, options.format_options.get("key"), file, h5py)
        if isinstance(found, h5py.Group):
            return FrameScan(_pandas_table(found, file, notes), notes)
        return FrameScan(table_of_array(_values(found, h5py), file.name, notes, _names(found)), notes)


def _chosen(archive: Any, key: object, file: InputFile, h5py: Any) -> Any:
    tables: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        inner = any(name.startswith(f"{above}/") for above, other in tables.items() if isinstance(other, h5py.Group))
        if not inner and (isinstance(item, h5py.Dataset) or "pandas_type" in item.attrs):
            tables[name] = item

    archive.visititems(visit)
    if key is None:
        if len(tables) != 1:
            raise ReadError(f"{file.name} has {len(tables)} datasets: choose one by key=: {some(tables)}")
        return next(iter(tables.values()))
    found = archive.get(str(key))
    if found is None or (isinstance(found, h5py.Group) and "pandas_type" not in found.attrs):
        raise ReadError(f"{file.name} has no dataset {key!r}; it has {some(tables)}")
    return found


def _values(dataset: Any, h5py: Any) -> Any:
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return dataset.asstr()[...]
    return dataset[...]


def _names(dataset: Any) -> list[str] | None:
    """Column names that came with a matrix, where an attribute holds as many as it has columns."""
    for attribute in ("columns", "column_names", "names"):
        found = dataset.attrs.get(attribute)
        if found is not None and dataset.ndim == 2 and np.shape(found) == (dataset.shape[1],):
            return distinct_names(_texts(found))
    return None


def _texts(values: Any) -> list[str]:
    return [item.decode() if isinstance(item, bytes) else str(item) for item in np.asarray(values).tolist()]


def _pandas_table(group: Any, file: InputFile, notes: list[Note]) -> pa.Table:
    kind = _texts([group.attrs["pandas_type"]])[0]
    notes.append(Note("pandas wrote it; the index was left out."))
    if kind == "frame" and "axis0" in group:
        return _fixed(group, file)
    if kind in ("frame_table", "appendable_frame") and "table" in group:
        return _table(group, file)
    raise ReadError(f"{file.name}: {group.name} is pandas' {kind!r}; read it by pandas.read_hdf and pass the DataFrame")


def _fixed(group: Any, file: InputFile) -> pa.Table:
    """pandas' format 'fixed': blocks of columns of one type."""
    columns: dict[str, Any] = {}
    for place in range(int(group.attrs["nblocks"])):
        values = group[f"block{place}_values"]
        if values.dtype.kind == "O" or "value_type" in values.attrs:
            _refuse(group, file)
        matrix = np.atleast_2d(values[...])
        for index, name in enumerate(_texts(group[f"block{place}_items"][...])):
            columns[name] = matrix[:, index]
    names = [name for name in _texts(group["axis0"][...]) if name in columns]
    tables = [table_of_array(columns[name], file.name, [], [name]) for name in names]
    return pa.table([table.column(0) for table in tables], names=names)


def _table(group: Any, file: InputFile) -> pa.Table:
    """pandas' format 'table': a structured array, in which several columns may share a field."""
    dataset = group["table"]
    rows = dataset[...]
    names: list[str] = []
    columns: list[Any] = []
    for field in rows.dtype.names:
        if field == "index":
            continue
        inner = rows[field] if rows[field].ndim == 2 else rows[field][:, None]
        kinds = dataset.attrs.get(f"{field}_kind")
        items = _unpickled_list(kinds) if kinds is not None else None
        items = items if items is not None and len(items) == inner.shape[1] else None
        if items is None and inner.shape[1] > 1:
            _refuse(group, file)
        names += items or [field]
        columns += list(inner.T)
    tables = [table_of_array(column, file.name, [], [name]) for name, column in zip(names, columns, strict=True)]
    return pa.table([table.column(0) for table in tables], names=distinct_names(names))


class _ListUnpickler(pickle.Unpickler):
    """Unpickles lists of strings, and refuses to import anything."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name}")


def _unpickled_list(data: Any) -> list[str] | None:
    raw = data if isinstance(data, bytes) else bytes(np.asarray(data).tobytes())
    try:
        found = _ListUnpickler(io.BytesIO(raw)).load()
    except Exception:  # whatever a broken pickle raises
        return None
    return [str(item) for item in found] if isinstance(found, Sequence) and not isinstance(found, str) else None


def _refuse(group: Any, file: InputFile) -> None:
    raise ReadError(
        f"{file.name}: {group.name} holds pickled columns (text, in pandas' own layout), and unpickling runs code; "
        "read it by pandas.read_hdf where you trust it, and pass the DataFrame"
    )
