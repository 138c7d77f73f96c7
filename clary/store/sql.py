"""Records in SQLite or PostgreSQL."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime

from clary.core.errors import RecordExists, RecordMissing, StoreError
from clary.core.records import ChildrenPolicy, Record, Ref, Transition
from clary.store import lists, pages, rows
from clary.store.base import Page, Query
from clary.store.database import Database, KeyTaken, open_database

CREATE_TRIES = 5


async def open_store(url: str) -> SqlStore:
    """The store at a SQLAlchemy URL, with a database of its own. Raises SettingsError as `open_database` does."""
    return SqlStore(await open_database(url))


class SqlStore:
    """A Store over a database whose tables are there."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def create(self, record: Record, history: Transition | None = None) -> Record:
        record = dataclasses.replace(record, version=1)
        for _ in range(CREATE_TRIES):
            with suppress(KeyTaken):
                return await self.database.write(rows.create, record, history)
            with suppress(RecordMissing):  # deleted between the two: the name is free after all
                raise RecordExists(await self.get(record.ref))
        raise StoreError(f"{record.ref} cannot be kept: its name is taken and freed all the time")

    async def get(self, ref: Ref) -> Record:
        return await self.database.read(rows.get, ref)

    async def find(self, kind: str, lower_name: str) -> Record:
        return await self.database.read(rows.find, kind, lower_name)

    async def replace(self, old: Record, new: Record, history: Transition | None = None) -> Record:
        if (old.ref, old.uid) != (new.ref, new.uid):
            raise ValueError(f"{new.ref} ({new.uid}) cannot stand in place of {old.ref} ({old.uid})")
        return await self.database.write(rows.replace, old, dataclasses.replace(new, version=old.version + 1), history)

    async def delete(self, record: Record, children: ChildrenPolicy = "refuse") -> None:
        await self.database.write(rows.delete_record, record, children)

    async def list(self, query: Query) -> Page:
        pages.check(query)
        after = pages.start(query)
        found = await self.database.read(lists.matching, query, after, query.limit + 1)
        return pages.page(query, found)

    async def history(self, record: Record) -> Sequence[Transition]:
        return await self.database.read(rows.history, record)

    async def in_status(self, kind: str, statuses: Collection[str]) -> Sequence[Ref]:
        return await self.database.read(rows.in_status, kind, statuses)

    async def count(self, kind: str) -> dict[str, int]:
        return await self.database.read(rows.count, kind)

    async def acquire(self, lease: str, holder: str, now: datetime, until: datetime) -> bool:
        try:
            return await self.database.write(rows.acquire, lease, holder, now, until)
        except KeyTaken:
            return False

    async def is_held(self, lease: str, now: datetime) -> bool:
        return await self.database.read(rows.is_held, lease, now)

    async def release(self, lease: str, holder: str) -> None:
        await self.database.write(rows.release, lease, holder)

    async def close(self) -> None:
        await self.database.close()
