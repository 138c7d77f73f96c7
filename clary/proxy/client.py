"""The client's side of a connection: requests in, responses out, one after the other, by h11; time limits are added."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import h11

from clary.proxy.errors import BadRequest
from clary.proxy.limits import Limits

Headers = list[tuple[bytes, bytes]]

READ_BYTES = 256 * 1024

_CONTINUE = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")


class ClientDisconnected(Exception):
    """The client closed the connection, or neither sends nor reads any more: no answer can reach it."""


class Client:
    """A client that has connected."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: Limits) -> None:
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)

    @property
    def answering(self) -> bool:
        """Whether the response to the current request has begun: then no other can be given."""
        return self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE)

    @property
    def reusable(self) -> bool:
        """Whether another request may follow."""
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def request(self) -> h11.Request | None:
        """The next request; None where the client closes the connection or sends none in time.

        Raises BadRequest for anything but HTTP, ClientDisconnected where a request is not sent to the end of its head.
        """
        if self.reusable:
            self._http.start_next_cycle()
        if (event := self._next()) is h11.NEED_DATA:
            try:
                await self._receive(self._limits.idle_s)
            except ClientDisconnected:
                return None
            event = self._next()
        if event is h11.NEED_DATA:
            try:
                async with asyncio.timeout(self._limits.head_s):
                    while (event := self._next()) is h11.NEED_DATA:
                        await self._receive(None)
            except TimeoutError:
                raise ClientDisconnected from None
        return event if isinstance(event, h11.Request) else None

    async def body(self) -> AsyncIterator[bytes]:
        """The request's body, piece by piece as it is received. A client that waits for `100 Continue` gets it.

        Raises BadRequest, ClientDisconnected.
        """
        if self._http.they_are_waiting_for_100_continue:
            await self._write(self._http.send(_CONTINUE))
        while True:
            match self._next():
                case h11.Data(data=data):
                    yield bytes(data)
                case h11.EndOfMessage():
                    return
                case h11.ConnectionClosed():
                    raise ClientDisconnected
                case _:
                    await self._receive(self._limits.body_gap_s)

    async def disconnected(self) -> None:
        """Return when the client closes the connection; the request's body has to be read first.

        Of a client that sends its next request already, it does not return.
        """
        with contextlib.suppress(OSError):
            if data := await self._reader.read(READ_BYTES):
                self._http.receive_data(data)
                await asyncio.Event().wait()

    async def start(self, status: int, reason: bytes, headers: Headers) -> None:
        """Begin the response. Without a length in its headers the body is sent in chunks."""
        await self._write(self._http.send(h11.Response(status_code=status, reason=reason, headers=headers)))

    async def send(self, piece: bytes) -> None:
        await self._write(self._http.send(h11.Data(data=piece)))

    async def end(self) -> None:
        await self._write(self._http.send(h11.EndOfMessage()))
        # Read what was received of a request that was answered unread: where it is whole, another may follow.
        while self._http.their_state is h11.SEND_BODY and self._next() is not h11.NEED_DATA:
            pass

    async def linger(self) -> None:
        """Read on for a while where the response was sent before the request was received to its end.

        A client that is still sending would otherwise meet a reset, and never read the response.
        """
        remaining = self._limits.linger_bytes
        while self._http.their_state is h11.SEND_BODY and remaining > 0:
            event = self._next()
            if event is h11.NEED_DATA:
                await self._receive(self._limits.linger_s)
            elif isinstance(event, h11.Data):
                remaining -= len(event.data)

    async def close(self) -> None:
        self._writer.close()
        try:
            async with asyncio.timeout(self._limits.linger_s):
                await self._writer.wait_closed()
        except OSError:
            self.abort()

    def abort(self) -> None:
        self._writer.transport.abort()

    def _next(self) -> object:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            raise BadRequest(f"The request is not well-formed HTTP: {error}") from error

    async def _receive(self, within_s: float | None) -> None:
        """Receive more from the client. The end of the connection is an event too."""
        try:
            async with asyncio.timeout(within_s):
                data = await self._reader.read(READ_BYTES)
        except OSError as error:
            raise ClientDisconnected from error
        self._http.receive_data(data)

    async def _write(self, data: bytes | None) -> None:
        self._writer.write(data or b"")
        try:
            async with asyncio.timeout(self._limits.stall_s):
                await self._writer.drain()
        except OSError as error:
            raise ClientDisconnected from error
