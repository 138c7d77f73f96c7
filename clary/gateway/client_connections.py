"""The connections of all clients: what they share, and operations on all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from clary.gateway.exchange import Exchange
from clary.gateway.limits import Limits

if TYPE_CHECKING:
    from clary.gateway.client_connection import ClientConnection

Handler = Callable[[Exchange], Awaitable[None]]


class ClientConnections:
    """The open connections. `draining`: those under way are answered, then closed."""

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self.handler = handler
        self.limits = limits
        self.open: set[ClientConnection] = set()
        self.draining = False
        self.buffered_bytes = 0
        self._closed = asyncio.Event()

    def sweep(self, now: float) -> None:
        """Enforce the time limits of every connection."""
        for connection in list(self.open):
            connection.check_time(now)

    def drain(self) -> None:
        self.draining = True
        for connection in list(self.open):
            connection.close_if_idle()

    def cancel(self) -> None:
        """End the requests that are still under way, with an error."""
        for connection in list(self.open):
            connection.cancel()

    async def all_closed(self) -> None:
        """Return when no connection is open."""
        while self.open:
            self._closed.clear()
            await self._closed.wait()

    def remove(self, connection: ClientConnection) -> None:
        self.open.discard(connection)
        self._closed.set()
