"""A connection's first words: CONNECT host:port, or somebody asking how the proxy is. Bytes are counted, and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import h11

from clary.proxy.limits import Limits

# Takes the connection over, with what the client sent ahead.
Handler = Callable[[asyncio.Transport, h11.Request, bytes], None]


class Front(asyncio.Protocol):
    """Reads one head, then hands the connection on, paused."""

    _transport: asyncio.Transport

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self._handler = handler
        self._limits = limits
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
        self._deadline: asyncio.TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not say that it is one
        self._deadline = asyncio.get_running_loop().call_later(self._limits.head_s, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        try:
            self._http.receive_data(data)
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            self._refuse(error)
            return
        if isinstance(event, h11.Request):
            self._stop_the_clock()
            self._transport.pause_reading()
            self._handler(self._transport, event, self._http.trailing_data[0])

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """Answer; what is still on its way is let in, as the client would otherwise meet a reset first."""
        self._stop_the_clock()
        self._refused = True
        self._transport.write(answer(error.error_status_hint, "This is no CONNECT", f"{error}\n".encode()))
        self._transport.write_eof()
        self._deadline = asyncio.get_running_loop().call_later(self._limits.linger_s, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_the_clock()

    def _stop_the_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()


def refuse(transport: asyncio.Transport, status: int, reason: str, text: str = "") -> None:
    """Answer and hang up. Clients show the reason, and seldom the text."""
    transport.write(answer(status, reason, f"{text or reason}\n".encode()))
    transport.close()


def answer(status: int, reason: str, content: bytes, kind: str = "text/plain; charset=utf-8") -> bytes:
    """The last answer on a connection, as bytes."""
    head = (
        f"HTTP/1.1 {status} {reason}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1", "replace") + content
