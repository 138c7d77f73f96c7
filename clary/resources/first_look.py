"""The first Describe of something that is under way waits a little for it to be done.

AWS's waiters and SDKs look at once and then every 10, 30 or 120 seconds. What takes a second here would cost their
whole pause; so the first answer is held back until there is something to tell, at most `first_look_s`. Later looks are
answered at once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from clary.core.records import Record
from clary.resources.context import Context

# What has been looked at; the oldest are forgotten, and might then be held back once more.
REMEMBERED = 10_000


class FirstLooks:
    """Which records have been looked at in which status."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def is_first(self, record: Record) -> bool:
        """Whether nobody asked for this record in this status before; from now on somebody has."""
        key = record.uid, record.status
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True


async def first_look(
    context: Context, look: Callable[[], Awaitable[Record]], under_way: Callable[[Record], bool]
) -> Record:
    """The record as `look` finds it, at a first look once it is no longer under way or the time is up."""
    record = await look()
    within_s = context.settings.first_look_s
    if not within_s or not under_way(record) or not context.first_looks.is_first(record):
        return record
    now = asyncio.get_running_loop().time
    deadline, status = now() + within_s, record.status
    while record.status == status and under_way(record) and now() < deadline:
        await context.changes.next(record.ref, deadline - now())
        record = await look()
    return record
