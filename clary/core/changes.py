"""Notifications of changed records, to those who wait for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable

from clary.core.records import Record, Ref


class Changes:
    """Notifies waiters and subscribers that a record may have changed. For one event loop."""

    def __init__(self) -> None:
        self._waiting: defaultdict[Ref, set[asyncio.Future[None]]] = defaultdict(set)
        self._subscribers: list[Callable[[Ref], None]] = []

    def subscribe(self, subscriber: Callable[[Ref], None]) -> None:
        """Have it called with every record that may have changed."""
        self._subscribers.append(subscriber)

    def notify(self, ref: Ref) -> None:
        """A record was written, or removed."""
        for waiter in self._waiting.pop(ref, ()):
            if not waiter.done():
                waiter.set_result(None)
        for subscriber in self._subscribers:
            subscriber(ref)

    def notify_of(self, record: Record) -> None:
        """A record was written, or removed: its owner is notified too."""
        self.notify(record.ref)
        if record.owner:
            self.notify(record.owner)

    def notify_all(self) -> None:
        """Any record may have been written: notifications of other servers were missed for a while."""
        for ref in list(self._waiting):
            self.notify(ref)

    async def next(self, ref: Ref, within_s: float) -> None:
        """Return when the record may have changed, or the time is up."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[ref].add(waiter)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await waiter
        finally:
            if waiters := self._waiting.get(ref):
                waiters.discard(waiter)
                if not waiters:
                    del self._waiting[ref]
