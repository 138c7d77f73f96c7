"""A connection to a replica: raw httptools on asyncio, kept alive, one request at a time.

    send ──> head ──> chunk, chunk, … b"" ──> (in the pool, or closed)
Back-pressure: a replica is read only as fast as its caller takes the answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import cast

import httptools

from clary.core.errors import ClaryError

_UNREAD_BYTES = 256 * 1024  # of an answer, kept here before the replica is told to wait
_HEAD_BYTES = 64 * 1024  # of an answer's headers


class ReplicaGone(ClaryError):
    """The connection broke, or what came back is not HTTP, after the request was sent."""


class ReplicaConnection(asyncio.Protocol):
    """One connection. `status`, `headers` and `content_length` hold once `head` has returned."""

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
        self._asked = False
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.content_length: int | None = None
        self.complete = False
        self._sent_whole = True
        self._has_head = False
        self._head_bytes = 0
        self._until_close = False
        self._keep_alive = False
        self._chunks: deque[bytes] = deque()
        self._unread = 0
        self._broken = ""

    # What the gateway does with it

    def send(self, pieces: Iterable[bytes], *, whole: bool = True) -> None:
        """Send a request; where this is not the whole of it, the rest follows by `write` and `finish_request`."""
        self._reset()
        self._sent_whole = whole
        self._asked = True
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
        self._sent_whole = True

    async def head(self) -> None:
        """Return when status and headers are there. Raises ReplicaGone."""
        while not self._has_head:
            self._raise_if_broken()
            await self._wait()

    async def chunk(self) -> bytes:
        """The next piece of the answer's body, b"" at its end. Raises ReplicaGone where it ends too early."""
        while not self._chunks:
            if self.complete:
                return b""
            self._raise_if_broken()
            await self._wait()
        chunk = self._chunks.popleft()
        self._unread -= len(chunk)
        if self._read_paused and not self._chunks and not self.closed:
            self._read_paused = False
            self._transport.resume_reading()
        return chunk

    async def rest(self, limit: float = float("inf")) -> bytes:
        """What is left of the body, at most about `limit` bytes of it."""
        parts = []
        size = 0
        while size < limit and (chunk := await self.chunk()):
            parts.append(chunk)
            size += len(chunk)
        return b"".join(parts)

    @property
    def reusable(self) -> bool:
        """Whether both sides have said all they had to say, and none wants to leave."""
        done = self.complete and self._sent_whole and not self._chunks and not self._write_paused
        return done and self._keep_alive and not self.closed

    def rest_in_pool(self) -> None:
        self._asked = False
        self.idle_since = self._loop.time()

    def abort(self) -> None:
        self.closed = True
        self._transport.abort()

    def _raise_if_broken(self) -> None:
        if self._broken:
            raise ReplicaGone(self._broken)

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
        if not self._asked or self.complete:  # bytes that answer nothing: this connection cannot be trusted
            self._keep_alive = False
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._break(f"what it sent is not HTTP: {error}")
            self.abort()
        if self._unread > _UNREAD_BYTES and not self.closed:
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
            self._break(f"the connection was closed{f' ({exc})' if exc else ''}")
        self._release_writer()
        self._wake()

    def _release_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _break(self, why: str) -> None:
        if not self.complete and not self._broken:
            self._broken = why

    # httptools

    def on_message_begin(self) -> None:
        if self.complete:
            raise ValueError("a second answer")
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _HEAD_BYTES:
            raise ValueError(f"headers of more than {_HEAD_BYTES} bytes")
        if not self._has_head:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            return  # an interim answer; the real one follows
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
