"""A database and the threads that work on it.

SQLAlchemy's synchronous engine, in threads of its own: slow work elsewhere never keeps a query waiting. SQLite allows
one writer at a time, so there is one thread that writes, and nobody ever waits for a lock in a loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from clary.core.errors import SettingsError, StoreError
from clary.store.engine import make_engine, without_password

P = ParamSpec("P")
T = TypeVar("T")

READERS = 4
POSTGRES_WRITERS = 4


class KeyTaken(StoreError):
    """Another row has this key."""


async def open_database(url: str) -> Database:
    """The database at a SQLAlchemy URL, its tables made or brought up to date.

    Raises SettingsError where there is no such database, or a newer Clary has made its tables.
    """
    database = Database(url)
    try:
        await database.upgrade()
    except BaseException:
        await database.close()
        raise
    return database


class Database:
    """Runs functions of a connection, each in one transaction. Safe to use from many tasks."""

    def __init__(self, url: str) -> None:
        """Does not connect. Raises SettingsError for a URL that names no SQLite file and no PostgreSQL."""
        self._url = url
        self.engine = make_engine(url, connections=READERS + POSTGRES_WRITERS)
        self._single = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        writers = 1 if self.engine.dialect.name == "sqlite" else POSTGRES_WRITERS
        self._readers = ThreadPoolExecutor(READERS, "database-read")
        self._writers = ThreadPoolExecutor(writers, "database-write")

    async def upgrade(self) -> None:
        """Make the tables, or bring them up to date. Raises SettingsError where that cannot be."""
        from clary.store.upgrade import upgrade

        try:
            await asyncio.get_running_loop().run_in_executor(self._writers, upgrade, self.engine)
        except DBAPIError as error:
            raise SettingsError(
                f"database_url = {without_password(self._url)}: cannot be used: {error.orig}"
            ) from error

    async def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `work`, whose statements may each see a later moment than the one before."""
        return await self._run(self._readers, self._single, work, *args, **kwargs)

    async def write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """All of `work` or nothing, and on disk when this returns. Raises KeyTaken where a key exists already."""
        return await self._run(self._writers, self.engine, work, *args, **kwargs)

    async def close(self) -> None:
        """Finish what was begun, and let go."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._readers.shutdown()
        self._writers.shutdown()
        self.engine.dispose()

    async def _run(
        self,
        threads: Executor,
        engine: Engine,
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        def job() -> T:
            try:
                with engine.begin() as connection:
                    return work(connection, *args, **kwargs)
            except StatementError as error:
                raise _translated(error) from error

        return await asyncio.get_running_loop().run_in_executor(threads, job)


def _translated(error: StatementError) -> Exception:
    """What an error of the database, or of handing it a value, is to the caller."""
    match error:
        case IntegrityError():
            return KeyTaken(str(error.orig))
        case DBAPIError():
            return StoreError(f"the database refused: {error.orig}")
        case StatementError(orig=ValueError() as refused):  # by a column's type: not JSON, no time zone
            return refused
        case _:
            return error
