"""A clock moved by hand: tests set the time, and nobody waits for it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """A Clock that stands still until somebody moves it. For one event loop."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._number = itertools.count()  # who came first wakes first

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, moment: datetime) -> None:
        if moment <= self._now:
            await asyncio.sleep(0)  # a loop around a time that has passed must not keep others from running
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (moment, next(self._number), woken))
        try:
            await woken
        finally:
            self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[2] is not woken]
            heapq.heapify(self._sleepers)

    def move_to(self, moment: datetime) -> None:
        """Make it that time, and wake who slept until then, in the order of their times. Clocks do not go back."""
        if moment < self._now:
            raise ValueError(f"{moment} lies before {self._now}")
        self._now = moment
        while self._sleepers and self._sleepers[0][0] <= moment:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)

    def advance(self, seconds: float) -> None:
        self.move_to(self._now + timedelta(seconds=seconds))

    @property
    def waking(self) -> list[datetime]:
        """Until when somebody sleeps, earliest first."""
        return sorted(moment for moment, _, woken in self._sleepers if not woken.done())

    def move_to_next(self) -> bool:
        """Go to the earliest of `waking`; False where nobody sleeps."""
        if not (waking := self.waking):
            return False
        self.move_to(waking[0])
        return True
