"""Which record is worked on next.

A record is in the queue at most once and worked on by a single worker at a time: if it is put meanwhile, it is worked
on again afterwards. The same promises as Kubernetes' work queues make.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from datetime import datetime
from typing import Any

from clary.core.clock import Clock
from clary.core.records import Ref


class WorkQueue:
    """Records to work on, now or at a given moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: dict[Ref, None] = {}  # in order of arrival
        self._working: set[Ref] = set()
        self._put_again: set[Ref] = set()  # while they were worked on
        self._due: dict[Ref, datetime] = {}  # the earliest moment asked for
        self._by_moment: list[tuple[datetime, Ref]] = []  # a heap; entries that `_due` does not have are void
        self._changed = asyncio.Event()

    def put(self, ref: Ref) -> None:
        """Have this record worked on as soon as a worker is free."""
        if ref in self._working:
            self._put_again.add(ref)
        else:
            self._ready[ref] = None
        self._changed.set()

    def put_at(self, ref: Ref, moment: datetime) -> None:
        """Have it worked on at this moment, or sooner if it is put sooner."""
        if (due := self._due.get(ref)) is None or moment < due:
            self._due[ref] = moment
            heapq.heappush(self._by_moment, (moment, ref))
            self._changed.set()

    async def get(self) -> Ref:
        """The next record; the caller calls `done` when it has worked on it."""
        while True:
            self._changed.clear()
            self._put_due()
            if self._ready:
                ref = next(iter(self._ready))
                del self._ready[ref]
                self._working.add(ref)
                return ref
            await self._next_change()

    def done(self, ref: Ref) -> None:
        self._working.discard(ref)
        if ref in self._put_again:
            self._put_again.discard(ref)
            self.put(ref)

    @property
    def idle(self) -> bool:
        """Whether nobody works and nothing is ready (records may be due later)."""
        return not (self._ready or self._working)

    def next_moment(self) -> datetime | None:
        """When the next record is due."""
        return min(self._due.values(), default=None)

    def _put_due(self) -> None:
        now = self._clock.now()
        while self._by_moment and self._by_moment[0][0] <= now:
            moment, ref = heapq.heappop(self._by_moment)
            if self._due.get(ref) == moment:
                del self._due[ref]
                self.put(ref)

    async def _next_change(self) -> None:
        """Return when a record was put, or is due."""
        waits: set[asyncio.Future[Any]] = {asyncio.ensure_future(self._changed.wait())}
        if (moment := self.next_moment()) is not None:
            waits.add(asyncio.ensure_future(self._clock.sleep_until(moment)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await wait
