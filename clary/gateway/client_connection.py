"""A client's connection: bytes in, Exchanges to the handler one after the other, responses out in the same order.

    idle ──> head ──> (handler runs; body comes in) ──> idle | lingering ──> closed
Lingering: the response is sent before the request was received to its end. The rest is read and discarded for a while:
a client that is still sending would otherwise meet a reset, and never read the response.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import httptools
import structlog

from clary.core.errors import InternalFailure, ServiceError, ServiceUnavailable, ValidationError
from clary.gateway.body import Body
from clary.gateway.client_connections import ClientConnections
from clary.gateway.errors import HeadersTooLarge, RequestTimeout
from clary.gateway.exchange import Exchange, Headers
from clary.gateway.limits import Limits

_NEVER = float("inf")

log = structlog.get_logger()


class ClientConnection(asyncio.Protocol):
    """Implements `exchange.Writer` too."""

    _transport: asyncio.Transport

    def __init__(self, connections: ClientConnections) -> None:
        self._connections = connections
        self._limits = connections.limits
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._current: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._pipeline: deque[Exchange] = deque()
        self._refusal: ServiceError | None = None  # a violation of HTTP, answered after the requests under way
        self._drained: asyncio.Future[None] | None = None
        self._write_paused = False
        self._read_paused = False
        self._lingering = False
        self._closed = False
        self._idle_until = self._loop.time() + self._limits.idle_s
        self._head_until = self._body_until = self._gap_until = self._stall_until = self._linger_until = _NEVER
        self._messages = 0
        self._in_head = False
        self._target = b""
        self._headers: Headers = []
        self._head_bytes = 0
        self._unparsed_bytes = 0
        self._incoming: Exchange | None = None  # its body is being received
        self._buffered = 0

    # exchange.Writer

    def write(self, data: bytes) -> None:
        if not self._closed:
            self._transport.write(data)

    async def drain(self) -> None:
        if self.blocked:
            self._drained = self._loop.create_future()
            await self._drained

    @property
    def blocked(self) -> bool:
        return self._write_paused and not self._closed

    def abort(self) -> None:
        self._closed = True
        self._transport.abort()

    @property
    def closing(self) -> bool:
        return self._connections.draining or self._refusal is not None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's are not of that class
        self._transport = transport
        if len(self._connections.open) >= self._limits.connections:
            self._protocol_error(ServiceUnavailable(f"{self._limits.connections} connections are open; try again."))
        self._connections.open.add(self)

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            self._linger_until = self._loop.time() + self._limits.linger_s
            return
        if self._refusal is not None:
            return
        if self._incoming is not None:
            self._gap_until = self._loop.time() + self._limits.body_gap_s
        message = self._messages
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._protocol_error(cause if isinstance(cause, ServiceError) else ValidationError(f"Bad request: {cause}"))
        except httptools.HttpParserError as error:
            self._protocol_error(ValidationError(f"The request is not well-formed HTTP: {error}."))
        else:
            if self._in_head and self._messages == message:
                self._count_head(len(data))  # part of a header whose end was not received yet
        self._adjust_reading()

    def pause_writing(self) -> None:
        self._write_paused = True
        self._stall_until = self._loop.time() + self._limits.stall_s

    def resume_writing(self) -> None:
        self._write_paused = False
        self._stall_until = _NEVER
        self._release_writer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._connections.remove(self)
        self._release_writer()
        self._release_buffer()
        self._pipeline.clear()
        if self._task is not None:
            self._task.cancel()

    def _release_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # httptools

    def on_message_begin(self) -> None:
        self._messages += 1
        self._in_head = True
        self._target = b""
        self._headers = []
        self._head_bytes = 0
        self._unparsed_bytes = 0
        self._idle_until = _NEVER
        self._head_until = self._loop.time() + self._limits.head_s

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > self._limits.target_bytes:
            raise ValidationError(f"The request's path is longer than {self._limits.target_bytes} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > self._limits.head_bytes:
            raise HeadersTooLarge(f"The request's headers are larger than {self._limits.head_bytes} bytes.")
        self._headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_until = _NEVER
        version = self._parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise ValidationError(f"HTTP/{version} is not supported; use HTTP/1.1.")
        if self._parser.should_upgrade():
            raise ValidationError("Upgrade is not supported: send the request without it.")
        exchange = self._exchange(http_1_1=version == "1.1")
        host = exchange.headers.get("host", "")
        if "," in host or (version == "1.1" and not host):
            raise ValidationError("The request needs exactly one Host header.")
        now = self._loop.time()
        self._incoming = exchange
        self._gap_until, self._body_until = now + self._limits.body_gap_s, now + self._limits.body_s
        if self._current is None:
            self._run(exchange)
        else:
            self._pipeline.append(exchange)

    def on_body(self, chunk: bytes) -> None:
        exchange = self._incoming
        if exchange is None:
            return
        if not exchange.body.append(chunk):
            exchange.body.fail(oversize_body(exchange, self._limits))
            return
        self._buffered += len(chunk)
        self._connections.buffered_bytes += len(chunk)
        if self._connections.buffered_bytes > self._limits.buffered_bytes:
            exchange.body.fail(ServiceUnavailable("The gateway buffers as many request bodies as it may; try again."))

    def on_message_complete(self) -> None:
        self._gap_until = self._body_until = _NEVER
        if self._incoming is not None:
            self._incoming.body.end()
            self._incoming = None

    def _exchange(self, *, http_1_1: bool) -> Exchange:
        target = self._target.decode("ascii")
        if not target.startswith("/"):
            parts = urlsplit(target)  # the form for proxies: http://host/path
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        expects = http_1_1 and any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in self._headers
        )
        body = Body(self._limits.body_bytes, self._continue_once(expects), self._adjust_reading)
        return Exchange(
            self,
            self._parser.get_method().decode("ascii"),
            target,
            self._headers,
            body,
            http_1_1=http_1_1,
            wants_keep_alive=self._parser.should_keep_alive(),
        )

    def _continue_once(self, expects: bool) -> Callable[[], None]:
        unsent = [b"HTTP/1.1 100 Continue\r\n\r\n"] if expects else []

        def send() -> None:
            if unsent:
                self.write(unsent.pop())

        return send

    # Exchanges, one after the other

    def _run(self, exchange: Exchange) -> None:
        self._current = exchange
        self._task = self._loop.create_task(self._handle(exchange))

    async def _handle(self, exchange: Exchange) -> None:
        try:
            await self._connections.handler(exchange)
        except ServiceError as error:
            exchange.refuse(error)
        except asyncio.CancelledError:
            if self._closed:
                raise
            exchange.refuse(ServiceUnavailable("The gateway is stopping; try again."))
        except Exception:
            log.exception("request_failed", path=exchange.path)
            exchange.refuse(InternalFailure("The gateway failed on this request; see its log."))
        self._next(exchange)

    def _next(self, exchange: Exchange) -> None:
        self._current = self._task = None
        self._release_buffer()
        if self._closed:
            return
        if not exchange.finished:
            self.abort()
        elif not exchange.keep_alive or self.closing:
            self._close(linger=not exchange.body.complete)
        elif self._pipeline:
            self._run(self._pipeline.popleft())
        elif self._all_messages_answered:
            self._idle_until = self._loop.time() + self._limits.idle_s
        self._adjust_reading()

    @property
    def _all_messages_answered(self) -> bool:
        return not self._in_head and self._incoming is None

    def _release_buffer(self) -> None:
        self._connections.buffered_bytes -= self._buffered
        self._buffered = 0

    def _protocol_error(self, error: ServiceError) -> None:
        """No further request can be read from this connection: answer those under way, then close."""
        if self._refusal is not None:
            return
        self._refusal = error
        self._head_until = self._gap_until = self._body_until = _NEVER
        if self._incoming is not None:
            self._incoming.body.fail(error)
            self._incoming = None
        if self._current is None:
            body = Body(0, lambda: None, lambda: None)
            Exchange(self, "GET", "", [], body, http_1_1=True, wants_keep_alive=False).refuse(error)
            self._close(linger=True)

    def _close(self, *, linger: bool) -> None:
        """Close; but first read for a while the rest that the client may still be sending."""
        now = self._loop.time()
        self._idle_until = _NEVER
        self._stall_until = now + self._limits.stall_s
        if not linger:
            self._transport.close()
        elif not self._lingering:
            self._lingering = True
            self._linger_until = now + self._limits.linger_s
            if self._transport.can_write_eof():
                self._transport.write_eof()

    # Time limits and flow control

    def check_time(self, now: float) -> None:
        """Act on the first limit that has passed."""
        if now >= self._stall_until or now >= self._linger_until:
            self.abort()
        elif now >= self._head_until:
            self._protocol_error(RequestTimeout(f"The request's head did not come within {self._limits.head_s:g} s."))
        elif now >= self._gap_until or now >= self._body_until:
            self._protocol_error(RequestTimeout("The request's body did not come in time."))
        elif now >= self._idle_until:
            self._close(linger=False)

    def close_if_idle(self) -> None:
        if self._current is None and not self._lingering:
            self._close(linger=False)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _adjust_reading(self) -> None:
        """Read on, unless requests wait already or the current body is not taken as fast as it is received."""
        if self._closed or self._transport.is_closing():
            return
        backlogged = self._current is not None and self._current.body.backlogged
        pause = not self._lingering and (bool(self._pipeline) or backlogged)
        if pause != self._read_paused:
            self._read_paused = pause
            if pause:
                self._transport.pause_reading()
                self._head_until = self._gap_until = _NEVER  # now the client waits for the gateway
            else:
                self._transport.resume_reading()

    def _count_head(self, size: int) -> None:
        self._unparsed_bytes += size
        if self._unparsed_bytes > self._limits.head_bytes:
            self._protocol_error(
                HeadersTooLarge(f"The request's headers are larger than {self._limits.head_bytes} bytes.")
            )


def oversize_body(exchange: Exchange, limits: Limits) -> ValidationError:
    """The error for a body over the limit: AWS's text, with our limit."""
    return ValidationError(
        f"Request {exchange.request_id.decode()} has oversize body: "
        f"the limit is {limits.body_bytes} bytes (setting max_invocation_mib)."
    )
