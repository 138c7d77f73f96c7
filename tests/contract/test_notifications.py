"""Servers on one PostgreSQL hear of each other's writes, and resume when the connection was broken."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import text

from clary.core.changes import Changes
from clary.core.records import Record, Ref
from clary.store import notifications as module
from clary.store.database import Database, open_database
from clary.store.notifications import MAX_PAYLOAD, Notifications, _payloads
from clary.store.reporting import ReportingStore
from clary.store.sql import SqlStore
from clary.testing.store import HOSTILE_TEXTS, a_record
from tests.postgres import fresh_database

WITHIN_S = 1.0  # what the server promises; here it takes some 25 ms


class Node:
    """The store of one server, and what it has received."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.changes = Changes()
        self.received: asyncio.Queue[Ref] = asyncio.Queue()
        self.changes.subscribe(self.received.put_nowait)
        self.gaps: asyncio.Queue[None] = asyncio.Queue()
        self.notifications = Notifications(database, self.changes.notify, lambda: self.gaps.put_nowait(None))
        self.store = ReportingStore(SqlStore(database), self.notifications.send)

    async def next_change(self) -> Ref:
        async with asyncio.timeout(WITHIN_S):
            return await self.received.get()

    async def wait_until_it_listens(self) -> None:
        async with asyncio.timeout(10):
            await self.gaps.get()


@contextlib.asynccontextmanager
async def node(url: str) -> AsyncIterator[Node]:
    database = await open_database(url)
    made = Node(database)
    running = asyncio.create_task(made.notifications.run())
    await made.wait_until_it_listens()
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await database.close()


def run_scenario(scenario: Callable[[Node, Node], Awaitable[None]]) -> None:
    async def run() -> None:
        url = fresh_database("notifications")
        async with node(url) as writer, node(url) as listener:
            await scenario(writer, listener)

    asyncio.run(run())


def test_every_write_notifies_the_other_server_and_not_its_own():
    async def scenario(writer: Node, listener: Node) -> None:
        record = await writer.store.create(a_record())
        assert await listener.next_change() == record.ref
        record = await writer.store.replace(record, record.with_state(n=1))
        assert await listener.next_change() == record.ref
        await writer.store.delete(record)
        assert await listener.next_change() == record.ref
        await listener.store.create(a_record("other"))
        assert await writer.next_change() == Ref("training-job", "other")
        assert (writer.received.empty(), listener.received.empty()) == (True, True)

    run_scenario(scenario)


def test_a_waiter_is_notified_of_another_servers_write():
    async def scenario(writer: Node, listener: Node) -> None:
        record = await writer.store.create(a_record())
        await listener.next_change()
        waiting = asyncio.create_task(listener.changes.next(record.ref, within_s=60))
        await asyncio.sleep(0)
        await writer.store.replace(record, record.with_state(n=1))
        async with asyncio.timeout(WITHIN_S):
            await waiting

    run_scenario(scenario)


def test_the_owner_of_a_record_is_named_too():
    async def scenario(writer: Node, listener: Node) -> None:
        owner = await writer.store.create(a_record("owner"))
        assert await listener.next_change() == owner.ref
        child = await writer.store.create(a_record("child").owned_by(owner))
        assert {await listener.next_change(), await listener.next_change()} == {owner.ref, child.ref}

    run_scenario(scenario)


def test_many_writes_at_once_are_few_notifications(monkeypatch):
    sent: list[str] = []
    notify = module._notify
    monkeypatch.setattr(module, "_notify", lambda c, payloads: (sent.extend(payloads), notify(c, payloads)))

    async def scenario(writer: Node, listener: Node) -> None:
        records = [a_record(f"r{number}") for number in range(100)]
        for record in records:
            writer.notifications.send(record)
        assert [await listener.next_change() for _ in records] == [record.ref for record in records]
        assert len(sent) == 1

    run_scenario(scenario)


def test_a_broken_connection_is_made_anew_and_reports_that_notifications_may_be_missing():
    async def scenario(writer: Node, listener: Node) -> None:
        def end(connection) -> None:
            sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = :query"
            connection.execute(text(sessions), {"query": f"LISTEN {module.CHANNEL}"})

        await writer.database.write(end)
        await listener.wait_until_it_listens()
        record = await writer.store.create(a_record())
        assert await listener.next_change() == record.ref

    run_scenario(scenario)


def test_payloads_are_as_long_as_they_may_be_whatever_the_names_hold():
    refs = [Ref("training-job", f"{text_}-{number}") for number in range(300) for text_ in HOSTILE_TEXTS]
    payloads = list(_payloads("sender", refs))
    assert max(map(len, payloads)) <= MAX_PAYLOAD
    assert len(payloads) == -(-sum(map(len, payloads)) // (MAX_PAYLOAD - 100))
    assert [Ref(*ref) for payload in payloads for ref in module.json.loads(payload)[1]] == refs
    assert list(_payloads("sender", [])) == []


def test_with_sqlite_nothing_is_sent(tmp_path):
    async def scenario() -> None:
        database = await open_database(f"sqlite:///{tmp_path}/clary.db")
        notifications = Notifications(database, pytest.fail, pytest.fail)
        record: Record = a_record()
        notifications.send(record)
        running = asyncio.create_task(notifications.run())
        await asyncio.sleep(0)
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await database.close()

    asyncio.run(scenario())
