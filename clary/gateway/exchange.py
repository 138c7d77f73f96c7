"""A request of a client, and the means to answer it."""

from __future__ import annotations

import secrets
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

from clary.core.errors import ServiceError
from clary.gateway.body import Body
from clary.gateway.errors import error_body

_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_BODILESS = frozenset({204, 304})

Headers = list[tuple[bytes, bytes]]


class Writer(Protocol):
    """The client's end of the connection."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None:
        """Return when the client takes more."""
        ...

    @property
    def blocked(self) -> bool:
        """Whether the client does not take what is written."""
        ...

    def abort(self) -> None: ...

    @property
    def closing(self) -> bool:
        """Whether no further request will be read from this connection."""
        ...


class Exchange:
    """Made by the connection for the handler, which answers once: by `respond`, or by `start`, `write` and `finish`."""

    __slots__ = (
        "_chunked",
        "_http_1_1",
        "_writer",
        "body",
        "extra_headers",
        "finished",
        "headers",
        "keep_alive",
        "method",
        "path",
        "query",
        "raw_headers",
        "received_at",
        "request_id",
        "started",
        "wants_keep_alive",
    )

    def __init__(
        self,
        writer: Writer,
        method: str,
        target: str,
        raw_headers: Headers,
        body: Body,
        *,
        http_1_1: bool,
        wants_keep_alive: bool,
    ) -> None:
        self.method = method
        self.path, _, self.query = target.partition("?")
        self.raw_headers = raw_headers  # lower-case names
        self.headers = join_headers(raw_headers)
        self.body = body
        self.wants_keep_alive = wants_keep_alive
        self.received_at = time.perf_counter()
        self.request_id = _request_id()
        self.extra_headers: Headers = []  # of the response, an error's too
        self.started = False
        self.finished = False
        self.keep_alive = False
        self._writer = writer
        self._http_1_1 = http_1_1
        self._chunked = False

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer in one piece."""
        head = self._head(status, headers, len(body))
        self._writer.write(head if self.method == "HEAD" or status in _BODILESS else head + body)
        self.finished = True

    def start(self, status: int, headers: Headers, length: int | None) -> None:
        """Begin a response whose body follows by `write`; of unknown length where `length` is None."""
        self._chunked = length is None and self._http_1_1
        self._writer.write(self._head(status, headers, length))

    def write(self, chunk: bytes) -> None:
        if self._chunked:
            self._writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        else:
            self._writer.write(chunk)

    @property
    def blocked(self) -> bool:
        return self._writer.blocked

    async def drain(self) -> None:
        await self._writer.drain()

    def finish(self) -> None:
        if self._chunked:
            self._writer.write(b"0\r\n\r\n")
        self.finished = True

    def refuse(self, error: ServiceError) -> None:
        """Answer with an error; where the response has begun already, the connection is closed instead."""
        if self.started:
            if not self.finished:
                self._writer.abort()
            return
        headers = [(b"x-amzn-ErrorType", error.code.encode()), (b"content-type", b"application/json")]
        self.respond(error.status, headers, error_body(error))

    def _head(self, status: int, headers: Headers, length: int | None) -> bytes:
        self.started = True
        close_delimited = length is None and not self._http_1_1 and status not in _BODILESS
        self.keep_alive = (
            self.wants_keep_alive and not close_delimited and self.body.complete and not self._writer.closing
        )
        line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status
        parts = [line, b"x-amzn-RequestId: ", self.request_id, b"\r\ndate: ", _date(), b"\r\n"]
        for name, value in (*self.extra_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        if status not in _BODILESS:
            if length is not None:
                parts.append(b"content-length: %d\r\n" % length)
            elif self._chunked:
                parts.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
        elif not self._http_1_1:
            parts.append(b"connection: keep-alive\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)


def _request_id() -> bytes:
    digits = secrets.token_hex(16)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}".encode()


def join_headers(raw: Headers) -> dict[str, str]:
    """Names to values; the values of a name that was sent twice are joined by a comma."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("ascii"), value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers


_current_date: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    """The Date header's value, formatted once a second."""
    global _current_date
    now = int(time.time())
    if _current_date[0] != now:
        _current_date = (now, formatdate(now, usegmt=True).encode())
    return _current_date[1]
