"""uvicorn, set up for a model host: without logs of its own, and idle between requests."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import signal
from collections.abc import Callable

import uvicorn

from clary.tasks.host.app import App
from clary.tasks.host.options import DRAIN_S

# Callers keep connections open and reuse them; so the caller, not this host, should close an idle connection.
KEEP_ALIVE_S = 300


class Server(uvicorn.Server):
    """Wakes up for requests and signals alone; uvicorn's own loop checks ten times a second whether it should end."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self.listening = listening

    async def main_loop(self) -> None:
        self.listening()
        signalled = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, signalled.set)
        # A signal that came before the handlers were in place has set should_exit.
        if not self.should_exit:
            await signalled.wait()


def server(app: App, listening: Callable[[], None]) -> Server:
    return Server(
        uvicorn.Config(
            app,
            http="httptools" if importlib.util.find_spec("httptools") else "h11",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=DRAIN_S,
        ),
        listening,
    )
