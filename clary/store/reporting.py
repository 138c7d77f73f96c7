"""A store that reports what it wrote, so that nobody who writes a record need think of those who wait for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from clary.core.records import ChildrenPolicy, Record, Ref, Transition
from clary.store.base import Page, Query, Store


class ReportingStore:
    """A Store over another store.

    on_write   called with each record that was created, replaced or deleted, as it is or was, when that is on disk
    """

    def __init__(self, store: Store, on_write: Callable[[Record], None]) -> None:
        self._store = store
        self._on_write = on_write

    async def create(self, record: Record, history: Transition | None = None) -> Record:
        created = await self._store.create(record, history)
        self._on_write(created)
        return created

    async def get(self, ref: Ref) -> Record:
        return await self._store.get(ref)

    async def find(self, kind: str, lower_name: str) -> Record:
        return await self._store.find(kind, lower_name)

    async def replace(self, old: Record, new: Record, history: Transition | None = None) -> Record:
        written = await self._store.replace(old, new, history)
        self._on_write(written)
        return written

    async def delete(self, record: Record, children: ChildrenPolicy = "refuse") -> None:
        await self._store.delete(record, children)
        self._on_write(record)

    async def list(self, query: Query) -> Page:
        return await self._store.list(query)

    async def history(self, record: Record) -> Sequence[Transition]:
        return await self._store.history(record)

    async def in_status(self, kind: str, statuses: Collection[str]) -> Sequence[Ref]:
        return await self._store.in_status(kind, statuses)

    async def count(self, kind: str) -> dict[str, int]:
        return await self._store.count(kind)

    async def acquire(self, lease: str, holder: str, now: datetime, until: datetime) -> bool:
        return await self._store.acquire(lease, holder, now, until)

    async def is_held(self, lease: str, now: datetime) -> bool:
        return await self._store.is_held(lease, now)

    async def release(self, lease: str, holder: str) -> None:
        await self._store.release(lease, holder)

    async def close(self) -> None:
        await self._store.close()
