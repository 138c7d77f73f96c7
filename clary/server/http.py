"""The control port, and the HTTP server on it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Coroutine, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from clary.core.errors import SettingsError
from clary.core.settings import Settings

# Control requests take milliseconds; idle TLS connections would be waited for in vain.
REQUESTS_END_WITHIN_S = 2


def listen(settings: Settings) -> socket.socket:
    """The control port, bound. Raises SettingsError where it is taken."""
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
    except OSError as error:
        raise SettingsError(
            f"port {settings.port} on {settings.host} cannot be used ({error.strerror or error}): end what uses it, or "
            "choose another with --port"
        ) from error
    return listening


def http_server(app: ASGIApp, settings: Settings) -> HttpServer:
    return HttpServer(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            ssl_certfile=settings.tls_certificate or None,
            ssl_keyfile=settings.tls_key or None,
            timeout_graceful_shutdown=REQUESTS_END_WITHIN_S,
        )
    )


async def serve_beside(server: HttpServer, listening: socket.socket, *background: Coroutine[Any, Any, None]) -> None:
    """Answer requests, and do all of this at once, until a signal stops the server.

    Raises the error by which any of them ended: then all end, since none of them does without the others.
    """
    tasks = [asyncio.create_task(work) for work in background]
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await asyncio.wait({serving, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.should_exit = True
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(serving, *tasks, return_exceptions=True)
    for error in results:
        if isinstance(error, Exception):
            raise error


class HttpServer(uvicorn.Server):
    """uvicorn ends the process by the signal that stopped it. Here there is more to stop after it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        yield

    def _on_signal(self, number: signal.Signals) -> None:
        if self.should_exit and number is signal.SIGINT:  # Ctrl-C again: whoever presses it will not wait
            os._exit(130)
        self.should_exit = True
