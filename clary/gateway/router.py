"""The steps of a request, in order: path, size, signature, headers, then the invocation."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable

from clary import __version__
from clary.core.errors import ServiceUnavailable
from clary.gateway import metrics
from clary.gateway.authenticate import Authenticator
from clary.gateway.call import parse_path, read_call
from clary.gateway.client_connection import oversize_body
from clary.gateway.errors import MethodNotAllowed
from clary.gateway.exchange import Exchange
from clary.gateway.invoke import Invoker
from clary.gateway.limits import Limits

_JSON = [(b"content-type", b"application/json")]
_TEXT = [(b"content-type", metrics.CONTENT_TYPE.encode())]


class Router:
    """Answers every request of the gateway's port."""

    def __init__(
        self,
        authenticator: Authenticator,
        invoker: Invoker,
        limits: Limits,
        metrics_text: Callable[[], Awaitable[str]],
        draining: Callable[[], bool],
    ) -> None:
        self._authenticator = authenticator
        self._invoker = invoker
        self._limits = limits
        self._metrics_text = metrics_text
        self._draining = draining

    async def answer(self, exchange: Exchange) -> None:
        """Answer. Raises ServiceError for an answer that is an error."""
        match exchange.path:
            case "/healthz":
                _check_method(exchange, "GET", "HEAD")
                self._health(exchange)
            case "/metrics":
                _check_method(exchange, "GET", "HEAD")
                exchange.respond(200, _TEXT, (await self._metrics_text()).encode())
            case path:
                endpoint, suffix = parse_path(path)
                _check_method(exchange, "POST")
                await self._invoke(exchange, endpoint, suffix)

    async def _invoke(self, exchange: Exchange, endpoint: str, suffix: str) -> None:
        length = exchange.headers.get("content-length", "0")
        if int(length) > self._limits.body_bytes:
            raise oversize_body(exchange, self._limits)
        streamed_body = await self._authenticator.check(exchange)
        call = read_call(endpoint, suffix, exchange.headers)
        await self._invoker.invoke(exchange, call, streamed_body=streamed_body)

    def _health(self, exchange: Exchange) -> None:
        if self._draining():
            raise ServiceUnavailable("The gateway is stopping.")
        exchange.respond(200, _JSON, json.dumps({"status": "ok", "pid": os.getpid(), "version": __version__}).encode())


def _check_method(exchange: Exchange, *methods: str) -> None:
    if exchange.method not in methods:
        exchange.extra_headers = [(b"allow", ", ".join(methods).encode())]
        raise MethodNotAllowed(f"{exchange.method} is not supported at {exchange.path[:200]}; use {methods[0]}.")
