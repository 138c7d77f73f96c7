"""Observe, decide, take one step.

A request becomes a record; the loop makes the record come true, one step at a time, until it may wait. Everything it
needs to go on after a crash is in the record and in the world, nothing is in the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import assert_never

import structlog

from clary.control.effects import World
from clary.control.leases import Leases
from clary.control.queue import WorkQueue
from clary.core.clock import Clock
from clary.core.decisions import Action, Create, Do, Family, Forget, Launch, Move, Seen, Stop, Wait
from clary.core.errors import CapacityError, LaunchError, RecordMissing, ServiceError, StaleWrite
from clary.core.records import Record, Ref, Transition
from clary.core.tasks import Phase, TaskState
from clary.store.base import Store

log = structlog.get_logger()

# A task notifies the loop when its state changes; should that be lost, its record is worked on again after so long.
CHECK_TASK_AFTER_S = 5.0
# After an unforeseen error: 1, 2, 4 … seconds.
LONGEST_BACKOFF_S = 60.0


class Loop:
    """Works on records until they need no more work."""

    def __init__(self, store: Store, families: Iterable[Family], world: World, clock: Clock, leases: Leases) -> None:
        self.store = store
        self.families = {family.kind: family for family in families}
        self.world = world
        self.clock = clock
        self.leases = leases
        self.queue = WorkQueue(clock)
        self._failures: dict[Ref, int] = {}  # in a row

    async def run(self, workers: int) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            ref = await self.queue.get()
            try:
                await self.work_on(ref)
            finally:
                self.queue.done(ref)

    async def work_on(self, ref: Ref) -> None:
        """Reconcile, and whatever goes wrong, come back to it."""
        try:
            await self.reconcile(ref)
        except RecordMissing:
            self._failures.pop(ref, None)
        except StaleWrite:
            self.queue.put(ref)
        except Exception as error:
            self._failures[ref] = failures = self._failures.get(ref, 0) + 1
            wait_s = min(2.0 ** (failures - 1), LONGEST_BACKOFF_S)
            log.warning(
                "reconcile failed",
                kind=ref.kind,
                name=ref.name,
                error=repr(error),
                retry_after_s=wait_s,
                exc_info=failures == 1,
            )
            self._put_after(ref, wait_s)
        else:
            self._failures.pop(ref, None)

    async def reconcile(self, ref: Ref) -> None:
        record = await self.store.get(ref)
        if not await self.works_on(record):
            return
        if record.node not in ("", self.leases.node):
            record = await self._take_over(record)
        family = self.families[ref.kind]
        watch = family.watch(record)
        seen = self._completed(record, await self.world.observe(record, watch))
        match family.decide(record, seen, self.clock.now()):
            case Move() as move:
                await self.move(family, record, move)
                self.queue.put(ref)
            case Do(Launch(task) as launch):
                await self.act(await self._place(record, task.id, watch.tasks), launch)
            case Do(action):
                await self.act(record, action)
            case Wait(until):
                if until is not None:
                    self.queue.put_at(ref, until)
            case never:
                assert_never(never)

    # ---- who works on what ----

    async def works_on(self, record: Record) -> bool:
        """Whether this server works on a record: its node's, and with the control lease those of no living node."""
        if record.node == self.leases.node:
            return True
        return self.leases.has_control and not (record.node and await self.leases.is_alive(record.node))

    async def _take_over(self, record: Record) -> Record:
        log.warning("record taken over", kind=record.kind, name=record.name, node=record.node)
        return await self.store.replace(record, replace(record, node=self.leases.node))

    async def _place(self, record: Record, task_id: str, watched: Collection[str]) -> Record:
        """Write down that a task is this node's before it is launched. What no longer matters is left out."""
        node = self.leases.node
        if record.node == node and record.placements.get(task_id) == node:
            return record
        placements = {task: where for task, where in record.placements.items() if task in watched}
        return await self.store.replace(record, replace(record, node=node, placements={**placements, task_id: node}))

    async def adopt(self, record: Record, task_id: str) -> None:
        """Write down that a task found here is this node's, where no node is known: an earlier version launched it."""
        node = self.leases.node
        await self.store.replace(record, replace(record, node=node, placements={**record.placements, task_id: node}))

    def _completed(self, record: Record, seen: Seen) -> Seen:
        """With what cannot be observed here: tasks of another node look lost, refused ones as if they had failed."""
        lost = {task: _LOST for task, node in record.placements.items() if node != self.leases.node}
        refused = {task: TaskState(Phase.EXITED, failure=text) for task, text in record.refusals.items()}
        return replace(seen, tasks={**lost, **refused, **seen.tasks}, refusals=record.refusals)

    # ---- the two kinds of steps ----

    async def move(self, family: Family, record: Record, move: Move) -> None:
        """Write the new status. Raises StaleWrite if the record moved meanwhile."""
        if move.status != record.status and move.status not in family.transitions[record.status]:
            raise AssertionError(f"{record.ref}: no transition from {record.status} to {move.status}")
        now = self.clock.now()
        new = replace(
            record,
            status=move.status,
            detail=move.detail or record.detail,
            reason=move.reason or record.reason,
            state=record.state if move.state is None else move.state,
            modified=now,
        )
        history = Transition(move.detail or move.status, move.message, move.at or now) if move.message else None
        await self.store.replace(record, new, history)
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
        """Act. What will never start, or never be created, is written down, so that `decide` sees it."""
        if not self.leases.may_act:
            log.warning("not acted: the node's lease is over", kind=record.kind, name=record.name)
            self._put_after(record.ref, 1.0)
            return
        try:
            await self.world.act(record, action)
        except (CapacityError, LaunchError, ServiceError) as error:
            match action:
                case Launch(task):
                    await self._refuse(record, task.id, error)
                case Create(kind, name):
                    await self._refuse(record, str(Ref(kind, name)), error)
                case _:
                    raise
        if isinstance(action, Forget):
            await self._forget(record, action.task_id)
        if isinstance(action, Launch | Stop):
            self._put_after(record.ref, CHECK_TASK_AFTER_S)
        else:
            self.queue.put(record.ref)

    async def _refuse(self, record: Record, refused: str, error: Exception) -> None:
        blame = "CapacityError" if isinstance(error, CapacityError) else "ClientError"
        refusals = {**record.refusals, refused: f"{blame}: {error}"[:1024]}
        await self.store.replace(record, replace(record, refusals=refusals))
        self.queue.put(record.ref)

    async def _forget(self, record: Record, task_id: str) -> None:
        """A task that is not here, but refused or another node's, is forgotten when the record no longer names it."""
        if task_id in record.refusals or record.placements.get(task_id, self.leases.node) != self.leases.node:
            placements, refusals = (
                {task: value for task, value in members.items() if task != task_id}
                for members in (record.placements, record.refusals)
            )
            await self.store.replace(record, replace(record, placements=placements, refusals=refusals))

    def _put_after(self, ref: Ref, wait_s: float) -> None:
        self.queue.put_at(ref, self.clock.now() + timedelta(seconds=wait_s))

    async def unfinished(self) -> Sequence[Ref]:
        """Every record that may need a step: all but those in a terminal status."""
        found: list[Ref] = []
        for family in self.families.values():
            busy = [status for status in family.status if status not in family.terminal]
            found += await self.store.in_status(family.kind, busy)
        return found


_LOST = TaskState(
    Phase.LOST,
    failure="InternalServerError: the server that this ran on has not renewed its lease in time: it has ended, or is "
    "cut off from the database. Start it again.",
)
