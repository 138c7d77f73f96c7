"""Records in SQLite or PostgreSQL.

SQLAlchemy's synchronous engine, in threads of the store's own: slow work elsewhere never keeps a record waiting.
SQLite allows one writer at a time, so there is one thread that writes, and nobody ever waits for a lock in a loop.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from clary.core.errors import RecordExists, RecordMissing, SettingsError, StoreError
from clary.core.records import Record, Ref, Transition
from clary.store import lists, pages, rows
from clary.store.base import Page, Query
from clary.store.engine import make_engine, shown

P = ParamSpec("P")
T = TypeVar("T")

READERS = 4
POSTGRES_WRITERS = 4
CREATE_TRIES = 5


async def open_store(url: str) -> SqlStore:
    """The store at a SQLAlchemy URL, its tables made or brought up to date.

    Raises SettingsError where there is no such database, or a newer Clary has made its tables.
    """
    store = SqlStore(url)
    try:
        await store.upgrade()
    except BaseException:
        await store.close()
        raise
    return store


class SqlStore:
    """A Store. Its tables must be there: `open_store` sees to it."""

    def __init__(self, url: str) -> None:
        """Raises SettingsError for a URL that names no SQLite file and no PostgreSQL."""
        self._url = url
        self._engine = make_engine(url, connections=READERS + POSTGRES_WRITERS)
        self._single = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        writers = 1 if self._engine.dialect.name == "sqlite" else POSTGRES_WRITERS
        self._readers = ThreadPoolExecutor(READERS, "store-read")
        self._writers = ThreadPoolExecutor(writers, "store-write")

    async def upgrade(self) -> None:
        """Make the tables, or bring them up to date. Raises SettingsError where that cannot be."""
        from clary.store.upgrade import upgrade

        try:
            await asyncio.get_running_loop().run_in_executor(self._writers, upgrade, self._engine)
        except DBAPIError as error:
            raise SettingsError(f"database_url = {shown(self._url)}: cannot be used: {error.orig}") from error

    async def create(self, record: Record, history: Transition | None = None) -> Record:
        record = dataclasses.replace(record, version=1)
        for _ in range(CREATE_TRIES):
            with suppress(_Refused):
                return await self._write(rows.create, record, history)
            with suppress(RecordMissing):  # deleted between the two: the name is free after all
                raise RecordExists(await self.get(record.ref))
        raise StoreError(f"{record.ref} cannot be kept: its name is taken and freed all the time")

    async def get(self, ref: Ref) -> Record:
        return await self._read(rows.get, ref)

    async def find(self, kind: str, lower_name: str) -> Record:
        return await self._read(rows.find, kind, lower_name)

    async def replace(self, old: Record, new: Record, history: Transition | None = None) -> Record:
        if (old.ref, old.uid) != (new.ref, new.uid):
            raise ValueError(f"{new.ref} ({new.uid}) cannot stand in place of {old.ref} ({old.uid})")
        return await self._write(rows.replace, old, dataclasses.replace(new, version=old.version + 1), history)

    async def delete(self, record: Record) -> None:
        await self._write(rows.delete_record, record)

    async def list(self, query: Query) -> Page:
        pages.check(query)
        after = pages.start(query)
        found = await self._read(lists.matching, query, after, query.limit + 1)
        return pages.page(query, found)

    async def history(self, record: Record) -> Sequence[Transition]:
        return await self._read(rows.history, record)

    async def in_status(self, kind: str, statuses: Collection[str]) -> Sequence[Ref]:
        return await self._read(rows.in_status, kind, statuses)

    async def count(self, kind: str) -> dict[str, int]:
        return await self._read(rows.count, kind)

    async def acquire(self, lease: str, holder: str, now: datetime, until: datetime) -> bool:
        try:
            return await self._write(rows.acquire, lease, holder, now, until)
        except _Refused:
            return False

    async def release(self, lease: str, holder: str) -> None:
        await self._write(rows.release, lease, holder)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._readers.shutdown()
        self._writers.shutdown()
        self._engine.dispose()

    async def _read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(self._readers, self._single, work, *args, **kwargs)

    async def _write(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """All of it or nothing, and on disk when this returns."""
        return await self._run(self._writers, self._engine, work, *args, **kwargs)

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
                raise _meant(error) from error

        return await asyncio.get_running_loop().run_in_executor(threads, job)


class _Refused(StoreError):
    """Another row has this key."""


def _meant(error: StatementError) -> Exception:
    """What an error of the database, or of handing it a value, is to the caller."""
    match error:
        case IntegrityError():
            return _Refused(str(error.orig))
        case DBAPIError():
            return StoreError(f"the database refused: {error.orig}")
        case StatementError(orig=ValueError() as refused):  # by a column's type: not JSON, no time zone
            return refused
        case _:
            return error
