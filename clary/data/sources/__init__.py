"""Read anything: a file, a folder, objects in S3, a database, as a DataFrame or as a scan of bounded memory.

source ──places──> origins ──unpack──> bytes ──formats──> a reader ──> Scan ──> DataFrame
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.data.errors import ReadError
from clary.data.notes import Note
from clary.data.scans import Scan
from clary.data.sources.files import check_options, scan_files
from clary.data.sources.formats import BY_NAME, named
from clary.data.sources.how import How
from clary.data.sources.joined import Chosen, Wrapper, close
from clary.data.sources.places import Source, origins
from clary.data.sources.unpack import unpacked

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Note", "read", "scan", "types"]


def read(
    source: Source | Sequence[Source],
    *,
    format: str | None = None,  # noqa: A002 (the word callers know)
    columns: Sequence[str] | None = None,
    rows: int | None = None,
    allow_pickle: bool = False,
    bad_rows: str | os.PathLike[str] = "error",
    **options: Any,
) -> pd.DataFrame:
    """A table as a DataFrame; what was guessed, renamed or left out stands in its attrs["clary"], a list of Note.

    source    a path, a folder, a glob, file:// or s3://, or a list of such: files that are one table; or the URL of a
              database, as SQLAlchemy takes it
    format    one of formats.BY_NAME; by default the file's name tells it, else its first bytes
    columns   these only, in this order; rows: the first so many only
    bad_rows  "error", "skip", or the path of a CSV file that rows are written to which cannot be read
    options   of the format: e.g. delimiter=, sheet=, table=; see its module
    Raises    ReadError.
    """
    how = _how(columns, rows, allow_pickle, bad_rows, None, True, options)
    found = _scan(source, format, how)
    try:
        from clary.data.sources.frame import frame_of

        return frame_of(found)
    finally:
        close(found)


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
) -> Wrapper:
    """A table that is read in parts and batches, whatever its size. What `read` takes, and

    spill     the folder that formats which must be parsed (CSV, JSON Lines …) put their parsed rows in; the system's
              folder for temporary files by default. The rows are removed when the scan is dropped or closed:
              `with scan(...) as table:`
    Raises    ReadError.
    """
    found = _scan(source, format, _how(columns, rows, allow_pickle, bad_rows, spill, False, options))
    return found if isinstance(found, Wrapper) else Chosen(found, None, None)


def types(data: Any) -> pd.DataFrame:
    """What each column holds: a row for each, with `column`, `type` (Arrow's) and `kind` (Clary's)."""
    import pandas as pd

    from clary.data.batch import kind_of_arrow
    from clary.data.scans import scan_of

    schema = scan_of(data).arrow_schema
    told = [(one.name, str(one.type), str(kind_of_arrow(one.type))) for one in schema]
    return pd.DataFrame(told, columns=["column", "type", "kind"])


def _how(
    columns: Sequence[str] | None,
    rows: int | None,
    allow_pickle: bool,
    bad_rows: str | os.PathLike[str],
    spill: str | os.PathLike[str] | None,
    in_memory: bool,
    options: dict[str, Any],
) -> How:
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
        raise ReadError(f"spill={os.fspath(spill)!r} is no folder")
    return How(
        columns=None if columns is None else tuple(columns),
        rows=rows,
        bad_rows=os.fspath(bad_rows),
        allow_pickle=allow_pickle,
        spill=None if spill is None else os.fspath(spill),
        in_memory=in_memory,
        options=options,
    )


def _scan(source: Source | Sequence[Source], wanted: str | None, how: How) -> Scan:
    if _is_database(source, wanted):
        from clary.data.sources import sql

        check_options(BY_NAME["sqlite"], how)
        return Chosen(sql.scan_url(str(source), how), how.columns, how.rows)
    given = dict(how.options)
    member = given.pop("member", None)
    if member is not None and not isinstance(member, str):
        raise ReadError(f"member={member!r} is not a name")
    how = How(how.columns, how.rows, how.bad_rows, how.allow_pickle, how.spill, how.in_memory, given)
    files = [unpacked(one, member) for one in origins(source)]
    chosen = named(wanted) if wanted is not None else None
    return scan_files(files, chosen, how)


def _is_database(source: object, wanted: str | None) -> bool:
    """Whether it is a URL such as SQLAlchemy takes: postgresql+psycopg://…, sqlite:///…"""
    if wanted not in (None, "sql", "sqlite") or not isinstance(source, str) or "://" not in source:
        return False
    return source.split("://")[0].split("+")[0] not in ("file", "s3", "http", "https", "ftp")
