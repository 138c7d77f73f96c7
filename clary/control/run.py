"""The control loop's day: look at everything once, then at what changes, and at everything again now and then."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from clary.compute.base import Backend
from clary.control.loop import Loop
from clary.control.sweep import sweep
from clary.core.clock import Clock


async def control(loop: Loop, backend: Backend, clock: Clock, workers: int, resync_s: float) -> None:
    """Work until cancelled. What happened while nobody worked is found by looking at everything first."""
    async with asyncio.TaskGroup() as group:
        group.create_task(loop.run(workers))
        group.create_task(_look_at_everything(loop, backend, clock, resync_s))


async def _look_at_everything(loop: Loop, backend: Backend, clock: Clock, resync_s: float) -> None:
    while True:
        for ref in await loop.unfinished():
            loop.queue.put(ref)
        await sweep(loop.store, backend, loop.queue)
        await clock.sleep_until(clock.now() + timedelta(seconds=resync_s))
