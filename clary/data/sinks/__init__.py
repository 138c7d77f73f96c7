"""Write features: CSV as SageMaker reads it, Parquet, libsvm, RecordIO, Feather, JSON Lines; one file or many.

Batch ──> columns (one type each, throughout) ──> shards ──> a writer each ──> files, named once all are whole
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
    """Where batches go. What it writes is there once `close` has returned, and not before, nor after `abort`."""

    def write(self, batch: Batch) -> None:
        """Raises DataError for columns that are not those of the batches before, or have no form in the format."""
        ...

    def close(self) -> Sequence[str]:
        """The paths or URIs of what was written, in order. Raises DataError; nothing is left behind then."""
        ...

    def abort(self) -> None:
        """Leave nothing behind. May be called at any time, and twice."""
        ...


def sink(
    target: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 (the word callers know)
    label: str | None = None,
    header: bool = True,
    delimiter: str = ",",
    rows_per_file: int | None = None,
    shards: int | None = None,
    schema: pa.Schema | None = None,
) -> Sink:
    """Something to write batches to.

    target         a path or s3:// URI: of a file; or, with rows_per_file or shards, of a folder of part-00000.csv …
    format         csv, parquet, libsvm, recordio, feather or jsonl; by default what the target's name ends with
    label          the column that is the label: first in CSV, apart in libsvm (which must have one) and recordio
    header         of CSV: whether a first line names the columns. Without one, booleans are 1 and 0, as algorithms want
    rows_per_file  a new file begins when one has so many rows
    shards         rows are dealt out over so many files; their order holds within each
    schema         the columns' Arrow types, where they are known: integers stay integers if a batch has missing ones,
                   and a table without rows still has its columns
    Raises         DataError where this cannot be.
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
    """Write a table, or batches as they come; the paths or URIs of its files. All are written, or none.

    Options are those of `sink`. A DataFrame's index is left out. Raises DataError.
    """
    if isinstance(data, Iterable) and not hasattr(data, "columns") and not hasattr(data, "parts"):
        batches: Iterable[Batch] = cast("Iterable[Batch]", data)
        schema = None
    else:
        scan = scan_of(data)
        schema = scan.arrow_schema
        batches = each_batch(scan, schema.names, lambda batch: batch)
    made = sink(
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
            made.write(batch)
        return list(made.close())
    except BaseException:
        made.abort()
        raise
