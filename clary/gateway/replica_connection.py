"""A connection to a replica: raw httptools on asyncio, kept alive, one request at a time.

    send ──> head ──> chunk, chunk, … b"" ──> (in the pool, or closed)
Back-pressure: a replica is read only as fast as the client takes the response.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import cast

import httptools

from clary.core.errors import ClaryError

_MAX_UNREAD_BYTES = 256 * 1024  # of a response, buffered before reading from the replica pauses
_MAX_HEAD_BYTES = 64 * 1024  # of a response's headers


class ReplicaDisconnected(ClaryError):
    """The connection broke, or the response is not HTTP, after the request was sent."""


class ReplicaConnection(asyncio.Protocol):
    """A connection. `status`, `headers` and `content_length` hold once `head` has returned."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._write_paused = False
        self._read_paused = False
        self.closed = False
        self.idle_since = 0.0
        self._request_sent = False
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.content_length: int | None = None
        self.complete = False
        self._request_complete = True
        self._has_head = False
        self._head_bytes = 0
        self._until_close = False
        self._keep_alive = False
        self._chunks: deque[bytes] = deque()
        self._unread = 0
        self._failure = ""

    # For the gateway

    def send(self, pieces: Iterable[bytes], *, whole: bool = True) -> None:
        """Send a request; where it is not whole, the rest follows by `write` and `finish_request`."""
        self._reset()
        self._request_complete = whole
        self._request_sent = True
        if not self.closed:
            self._transport.writelines(list(pieces))

    async def write(self, data: bytes) -> None:
        """Send more of the body; return when the replica wants yet more."""
        if self.closed:
            return
        self._transport.write(data)
        if self._write_paused:
            self._drained = self._loop.create_future()
            await self._drained

    def finish_request(self) -> None:
        self._request_complete = True

    async def head(self) -> None:
        """Return when status and headers were received. Raises ReplicaDisconnected."""
        while not self._has_head:
            self._raise_failure()
            await self._wait()

    async def chunk(self) -> bytes:
        """The next piece of the response's body, b"" at its end. Raises ReplicaDisconnected where it ends too early."""
        while not self._chunks:
            if self.complete:
                return b""
            self._raise_failure()
            await self._wait()
        chunk = self._chunks.popleft()
        self._unread -= len(chunk)
        if self._read_paused and not self._chunks and not self.closed:
            self._read_paused = False
            self._transport.resume_reading()
        return chunk

    async def read_body(self, limit: float = float("inf")) -> bytes:
        """The body as far as it was not read yet, at most about `limit` bytes of it."""
        parts = []
        size = 0
        while size < limit and (chunk := await self.chunk()):
            parts.append(chunk)
            size += len(chunk)
        return b"".join(parts)

    @property
    def reusable(self) -> bool:
        """Whether request and response are complete, and no side wants to close."""
        done = self.complete and self._request_complete and not self._chunks and not self._write_paused
        return done and self._keep_alive and not self.closed

    def mark_idle(self) -> None:
        self._request_sent = False
        self.idle_since = self._loop.time()

    def abort(self) -> None:
        self.closed = True
        self._transport.abort()

    def _raise_failure(self) -> None:
        if self._failure:
            raise ReplicaDisconnected(self._failure)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's are not of that class
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._request_sent or self.complete:  # bytes without a request: this connection cannot be trusted
            self._keep_alive = False
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"the response is not HTTP: {error}")
            self.abort()
        if self._unread > _MAX_UNREAD_BYTES and not self.closed:
            self._read_paused = True
            self._transport.pause_reading()
        self._wake()

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._release_writer()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._has_head and self._until_close and exc is None:
            self.complete = True
        else:
            self._fail(f"the connection was closed{f' ({exc})' if exc else ''}")
        self._release_writer()
        self._wake()

    def _release_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _fail(self, reason: str) -> None:
        if not self.complete and not self._failure:
            self._failure = reason

    # httptools

    def on_message_begin(self) -> None:
        if self.complete:
            raise ValueError("a second response")
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _MAX_HEAD_BYTES:
            raise ValueError(f"headers of more than {_MAX_HEAD_BYTES} bytes")
        if not self._has_head:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            return  # an interim response; the final one follows
        self.status = status
        self._has_head = True
        self._keep_alive = self._parser.should_keep_alive()
        names = dict(self.headers)
        if b"content-length" in names:
            self.content_length = int(names[b"content-length"])
        self._until_close = self.content_length is None and b"transfer-encoding" not in names

    def on_body(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._unread += len(chunk)

    def on_message_complete(self) -> None:
        self.complete = self._has_head
