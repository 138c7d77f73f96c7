"""The lease: who stops gives it back, and who died is followed when it has run out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from clary.control.leases import CONTROL, RenewedLeases
from clary.store.memory import MemoryStore
from clary.testing.clock import ManualClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@contextlib.asynccontextmanager
async def holding(store: MemoryStore, holder: str) -> AsyncIterator[asyncio.Task[None]]:
    """A server that has the lease, and works."""
    working = asyncio.Event()

    async def work() -> None:
        working.set()
        await asyncio.Event().wait()

    held = asyncio.create_task(RenewedLeases(store, holder, ManualClock(NOW), 15.0).while_held(work))
    await working.wait()
    yield held
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)


def test_a_server_that_is_told_to_stop_gives_the_lease_back():
    async def scene() -> bool:
        store = MemoryStore()
        async with holding(store, "old"):
            assert not await store.acquire(CONTROL, "new", NOW, NOW + timedelta(seconds=15))
        return await store.acquire(CONTROL, "new", NOW, NOW + timedelta(seconds=15))

    assert asyncio.run(scene())


def test_the_same_holder_takes_over_from_itself_that_died():
    async def scene() -> None:
        store = MemoryStore()
        assert await store.acquire(CONTROL, "this home's server", NOW, NOW + timedelta(seconds=15))
        async with asyncio.timeout(5), holding(store, "this home's server"):
            pass

    asyncio.run(scene())
