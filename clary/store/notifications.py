"""Which records changed, from server to server over one PostgreSQL.

NOTIFY is sent outside the transaction that wrote, and for many records at once: the database lets only one transaction
that notifies commit at a time. A notification that is lost is a delay and nothing more, as the loop comes back to every
record, and does so at once after this connection was broken.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import Connection, func, select

from clary.core.records import Record, Ref, new_uid
from clary.store.database import Database

if TYPE_CHECKING:
    from psycopg import AsyncConnection

log = structlog.get_logger()

CHANNEL = "clary_changes"
BATCH_S = 0.02
MAX_PAYLOAD = 7999  # bytes, by PostgreSQL
# A connection that carries nothing is tried so often: a network that has gone silent gives no error.
CHECK_EVERY_S = 5.0
RECONNECT_AFTER_S = 1.0
_KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class Notifications:
    """Sends which records this server wrote, and receives which ones others did. For one event loop.

    With SQLite there are no others, and nothing is sent.

    on_change   called with each record that another server wrote, and with its owner
    on_gap      called when notifications may have been missed: after each time that the connection was made
    """

    def __init__(self, database: Database, on_change: Callable[[Ref], None], on_gap: Callable[[], None]) -> None:
        self._database = database
        self._on_change = on_change
        self._on_gap = on_gap
        self._has_others = database.engine.dialect.name == "postgresql"
        self._sender = new_uid()
        self._unsent: dict[Ref, None] = {}
        self._has_unsent = asyncio.Event()

    def send(self, record: Record) -> None:
        """Have the other servers know that a record was written or removed."""
        if self._has_others:
            self._unsent |= {ref: None for ref in (record.ref, record.owner) if ref}
            self._has_unsent.set()

    async def run(self) -> None:
        """Send and receive until cancelled."""
        if not self._has_others:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send())
            group.create_task(self._receive())

    async def _send(self) -> None:
        while True:
            await self._has_unsent.wait()
            await asyncio.sleep(BATCH_S)
            refs = list(self._unsent)
            self._unsent.clear()
            self._has_unsent.clear()
            try:
                await self._database.read(_notify, list(_payloads(self._sender, refs)))
            except Exception as error:
                log.warning("notification not sent", records=len(refs), error=repr(error))

    async def _receive(self) -> None:
        while True:
            try:
                async with await self._connect() as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._on_gap()
                    await self._listen(connection)
            except Exception as error:
                log.warning("not listening for notifications", error=repr(error), retry_after_s=RECONNECT_AFTER_S)
                await asyncio.sleep(RECONNECT_AFTER_S)

    async def _connect(self) -> AsyncConnection[Any]:
        from psycopg import AsyncConnection

        engine = self._database.engine
        _, given = engine.dialect.create_connect_args(engine.url)
        options: dict[str, Any] = {**_KEEPALIVES, **given}
        return await AsyncConnection.connect(**options, autocommit=True)

    async def _listen(self, connection: AsyncConnection[Any]) -> None:
        while True:
            async for notification in connection.notifies(timeout=CHECK_EVERY_S):
                sender, refs = json.loads(notification.payload)
                if sender != self._sender:
                    for kind, name in refs:
                        self._on_change(Ref(kind, name))
            async with asyncio.timeout(CHECK_EVERY_S):
                await connection.execute("SELECT 1")


def _notify(connection: Connection, payloads: Iterable[str]) -> None:
    for payload in payloads:
        connection.execute(select(func.pg_notify(CHANNEL, payload)))


def _payloads(sender: str, refs: Iterable[Ref]) -> Iterator[str]:
    """As few as the longest payload allows. ASCII, so that characters are bytes, and any name passes."""
    batch: list[str] = []
    size = 0
    for ref in refs:
        item = json.dumps([ref.kind, ref.name])
        if batch and size + len(item) + 1 > MAX_PAYLOAD - len(sender) - 16:
            yield _payload(sender, batch)
            batch, size = [], 0
        batch.append(item)
        size += len(item) + 1
    if batch:
        yield _payload(sender, batch)


def _payload(sender: str, items: list[str]) -> str:
    return f'["{sender}",[{",".join(items)}]]'
