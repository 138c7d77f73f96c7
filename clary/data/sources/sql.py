"""Databases: SQLite files, and whatever SQLAlchemy has a URL for. Rows are fetched in batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa

from clary.data.batch import some
from clary.data.errors import ReadError
from clary.data.notes import Note
from clary.data.scans import Scan
from clary.data.sources.chunks import spill_chunks
from clary.data.sources.input_file import InputFile
from clary.data.sources.read_options import ReadOptions
from clary.data.sources.values import named, table_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

OPTIONS = frozenset({"table", "query"})
FETCHED_ROWS = 16_384


def scan(file: InputFile, options: ReadOptions) -> Scan:
    """A SQLite file, opened for reading only.

    table   by name, with its schema before a dot; not needed where there is only one
    query   SELECT …, instead of a table
    Raises  ReadError.
    """
    import sqlite3

    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    with file.reading_as("SQLite"), file.on_disk() as path:
        uri = f"file:{quote(str(Path(path).resolve()))}?mode=ro"
        engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=NullPool)
        return _scan(engine, options, file.name)


def scan_url(url: str, options: ReadOptions) -> Scan:
    """Raises ReadError."""
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    try:
        shown = make_url(url).render_as_string(hide_password=True)
        engine = create_engine(url)
    except ArgumentError as error:
        raise ReadError(f"this is not a URL of a database: {error}") from None
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise ReadError(f"{shown} cannot be opened: {error}; a database needs its driver installed") from None
    database = make_url(url)
    if database.get_backend_name() == "sqlite" and database.database and not Path(database.database).is_file():
        raise ReadError(f"there is no file {database.database}")  # SQLite would create an empty database
    return _scan(engine, options, shown)


def _scan(engine: Engine, options: ReadOptions, name: str) -> Scan:
    from sqlalchemy.exc import SQLAlchemyError

    notes: list[Note] = []
    try:
        statement = _statement(engine, options, name, notes)
        return spill_chunks(lambda text: _chunks(engine, statement, notes, text), options, notes)
    except SQLAlchemyError as error:
        raise ReadError(f"{name}: {str(getattr(error, 'orig', None) or error)[:300]}") from None
    finally:
        engine.dispose()


def _statement(engine: Engine, options: ReadOptions, name: str, notes: list[Note]) -> Any:
    from sqlalchemy import inspect, select, table, text

    query, wanted = options.format_options.get("query"), options.format_options.get("table")
    if query is not None:
        if wanted is not None or not isinstance(query, str):
            raise ReadError("query= is a text, and replaces table=")
        return query
    found = inspect(engine)
    names = [*found.get_table_names(), *found.get_view_names()]
    if wanted is None:
        if len(names) != 1:
            raise ReadError(f"{name} has {len(names)} tables: choose one by table=, or give query=: {some(names)}")
        wanted = names[0]
    if not isinstance(wanted, str):
        raise ReadError(f"table={wanted!r} is not a name")
    schema, dot, table_name = wanted.rpartition(".")
    if wanted in names:
        return select(text("*")).select_from(table(wanted))
    if dot and table_name in [*found.get_table_names(schema), *found.get_view_names(schema)]:
        return select(text("*")).select_from(table(table_name, schema=schema))
    raise ReadError(f"{name} has no table {wanted!r}; it has {some(names)}")


def _chunks(engine: Engine, statement: Any, notes: list[Note], text: frozenset[str]) -> Iterator[pa.Table]:
    with engine.connect() as opened:
        connection = opened.execution_options(stream_results=True)
        result = connection.exec_driver_sql(statement) if isinstance(statement, str) else connection.execute(statement)
        if not result.returns_rows:
            raise ReadError("the query returns no rows: it has to be a SELECT")
        names = list(result.keys())
        first = True
        for rows in result.partitions(FETCHED_ROWS):
            new_notes: list[Note] = []
            yield table_of(named(rows, names, new_notes), new_notes, text)
            notes.extend(note for note in new_notes if note not in notes)
            first = False
        if first:
            yield pa.table([pa.nulls(0) for _ in names], names=list(named([], names, notes)))
