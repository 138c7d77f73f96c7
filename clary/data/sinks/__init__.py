"""Write features: CSV as SageMaker reads it, Parquet, libsvm, RecordIO, Feather, JSON Lines; in one or several files.

Batch ──> columns (each of one type in all batches) ──> shards ──> open files ──> renamed once all are complete
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, cast

import pyarrow as pa

from clary.data.batch import Batch
from clary.data.errors import DataError
from clary.data.scans import Scan, each_batch, scan_of
from clary.data.sinks.columns import Columns
from clary.data.sinks.files import files_at
from clary.data.sinks.formats import format_for
from clary.data.sinks.sharded import ShardedSink

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Sink", "sink", "write"]


class Sink(Protocol):
    """Takes batches. Its files appear when `close` has returned, not before, and not after `abort`."""

    def write(self, batch: Batch) -> None:
        """Raises DataError for columns that differ from those of earlier batches, or do not fit the format."""
        ...

    def close(self) -> Sequence[str]:
        """The paths or URIs of the files, in order. Raises DataError, and then leaves no file behind."""
        ...

    def abort(self) -> None:
        """Remove everything. May be called at any time, and repeatedly."""
        ...


def sink(
    target: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 (the name callers know)
    label: str | None = None,
    header: bool = True,
    delimiter: str = ",",
    rows_per_file: int | None = None,
    shards: int | None = None,
    schema: pa.Schema | None = None,
) -> Sink:
    """A sink for batches.

    target         a path or s3:// URI: of a file; or, with rows_per_file or shards, of a folder of part-00000.csv …
    format         csv, parquet, libsvm, recordio, feather or jsonl; by default according to the target's ending
    label          the label's column: first in CSV, separate in libsvm (which requires it) and recordio
    header         of CSV: whether a first line names the columns. Otherwise booleans are 1 and 0, as algorithms want
    rows_per_file  the number of rows after which a new file begins
    shards         the number of files over which rows are distributed; their order is kept within each
    schema         the columns' Arrow types, where they are known: integers stay integers if values are missing in a
                   batch, and a table without rows has its columns
    Raises         DataError for options that do not fit together.
    """
    name = os.fspath(target)
    file_format = format_for(format, name, label, header, delimiter)
    for option, value in (("rows_per_file", rows_per_file), ("shards", shards)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise DataError(f"{option}={value!r} is not a number of at least 1")
    if rows_per_file is not None and shards is not None:
        raise DataError("rows_per_file and shards exclude each other: choose one")
    files = files_at(name, file_format.ending, many=rows_per_file is not None or shards is not None)
    return ShardedSink(files, file_format, Columns(schema, label), rows_per_file, shards or 1)


def write(
    data: pd.DataFrame | pa.Table | Scan | Iterable[Batch],
    target: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002
    label: str | None = None,
    header: bool = True,
    delimiter: str = ",",
    rows_per_file: int | None = None,
    shards: int | None = None,
) -> list[str]:
    """Write a table, or an iterable of batches; the paths or URIs of its files. All files are written, or none.

    Options are those of `sink`. A DataFrame's index is left out. Raises DataError.
    """
    if isinstance(data, Iterable) and not hasattr(data, "columns") and not hasattr(data, "parts"):
        batches: Iterable[Batch] = cast("Iterable[Batch]", data)
        schema = None
    else:
        scan = scan_of(data)
        schema = scan.arrow_schema
        batches = each_batch(scan, schema.names, lambda batch: batch)
    writer = sink(
        target,
        format=format,
        label=label,
        header=header,
        delimiter=delimiter,
        rows_per_file=rows_per_file,
        shards=shards,
        schema=schema,
    )
    try:
        for batch in batches:
            writer.write(batch)
        return list(writer.close())
    except BaseException:
        writer.abort()
        raise
