"""Who waits for a record to change."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict

from clary.core.records import Ref


class Changes:
    """Tells waiters that a record may have changed. For one event loop."""

    def __init__(self) -> None:
        self._waiting: defaultdict[Ref, set[asyncio.Future[None]]] = defaultdict(set)

    def tell(self, ref: Ref) -> None:
        """The record was written, or removed."""
        for waiter in self._waiting.pop(ref, ()):
            if not waiter.done():
                waiter.set_result(None)

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
