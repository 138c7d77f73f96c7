"""The body of a request as it is received: hashed piece by piece, bounded, and read either whole or as a stream."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable

from clary.core.errors import ServiceError

_MAX_UNREAD_BYTES = 256 * 1024  # of a streamed body, buffered before reading from its sender pauses


class Body:
    """Filled by the connection (`append`, `end`, `fail`), read by the handler (`whole` or `next`).

    on_wait     called each time the handler begins to wait: the first is the moment for `100 Continue`
    on_read     called when `backlogged` may have changed
    """

    def __init__(self, limit: int, on_wait: Callable[[], None], on_read: Callable[[], None]) -> None:
        self.size = 0
        self.complete = False
        self._limit = limit
        self._on_wait = on_wait
        self._on_read = on_read
        self._chunks: deque[bytes] = deque()
        self._unread = 0
        self._streamed = False
        self._hash = hashlib.sha256()
        self._error: ServiceError | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    @property
    def backlogged(self) -> bool:
        """Whether its sender should wait. Only of a streamed body: one that is read whole is bounded by its limit."""
        return self._streamed and self._unread > _MAX_UNREAD_BYTES

    def append(self, chunk: bytes) -> bool:
        """False where the body has become larger than its limit, or has failed."""
        if self._error is not None:
            return False
        self.size += len(chunk)
        if self.size > self._limit:
            return False
        self._hash.update(chunk)
        self._chunks.append(chunk)
        self._unread += len(chunk)
        if self._streamed:
            self._wake()
        return True

    def end(self) -> None:
        self.complete = self._error is None
        self._wake()

    def fail(self, error: ServiceError) -> None:
        """The body will not be received to its end; whoever reads it gets this error."""
        if not self.complete and self._error is None:
            self._error = error
            self._wake()

    async def whole(self) -> list[bytes]:
        """All pieces, once the last was received. Raises the error given to `fail`."""
        while not self.complete:
            await self._wait()
        return list(self._chunks)

    async def next(self) -> bytes:
        """The next piece, b"" at the end. Raises the error given to `fail`."""
        self._streamed = True
        while not self._chunks:
            if self.complete:
                return b""
            await self._wait()
        chunk = self._chunks.popleft()
        self._unread -= len(chunk)
        self._on_read()
        return chunk

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._on_wait()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._error is not None:
            raise self._error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
