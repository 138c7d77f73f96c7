"""The leases of a server: when it works, when it stops, and what the next one waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from clary.control.leases import CONTROL, RenewedLeases, node_lease, node_of
from clary.core.errors import StoreError
from clary.store.memory import MemoryStore
from clary.testing.clock import START, ManualClock

LEASE_S = 15.0


class Database(MemoryStore):
    """Refuses, or never answers, when the test sets it to."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses = False
        self.hangs = False

    async def acquire(self, lease: str, holder: str, now: datetime, until: datetime) -> bool:
        if self.hangs:
            await asyncio.Event().wait()
        if self.refuses:
            raise StoreError("out of reach")
        return await super().acquire(lease, holder, now, until)


class Node:
    """A server whose clock and database a test moves."""

    def __init__(self, store: Database, clock: ManualClock, name: str) -> None:
        self.store = store
        self.clock = clock
        self.gained_control = 0
        self.leases = RenewedLeases(store, name, clock, LEASE_S, self._gain)
        self.working = 0

    def _gain(self) -> None:
        self.gained_control += 1

    async def work(self) -> None:
        self.working += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.working -= 1

    async def advance(self, seconds: float) -> None:
        """Let so much time pass, and everybody do what is due."""
        self.clock.advance(seconds)
        for _ in range(20):
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def started(store: Database, clock: ManualClock, name: str) -> AsyncIterator[Node]:
    node = Node(store, clock, name)
    running = asyncio.create_task(node.leases.while_held(node.work))
    await node.advance(0)
    yield node
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def run_scenario(scenario: Callable[[Database, ManualClock], Awaitable[None]]) -> None:
    async def run() -> None:
        await scenario(Database(), ManualClock())

    asyncio.run(run())


def test_every_server_works_for_its_node_and_one_has_control():
    async def scenario(store: Database, clock: ManualClock) -> None:
        async with started(store, clock, "a") as a, started(store, clock, "b") as b:
            assert [node.working for node in (a, b)] == [1, 1]
            assert [node.leases.may_act for node in (a, b)] == [True, True]
            assert [node.leases.has_control for node in (a, b)] == [True, False]
            assert await a.leases.is_alive("b")
            for _ in range(20):
                await a.advance(LEASE_S / 3)
            assert [node.working for node in (a, b)] == [1, 1]
            assert [node.leases.has_control for node in (a, b)] == [True, False]
            assert [node.gained_control for node in (a, b)] == [1, 0]

    run_scenario(scenario)


def test_a_server_that_is_stopped_gives_control_back_and_keeps_its_node():
    async def scenario(store: Database, clock: ManualClock) -> None:
        async with started(store, clock, "a"):
            pass
        assert await store.acquire(CONTROL, "b", clock.now(), clock.now() + timedelta(seconds=LEASE_S))
        assert await store.is_held(node_lease("a"), clock.now())

    run_scenario(scenario)


def test_a_server_that_died_takes_over_from_itself():
    async def scenario(store: Database, clock: ManualClock) -> None:
        until = clock.now() + timedelta(seconds=LEASE_S)
        for lease in (CONTROL, node_lease("a")):
            assert await store.acquire(lease, "a", clock.now(), until)
        async with started(store, clock, "a") as a:
            assert (a.working, a.leases.has_control) == (1, True)

    run_scenario(scenario)


def test_control_passes_on_when_its_lease_is_over_and_is_announced():
    async def scenario(store: Database, clock: ManualClock) -> None:
        assert await store.acquire(CONTROL, "dead", START, START + timedelta(seconds=LEASE_S))
        async with started(store, clock, "a") as a:
            assert (a.working, a.leases.has_control) == (1, False)
            for _ in range(3):
                await a.advance(LEASE_S / 3)
            assert (a.leases.has_control, a.gained_control) == (True, 1)

    run_scenario(scenario)


@pytest.mark.parametrize("fault", ["refuses", "hangs"])
def test_a_server_that_cannot_renew_stops_before_another_may_take_over(fault):
    async def scenario(store: Database, clock: ManualClock) -> None:
        async with started(store, clock, "a") as a:
            setattr(store, fault, True)
            await a.advance(LEASE_S / 3)
            await a.advance(LEASE_S / 3)
            assert not a.working
            assert (a.leases.may_act, a.leases.has_control) == (False, False)
            assert await store.is_held(node_lease("a"), clock.now()), "nobody else may act yet"
            setattr(store, fault, False)
            await a.advance(LEASE_S / 3)
            assert (a.working, a.leases.may_act, a.leases.has_control) == (1, True, True)
            assert a.gained_control == 2

    run_scenario(scenario)


def test_a_server_that_stood_still_may_not_act_when_it_goes_on():
    async def scenario(store: Database, clock: ManualClock) -> None:
        async with started(store, clock, "a") as a:
            clock.advance(LEASE_S * 2 / 3)  # nothing else has run yet
            assert (a.leases.may_act, a.leases.has_control) == (False, False)

    run_scenario(scenario)


def test_an_error_of_the_work_is_raised():
    async def scenario(store: Database, clock: ManualClock) -> None:
        async def fail() -> None:
            raise RuntimeError("a bug")

        with pytest.raises(RuntimeError, match="a bug"):
            await RenewedLeases(store, "a", clock, LEASE_S).while_held(fail)

    run_scenario(scenario)


def test_a_home_keeps_its_node(tmp_path):
    file = tmp_path / "node"
    node = node_of(file)
    assert node_of(file) == node
    assert node_of(tmp_path / "other") != node
    assert file.read_text() == f"{node}\n"
    file.write_text("")  # a power cut, or an editor
    assert node_of(file) not in ("", node)
