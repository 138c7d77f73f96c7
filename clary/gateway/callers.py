"""All callers' connections: what they share, and what is done to all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from clary.gateway.exchange import Exchange
from clary.gateway.limits import Limits

if TYPE_CHECKING:
    from clary.gateway.connection import CallerConnection

Handler = Callable[[Exchange], Awaitable[None]]


class Callers:
    """What all connections share. `draining`: answer what is under way, then close."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self.handler = handler
        self.limits = limits
        self.connections: set[CallerConnection] = set()
        self.draining = False
        self.buffered_bytes = 0
        self._left = asyncio.Event()

    def sweep(self, now: float) -> None:
        """Let every connection whose time is over know."""
        for connection in list(self.connections):
            connection.check_time(now)

    def drain(self) -> None:
        self.draining = True
        for connection in list(self.connections):
            connection.close_if_idle()

    def cut(self) -> None:
        """End what is still under way, telling the callers."""
        for connection in list(self.connections):
            connection.cut()

    async def all_gone(self) -> None:
        """Return when no connection is left."""
        while self.connections:
            self._left.clear()
            await self._left.wait()

    def forget(self, connection: CallerConnection) -> None:
        self.connections.discard(connection)
        self._left.set()
