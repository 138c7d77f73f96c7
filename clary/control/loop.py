"""Observe, decide, take one step.

A request becomes a record; the loop makes the record come true, one step at a time, until it may wait. Everything it
needs to go on after a crash is in the record and in the world, nothing is in the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import assert_never

import structlog

from clary.control.effects import World
from clary.control.queue import WorkQueue
from clary.core.changes import Changes
from clary.core.clock import Clock
from clary.core.decisions import Action, Do, Erase, Family, Forget, Launch, Move, Seen, Stop, Wait
from clary.core.errors import CapacityError, LaunchError, RecordMissing, StaleWrite
from clary.core.records import Record, Ref, Transition
from clary.core.tasks import Phase, TaskState
from clary.store.base import Store

log = structlog.get_logger()

# What takes its time tells when it is done; this is how long the loop trusts in being told.
LOOK_AGAIN_S = 5.0
# After an error nobody foresaw: 1, 2, 4 … seconds.
LONGEST_BACKOFF_S = 60.0


class Loop:
    """Works on records until they need no more work."""

    def __init__(
        self, store: Store, families: Iterable[Family], world: World, clock: Clock, changes: Changes | None = None
    ) -> None:
        self.store = store
        self.families = {family.kind: family for family in families}
        self.world = world
        self.clock = clock
        self.queue = WorkQueue(clock)
        self.changes = changes or Changes()
        self._troubles: dict[Ref, int] = {}

    async def run(self, workers: int) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            ref = await self.queue.get()
            try:
                await self.look_at(ref)
            finally:
                self.queue.done(ref)

    async def look_at(self, ref: Ref) -> None:
        """Reconcile, and whatever goes wrong, come back to it."""
        try:
            await self.reconcile(ref)
        except RecordMissing:
            self._troubles.pop(ref, None)
        except StaleWrite:
            self.queue.put(ref)
        except Exception as error:
            self._troubles[ref] = troubles = self._troubles.get(ref, 0) + 1
            wait_s = min(2.0 ** (troubles - 1), LONGEST_BACKOFF_S)
            log.warning(
                "trouble", kind=ref.kind, name=ref.name, error=repr(error), wait_s=wait_s, exc_info=troubles == 1
            )
            self._put_after(ref, wait_s)
        else:
            self._troubles.pop(ref, None)

    async def reconcile(self, ref: Ref) -> None:
        record = await self.store.get(ref)
        family = self.families[ref.kind]
        seen = _with_refusals(record, await self.world.observe(family.watch(record)))
        match family.decide(record, seen, self.clock.now()):
            case Move() as move:
                await self.move(family, record, move)
                self.queue.put(ref)
            case Do(action):
                await self.act(record, action)
            case Wait(until):
                if until is not None:
                    self.queue.put_at(ref, until)
            case never:
                assert_never(never)

    async def move(self, family: Family, record: Record, move: Move) -> None:
        """Write the new status. Raises StaleWrite if the record moved meanwhile."""
        if move.status != record.status and move.status not in family.transitions[record.status]:
            raise AssertionError(f"{record.ref}: no way from {record.status} to {move.status}")
        now = self.clock.now()
        new = replace(
            record,
            status=move.status,
            detail=move.detail or record.detail,
            reason=move.reason or record.reason,
            state={**record.state, **move.state},
            modified=now,
        )
        history = Transition(move.detail or move.status, move.message, move.at or now) if move.message else None
        await self.store.replace(record, new, history)
        self.changes.tell(record.ref)
        if (new.status, new.detail) != (record.status, record.detail):
            log.info(
                "transition",
                kind=record.kind,
                name=record.name,
                old=record.detail or record.status,
                new=new.detail or new.status,
                reason=move.reason,
            )

    async def act(self, record: Record, action: Action) -> None:
        """Act. A task that will never start is written down, so that `decide` sees one that has failed."""
        try:
            await self.world.act(record, action)
        except (CapacityError, LaunchError) as error:
            if not isinstance(action, Launch):
                raise
            await self._refuse(record, action.task.id, error)
        if isinstance(action, Forget):
            await self._forget_refusal(record, action.task_id)
        if isinstance(action, Erase):
            self.changes.tell(record.ref)
        if isinstance(action, Launch | Stop):
            self._put_after(record.ref, LOOK_AGAIN_S)
        else:
            self.queue.put(record.ref)

    async def _refuse(self, record: Record, task_id: str, error: Exception) -> None:
        blame = "CapacityError" if isinstance(error, CapacityError) else "ClientError"
        refusals = {**record.refusals, task_id: f"{blame}: {error}"[:1024]}
        await self.store.replace(record, replace(record, refusals=refusals))
        self.queue.put(record.ref)

    async def _forget_refusal(self, record: Record, task_id: str) -> None:
        if task_id in record.refusals:
            left = {key: text for key, text in record.refusals.items() if key != task_id}
            await self.store.replace(record, replace(record, refusals=left))

    def _put_after(self, ref: Ref, wait_s: float) -> None:
        self.queue.put_at(ref, self.clock.now() + timedelta(seconds=wait_s))

    async def unfinished(self) -> Sequence[Ref]:
        """Every record that may need a step: all that are neither final nor settled."""
        found: list[Ref] = []
        for family in self.families.values():
            busy = [status for status in family.status if not (family.final(status) or status in family.settled)]
            found += await self.store.in_status(family.kind, busy)
        return found


def _with_refusals(record: Record, seen: Seen) -> Seen:
    """What was refused looks like a task that failed."""
    if not record.refusals:
        return seen
    over = {task_id: TaskState(Phase.EXITED, failure=text) for task_id, text in record.refusals.items()}
    return Seen({**over, **seen.tasks}, seen.route)
