"""The control loop of a server: work on everything once, then on what changes, and on everything every `resync_s`."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from clary.compute.base import Backend
from clary.control.loop import Loop
from clary.control.sweep import sweep
from clary.core.clock import Clock


async def control(
    loop: Loop, backend: Backend, clock: Clock, workers: int, resync_s: float, resync: asyncio.Event
) -> None:
    """Work until cancelled. What happened while nobody worked is found by working on everything first.

    resync   set when something may have been missed, or more records are this server's to work on
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(loop.run(workers))
        group.create_task(_resync(loop, backend, clock, resync_s, resync))


async def _resync(loop: Loop, backend: Backend, clock: Clock, resync_s: float, resync: asyncio.Event) -> None:
    """Put everything into the queue: now, every `resync_s`, and whenever it is asked for."""
    while True:
        resync.clear()
        for ref in await loop.unfinished():
            loop.queue.put(ref)
        await sweep(loop, backend)
        pause = asyncio.ensure_future(clock.sleep_until(clock.now() + timedelta(seconds=resync_s)))
        asked = asyncio.ensure_future(resync.wait())
        try:
            await asyncio.wait({pause, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            asked.cancel()
