"""Which record next.

A record is in the queue at most once and worked on by one worker at a time: one that is put while it is worked on is
looked at again afterwards. The same promises as Kubernetes' work queues make.
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
    """Records to look at, now or at a given moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: dict[Ref, None] = {}  # in order of arrival
        self._working: set[Ref] = set()
        self._again: set[Ref] = set()  # put while they were worked on
        self._later: list[tuple[datetime, Ref]] = []
        self._due: dict[Ref, datetime] = {}  # the earliest moment asked for; older heap entries are void
        self._changed = asyncio.Event()

    def put(self, ref: Ref) -> None:
        """Look at this record as soon as a worker is free."""
        if ref in self._working:
            self._again.add(ref)
        else:
            self._ready[ref] = None
        self._changed.set()

    def put_at(self, ref: Ref, moment: datetime) -> None:
        """Look at it at this moment, or sooner if it is put sooner."""
        if (due := self._due.get(ref)) is None or moment < due:
            self._due[ref] = moment
            heapq.heappush(self._later, (moment, ref))
            self._changed.set()

    async def get(self) -> Ref:
        """The next record; the caller says `done` when it has looked at it."""
        while True:
            self._changed.clear()
            self._ripen()
            if self._ready:
                ref = next(iter(self._ready))
                del self._ready[ref]
                self._working.add(ref)
                return ref
            await self._something()

    def done(self, ref: Ref) -> None:
        self._working.discard(ref)
        if ref in self._again:
            self._again.discard(ref)
            self.put(ref)

    @property
    def idle(self) -> bool:
        """Whether nobody works and nothing is ready (later moments may stand)."""
        return not (self._ready or self._working)

    def next_moment(self) -> datetime | None:
        """When the next record ripens by itself."""
        return min(self._due.values(), default=None)

    def _ripen(self) -> None:
        now = self._clock.now()
        while self._later and self._later[0][0] <= now:
            moment, ref = heapq.heappop(self._later)
            if self._due.get(ref) == moment:
                del self._due[ref]
                self.put(ref)

    async def _something(self) -> None:
        """Return when a record was put, or the next moment has come."""
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
