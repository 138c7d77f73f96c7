"""A Describe of something that changes is answered when it has changed: the first in each status waits for that.

AWS's waiters and SDKs describe at once, and then every 10, 30 or 120 seconds. What takes a second here would cost them
a whole pause, so the first answer is held back until the status is another, at most `describe_wait_s`. Later Describes
in the same status are answered at once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from clary.core.records import Record
from clary.resources.context import Context

# The oldest are forgotten, and a Describe of theirs might then wait once more.
MAX_REMEMBERED = 10_000


class DescribedStatuses:
    """Which records have been described in which status."""

    def __init__(self) -> None:
        self._described: OrderedDict[tuple[str, str], None] = OrderedDict()

    def add(self, record: Record) -> bool:
        """Remember the record's status as described. False where it was already."""
        key = record.uid, record.status
        if key in self._described:
            return False
        self._described[key] = None
        if len(self._described) > MAX_REMEMBERED:
            self._described.popitem(last=False)
        return True


async def long_poll(
    context: Context, read: Callable[[], Awaitable[Record]], is_active: Callable[[Record], bool]
) -> Record:
    """The record as `read` gives it; the first time in an active status, once that has changed or the time is up."""
    record = await read()
    wait_s = context.settings.describe_wait_s
    if not wait_s or not is_active(record) or not context.described.add(record):
        return record
    now = asyncio.get_running_loop().time
    deadline, status = now() + wait_s, record.status
    while record.status == status and is_active(record) and now() < deadline:
        await context.changes.next(record.ref, deadline - now())
        record = await read()
    return record
