"""From `database_url` to a connection that behaves the same on either database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from clary.core.errors import SettingsError

# Another server that starts at the same moment, or a backup, may hold SQLite's write lock for a while.
BUSY_TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 10


def make_engine(url: str, connections: int) -> Engine:
    """An engine of at most so many connections. Raises SettingsError for a URL that is of no use; does not connect."""
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, connections)
    return _postgresql(parsed, connections)


def sqlite_url(file: Path) -> str:
    """The URL of a SQLite file, whatever characters its path has."""
    return URL.create("sqlite", database=str(file)).render_as_string()


def without_password(url: str) -> str:
    """The URL as it may be printed."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return "(hidden, as it is not a URL)"


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # a port that is no number is a ValueError
        parsed = URL.create("")
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            return parsed.set(drivername="sqlite+pysqlite")
        case "postgres" | "postgresql":
            return parsed.set(drivername="postgresql+psycopg")
        case _:
            raise SettingsError(
                f"database_url = {without_password(url)}: must be sqlite:////path/to/a/file.db or postgresql://user:password@host/name"
            )


def _sqlite(url: URL, connections: int) -> Engine:
    engine = create_engine(url, pool_size=connections, max_overflow=0, connect_args={"timeout": BUSY_TIMEOUT_S})
    _make_private(Path(str(url.database)))
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(file: Path) -> None:
    """Requests hold secrets (environments, hyperparameters): the file is its owner's, and its journal follows it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise SettingsError(f"the database {file} cannot be written: {error.strerror}") from error


def _prepare_sqlite(connection: Any, _: object) -> None:
    # FULL: a request that was answered is still there after a power cut, at one fsync per write. NORMAL would keep the
    # file intact too, but forget the last moments. See docs/decisions/store.md for what it costs.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once where another wrote in between; one that takes the
    # write lock at its beginning waits its turn.
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _postgresql(url: URL, connections: int) -> Engine:
    try:
        return create_engine(
            url.update_query_dict(
                {"connect_timeout": str(CONNECT_TIMEOUT_S)} if "connect_timeout" not in url.query else {}
            ),
            pool_size=connections,
            max_overflow=0,
            pool_pre_ping=True,  # a database that was restarted meanwhile costs nobody an error
            isolation_level="READ COMMITTED",
            # Plans are made for the values at hand: a rare status wants another index than a common one. It also lets
            # a connection pooler stand in between.
            connect_args={"prepare_threshold": None},
        )
    except ImportError as error:
        raise SettingsError(
            f"database_url = {url.render_as_string()}: PostgreSQL needs one more package; pip install 'clary[postgres]'"
        ) from error
