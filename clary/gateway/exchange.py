"""One request of a caller, and the way to answer it."""

from __future__ import annotations

import secrets
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

from clary.core.errors import ServiceError
from clary.gateway import errors
from clary.gateway.body import Body

_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_BODILESS = frozenset({204, 304})

Headers = list[tuple[bytes, bytes]]


class Writer(Protocol):
    """The caller's end of the connection."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None:
        """Return when the caller takes more."""
        ...

    @property
    def blocked(self) -> bool:
        """Whether the caller does not take what is written."""
        ...

    def abort(self) -> None: ...

    @property
    def closing(self) -> bool:
        """Whether this connection will take no further request."""
        ...


class Exchange:
    """Filled by the connection; handed to the handler, which answers once: `respond`, or `start`, `write`, `finish`."""

    __slots__ = (
        "_chunked",
        "_one_one",
        "_writer",
        "asks_to_keep",
        "body",
        "finished",
        "headers",
        "keeps_connection",
        "method",
        "path",
        "query",
        "raw_headers",
        "received_at",
        "request_id",
        "stamps",
        "started",
    )

    def __init__(
        self,
        writer: Writer,
        method: str,
        target: str,
        raw_headers: Headers,
        body: Body,
        *,
        one_one: bool,
        asks_to_keep: bool,
    ) -> None:
        self.method = method
        self.path, _, self.query = target.partition("?")
        self.raw_headers = raw_headers  # lower-case names
        self.headers = joined(raw_headers)
        self.body = body
        self.asks_to_keep = asks_to_keep
        self.received_at = time.perf_counter()
        self.request_id = _request_id()
        self.stamps: Headers = []  # headers of the answer, whatever it will be
        self.started = False
        self.finished = False
        self.keeps_connection = False
        self._writer = writer
        self._one_one = one_one
        self._chunked = False

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer in one piece."""
        head = self._head(status, headers, len(body))
        self._writer.write(head if self.method == "HEAD" or status in _BODILESS else head + body)
        self.finished = True

    def start(self, status: int, headers: Headers, length: int | None) -> None:
        """Begin an answer whose body follows by `write`; of unknown length where `length` is None."""
        self._chunked = length is None and self._one_one
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
        """Answer with an error; where the answer has begun already, all that is left is to break it off."""
        if self.started:
            if not self.finished:
                self._writer.abort()
            return
        headers = [(b"x-amzn-ErrorType", error.code.encode()), (b"content-type", b"application/json")]
        self.respond(error.status, headers, errors.body(error))

    def _head(self, status: int, headers: Headers, length: int | None) -> bytes:
        self.started = True
        close_delimited = length is None and not self._one_one and status not in _BODILESS
        self.keeps_connection = (
            self.asks_to_keep and not close_delimited and self.body.complete and not self._writer.closing
        )
        line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status
        parts = [line, b"x-amzn-RequestId: ", self.request_id, b"\r\ndate: ", _date(), b"\r\n"]
        for name, value in (*self.stamps, *headers):
            parts += (name, b": ", value, b"\r\n")
        if status not in _BODILESS:
            if length is not None:
                parts.append(b"content-length: %d\r\n" % length)
            elif self._chunked:
                parts.append(b"transfer-encoding: chunked\r\n")
        if not self.keeps_connection:
            parts.append(b"connection: close\r\n")
        elif not self._one_one:
            parts.append(b"connection: keep-alive\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)


def _request_id() -> bytes:
    digits = secrets.token_hex(16)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}".encode()


def joined(raw: Headers) -> dict[str, str]:
    """Names to values; what was sent twice is joined by a comma."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("ascii"), value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers


_dated: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    """The Date header's value, made once a second."""
    global _dated
    now = int(time.time())
    if _dated[0] != now:
        _dated = (now, formatdate(now, usegmt=True).encode())
    return _dated[1]
