"""Which records this server may work on.

Every home has a node, which it keeps. Its server holds the node's lease while it acts at all, and works on the records
that name the node. One of the servers that share a database holds the control lease beside it, and works on the records
that name no node; it takes over those of a node whose lease is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import structlog

from clary.core.clock import Clock
from clary.core.files import write_whole
from clary.core.records import new_uid
from clary.store.base import Store

log = structlog.get_logger()

CONTROL = "control"  # the name of the lease


def node_lease(node: str) -> str:
    return f"node/{node}"


def node_of(file: Path) -> str:
    """The node of a home, made at the first start and kept in `file`. For whoever alone starts a server on the home."""
    with contextlib.suppress(FileNotFoundError):
        if node := file.read_text(encoding="utf-8").strip():
            return node
    node = f"{socket.gethostname()}-{new_uid()}"
    write_whole(file, f"{node}\n")
    return node


class Leases(Protocol):
    """What the loop asks before it works on a record."""

    node: str

    @property
    def may_act(self) -> bool:
        """Whether the node's lease is held, as far as this server knows."""
        ...

    @property
    def has_control(self) -> bool:
        """Whether the control lease is held, as far as this server knows."""
        ...

    async def is_alive(self, node: str) -> bool:
        """Whether another node's lease is held."""
        ...


class RenewedLeases:
    """Leases of a store, renewed every third of their life.

    A server that could not renew stops after two thirds, before another may take over. Both ends are reckoned from the
    moment before the renewal was sent, and by this machine's clock: the clocks of servers that share a database may
    differ by a third of `lease_s`.
    """

    def __init__(
        self, store: Store, node: str, clock: Clock, lease_s: float, on_control: Callable[[], None] = lambda: None
    ) -> None:
        """on_control: called when this server has come to hold the control lease."""
        self.node = node
        self._on_control = on_control
        self._store = store
        self._clock = clock
        self._life = timedelta(seconds=lease_s)
        self._node_until: datetime | None = None
        self._control_until: datetime | None = None

    @property
    def may_act(self) -> bool:
        return self._node_until is not None and self._clock.now() < self._node_until

    @property
    def has_control(self) -> bool:
        return self._control_until is not None and self._clock.now() < self._control_until

    async def is_alive(self, node: str) -> bool:
        return await self._store.is_held(node_lease(node), self._clock.now())

    async def while_held(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` whenever, and only while, the node's lease is held; until cancelled.

        A server that is stopped gives the control lease back, so that the next need not wait for its end. The node's
        lease runs on: a server that is started again before its end goes on with what its node has.
        """
        try:
            while True:
                if await self._renew():
                    await self._work_while_renewed(work)
                    log.warning("node lease lost", node=self.node)
                await self._clock.sleep_until(self._clock.now() + self._life / 3)
        finally:
            with contextlib.suppress(Exception):  # it ends by itself
                await self._store.release(CONTROL, self.node)

    async def _work_while_renewed(self, work: Callable[[], Awaitable[None]]) -> None:
        working = asyncio.ensure_future(work())
        try:
            while True:
                pause = asyncio.ensure_future(self._clock.sleep_until(self._clock.now() + self._life / 3))
                await _first_of(working, pause)
                if working.done():
                    break
                if not await self._renew():
                    return
            await working  # it never ends but by an error: let it be seen
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def _renew(self) -> bool:
        """Take or renew both leases; whether the node's is held."""
        sent = self._clock.now()
        held = await self._acquire(node_lease(self.node), sent)
        self._node_until = sent + self._life * 2 / 3 if held else None
        had_control = self.has_control
        controls = held and await self._acquire(CONTROL, sent)
        self._control_until = sent + self._life * 2 / 3 if controls else None
        if controls and not had_control:
            self._on_control()
        return held

    async def _acquire(self, lease: str, sent: datetime) -> bool:
        """False where somebody else holds it, or the database has not answered within a third of the lease's life."""
        acquiring = asyncio.ensure_future(self._store.acquire(lease, self.node, sent, sent + self._life))
        timeout = asyncio.ensure_future(self._clock.sleep_until(sent + self._life / 3))
        try:
            await _first_of(acquiring, timeout)
            if acquiring.done():
                return acquiring.result()
            log.warning("lease not renewed", lease=lease, error="the database does not answer")
        except Exception as error:  # the database may be away for a while; without it there is no lease
            log.warning("lease not renewed", lease=lease, error=repr(error))
        finally:
            acquiring.cancel()
        return False


async def _first_of(work: asyncio.Future[Any], timeout: asyncio.Future[None]) -> None:
    """Return when one of them is done; nobody waits for `timeout` any more then."""
    try:
        await asyncio.wait({work, timeout}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timeout.cancel()
