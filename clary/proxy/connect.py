"""The first request of a connection: CONNECT host:port, or a health check. Its size and time are bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import h11

from clary.proxy.limits import Limits

# Gets the connection, with the bytes that the client sent after its first request.
Handler = Callable[[asyncio.Transport, h11.Request, bytes], None]


class ConnectProtocol(asyncio.Protocol):
    """Reads the head of a request, then gives the connection to `handler`, paused."""

    _transport: asyncio.Transport

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self._handler = handler
        self._limits = limits
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
        self._deadline: asyncio.TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not of that class
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
            self._cancel_deadline()
            self._transport.pause_reading()
            self._handler(self._transport, event, self._http.trailing_data[0])

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """Answer, and read on for a while: a client that is still sending would otherwise meet a reset first."""
        self._cancel_deadline()
        self._refused = True
        self._transport.write(response(error.error_status_hint, "Not a CONNECT request", f"{error}\n".encode()))
        self._transport.write_eof()
        self._deadline = asyncio.get_running_loop().call_later(self._limits.linger_s, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()


def refuse(transport: asyncio.Transport, status: int, reason: str, text: str = "") -> None:
    """Answer and close the connection. Clients show the reason, and seldom the text."""
    transport.write(response(status, reason, f"{text or reason}\n".encode()))
    transport.close()


def response(status: int, reason: str, content: bytes, content_type: str = "text/plain; charset=utf-8") -> bytes:
    """The last response on a connection, as bytes."""
    head = (
        f"HTTP/1.1 {status} {reason}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1", "replace") + content
