"""Tasks nobody owns any more.

A record is written before its task is launched and erased after its task is gone, so a task without a record is the
leftover of a crash (or of a home put back from a backup).
"""

from __future__ import annotations

import structlog

from clary.compute.base import Backend
from clary.control.queue import WorkQueue
from clary.core.errors import RecordMissing
from clary.core.records import Ref
from clary.store.base import Store

log = structlog.get_logger()


async def sweep(store: Store, backend: Backend, queue: WorkQueue) -> None:
    """Forget every task whose record is gone; have the owner of every other one looked at."""
    for task_id, state in (await backend.poll()).items():
        if state.owner is None:
            continue
        kind, name, uid = state.owner
        try:
            owned = (await store.get(Ref(kind, name))).uid == uid
        except RecordMissing:
            owned = False
        if owned:
            queue.put(Ref(kind, name))
        else:
            log.info("sweep", task=task_id, kind=kind, name=name)
            await backend.forget(task_id)
