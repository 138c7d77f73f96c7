"""The steps of a request, in order: which path, who is calling, how large, what is asked for, then the invocation."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from clary import __version__
from clary.gateway import metrics
from clary.gateway.authenticate import Authenticator
from clary.gateway.call import operation_of, read_call
from clary.gateway.connection import oversize
from clary.gateway.errors import MethodNotAllowed, ServiceUnavailable
from clary.gateway.exchange import Exchange
from clary.gateway.invoke import Invoker
from clary.gateway.limits import Limits

_JSON = [(b"content-type", b"application/json")]
_TEXT = [(b"content-type", metrics.CONTENT_TYPE.encode())]


class Front:
    """Answers every request the gateway gets."""

    def __init__(
        self,
        authenticator: Authenticator,
        invoker: Invoker,
        limits: Limits,
        metrics_text: Callable[[], str],
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
                _only(exchange, "GET", "HEAD")
                self._health(exchange)
            case "/metrics":
                _only(exchange, "GET", "HEAD")
                exchange.respond(200, _TEXT, self._metrics_text().encode())
            case path:
                endpoint, verb = operation_of(path)
                _only(exchange, "POST")
                await self._invoke(exchange, endpoint, verb)

    async def _invoke(self, exchange: Exchange, endpoint: str, verb: str) -> None:
        length = exchange.headers.get("content-length", "0")
        if int(length) > self._limits.body_bytes:
            raise oversize(exchange, self._limits)
        streamed_body = await self._authenticator.check(exchange)
        call = read_call(endpoint, verb, exchange.headers)
        await self._invoker.invoke(exchange, call, streamed_body=streamed_body)

    def _health(self, exchange: Exchange) -> None:
        if self._draining():
            raise ServiceUnavailable("The gateway is stopping.")
        exchange.respond(200, _JSON, json.dumps({"status": "ok", "pid": os.getpid(), "version": __version__}).encode())


def _only(exchange: Exchange, *methods: str) -> None:
    if exchange.method not in methods:
        exchange.stamps = [(b"allow", ", ".join(methods).encode())]
        raise MethodNotAllowed(f"{exchange.method} is not served under {exchange.path[:200]}; use {methods[0]}.")
