"""What this home has and no record of its node asks for.

A record is written before its task is launched and erased after its task is gone, so a task without a record is left
from a crash (or of a home put back from a backup). A task or route whose record another node has taken over is left
from the time before.
"""

from __future__ import annotations

import contextlib

import structlog

from clary.compute.base import Backend
from clary.control.loop import Loop
from clary.core.errors import RecordMissing, StaleWrite
from clary.core.records import Record, Ref

log = structlog.get_logger()

ROUTED = "endpoint"  # the kind of the records that have a route


async def sweep(loop: Loop, backend: Backend) -> None:
    """Forget each task, and withdraw each route, that no record of this node has; have the loop work on the others."""
    for task_id, state in (await backend.poll()).items():
        if state.owner is None:
            continue
        kind, name, uid = state.owner
        record = await _owner(loop, Ref(kind, name), uid)
        if record is None:
            log.info("task without a record removed", task=task_id, kind=kind, name=name)
            await backend.forget(task_id)
            continue
        if not record.node:
            with contextlib.suppress(StaleWrite):  # the next sweep comes to it
                await loop.adopt(record, task_id)
        loop.queue.put(record.ref)
    for route in loop.world.routes():
        record = await _owner(loop, Ref(ROUTED, route.endpoint), route.uid)
        if record is None:
            log.info("route without a record removed", endpoint=route.endpoint)
            await loop.world.withdraw(route.endpoint)


async def _owner(loop: Loop, ref: Ref, uid: str) -> Record | None:
    """The record, where it is there and not another node's."""
    try:
        record = await loop.store.get(ref)
    except RecordMissing:
        return None
    elsewhere = record.node and not await loop.works_on(record)
    return None if record.uid != uid or elsewhere else record
