"""One server at a time works on the records of a store; the others answer requests and stand by."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from clary.core.clock import Clock
from clary.store.base import Store

log = structlog.get_logger()

CONTROL = "control"  # the name of the lease


async def while_held(
    store: Store, holder: str, clock: Clock, lease_s: float, work: Callable[[], Awaitable[None]]
) -> None:
    """Run `work` whenever, and only while, this holder has the lease; until cancelled.

    The lease is renewed every third of its life. A server that could not renew stops working before another can take
    over; should it be too slow even for that, its writes are stale and refused (Store.replace). One that is told to
    stop gives the lease back, so that the next need not wait for its end.
    """
    try:
        while True:
            if await _renew(store, holder, clock, lease_s):
                await _work_while_renewed(store, holder, clock, lease_s, work)
                log.warning("lease lost", holder=holder)
            await clock.sleep_until(clock.now() + timedelta(seconds=lease_s / 3))
    finally:
        with contextlib.suppress(Exception):  # it ends by itself
            await store.release(CONTROL, holder)


async def _work_while_renewed(
    store: Store, holder: str, clock: Clock, lease_s: float, work: Callable[[], Awaitable[None]]
) -> None:
    working = asyncio.ensure_future(work())
    try:
        while not working.done():
            pause = asyncio.ensure_future(clock.sleep_until(clock.now() + timedelta(seconds=lease_s / 3)))
            await asyncio.wait({working, pause}, return_when=asyncio.FIRST_COMPLETED)
            pause.cancel()
            if not working.done() and not await _renew(store, holder, clock, lease_s):
                return
        await working  # it never ends but by an error: let it be seen
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def _renew(store: Store, holder: str, clock: Clock, lease_s: float) -> bool:
    now = clock.now()
    try:
        return await store.acquire(CONTROL, holder, now, now + timedelta(seconds=lease_s))
    except Exception as error:  # the database may be away for a while; without it there is no lease
        log.warning("lease not renewed", error=repr(error))
        return False
