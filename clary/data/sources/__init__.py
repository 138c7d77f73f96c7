"""Read anything: a file, a folder, objects in S3, a database, as a DataFrame or as a scan of bounded memory.

source ──locate──> files ──unpack──> bytes ──formats──> a reader ──> Scan ──> DataFrame
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.data.errors import ReadError
from clary.data.notes import Note
from clary.data.scans import Scan
from clary.data.sources.files import check_options, scan_files
from clary.data.sources.formats import BY_NAME, named
from clary.data.sources.locate import Source, input_files
from clary.data.sources.read_options import ReadOptions
from clary.data.sources.unpack import unpacked
from clary.data.sources.wrappers import ScanWrapper, Selection, close

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Note", "read", "scan", "types"]


def read(
    source: Source | Sequence[Source],
    *,
    format: str | None = None,  # noqa: A002 (the name callers know)
    columns: Sequence[str] | None = None,
    rows: int | None = None,
    allow_pickle: bool = False,
    bad_rows: str | os.PathLike[str] = "error",
    **options: Any,
) -> pd.DataFrame:
    """A table as a DataFrame; what was guessed, renamed or left out is in its attrs["clary"], a list of Note.

    source    a path, a folder, a glob, file:// or s3://, or a list of such: files that are one table; or the URL of a
              database, as SQLAlchemy takes it
    format    one of formats.BY_NAME; by default the file's name decides, else its first bytes
    columns   these only, in this order; rows: the first so many only
    bad_rows  "error", "skip", or the path of a CSV file to which rows are written that cannot be read
    options   of the format: e.g. delimiter=, sheet=, table=; see its module
    Raises    ReadError.
    """
    table = _scan(source, format, _options(columns, rows, allow_pickle, bad_rows, None, True, options))
    try:
        from clary.data.sources.frame import frame_of

        return frame_of(table)
    finally:
        close(table)


def scan(
    source: Source | Sequence[Source],
    *,
    format: str | None = None,  # noqa: A002
    columns: Sequence[str] | None = None,
    rows: int | None = None,
    allow_pickle: bool = False,
    bad_rows: str | os.PathLike[str] = "error",
    spill: str | os.PathLike[str] | None = None,
    **options: Any,
) -> ScanWrapper:
    """A table that is read in parts and batches, whatever its size. What `read` takes, and

    spill     the folder that formats which must be parsed (CSV, JSON Lines …) put their parsed rows in; the system's
              folder for temporary files by default. The rows are removed when the scan is dropped or closed:
              `with scan(...) as table:`
    Raises    ReadError.
    """
    table = _scan(source, format, _options(columns, rows, allow_pickle, bad_rows, spill, False, options))
    return table if isinstance(table, ScanWrapper) else Selection(table, None, None)


def types(data: Any) -> pd.DataFrame:
    """The types of a table's columns: a row for each, with `column`, `type` (Arrow's) and `kind` (Clary's)."""
    import pandas as pd

    from clary.data.batch import kind_of_arrow
    from clary.data.scans import scan_of

    schema = scan_of(data).arrow_schema
    rows = [(field.name, str(field.type), str(kind_of_arrow(field.type))) for field in schema]
    return pd.DataFrame(rows, columns=["column", "type", "kind"])


def _options(
    columns: Sequence[str] | None,
    rows: int | None,
    allow_pickle: bool,
    bad_rows: str | os.PathLike[str],
    spill: str | os.PathLike[str] | None,
    in_memory: bool,
    format_options: dict[str, Any],
) -> ReadOptions:
    if columns is not None:
        if isinstance(columns, str) or not all(isinstance(name, str) for name in columns):
            raise ReadError(f"columns={columns!r} is not a list of names")
        if len(set(columns)) < len(columns):
            raise ReadError(f"columns={list(columns)!r} names a column twice")
    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 0):
        raise ReadError(f"rows={rows!r} is not a number of rows")
    if not isinstance(bad_rows, (str, os.PathLike)) or not os.fspath(bad_rows):
        raise ReadError(f'bad_rows={bad_rows!r} is neither "error" nor "skip" nor the path of a file')
    if spill is not None and not Path(spill).is_dir():
        raise ReadError(f"spill={os.fspath(spill)!r} is not a folder")
    return ReadOptions(
        columns=None if columns is None else tuple(columns),
        rows=rows,
        bad_rows=os.fspath(bad_rows),
        allow_pickle=allow_pickle,
        spill=None if spill is None else os.fspath(spill),
        in_memory=in_memory,
        format_options=format_options,
    )


def _scan(source: Source | Sequence[Source], format_name: str | None, options: ReadOptions) -> Scan:
    if _is_database(source, format_name):
        from clary.data.sources import sql

        check_options(BY_NAME["sqlite"], options)
        return Selection(sql.scan_url(str(source), options), options.columns, options.rows)
    format_options = dict(options.format_options)
    member = format_options.pop("member", None)
    if member is not None and not isinstance(member, str):
        raise ReadError(f"member={member!r} is not a name")
    files = [unpacked(file, member) for file in input_files(source)]
    chosen = named(format_name) if format_name is not None else None
    return scan_files(files, chosen, replace(options, format_options=format_options))


def _is_database(source: object, format_name: str | None) -> bool:
    """Whether it is a URL as SQLAlchemy takes it: postgresql+psycopg://…, sqlite:///…"""
    if format_name not in (None, "sql", "sqlite") or not isinstance(source, str) or "://" not in source:
        return False
    return source.split("://")[0].split("+")[0] not in ("file", "s3", "http", "https", "ftp")
