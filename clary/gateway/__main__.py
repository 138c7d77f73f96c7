"""`python -m clary.gateway --home DIR`: the inference gateway, a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import resource
import signal
import sys
from pathlib import Path

import structlog
import uvloop

from clary.core import credentials
from clary.core.errors import SettingsError
from clary.core.settings import Settings, default_home, read_settings
from clary.gateway.limits import MIB, Limits
from clary.gateway.server import Gateway


def main() -> None:
    """Run until SIGTERM or SIGINT. A setting that does not fit ends it with a message and status 2."""
    given = _arguments()
    try:
        settings = read_settings(given.home, {"host": given.host, "port": given.port})
        _configure_logging(settings.log_level)
        settings.paths.run.mkdir(parents=True, exist_ok=True)
        _allow_many_connections()
        uvloop.run(_serve(settings))
    except SettingsError as error:
        print(f"clary gateway: {error}", file=sys.stderr)
        sys.exit(2)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m clary.gateway", description=main.__doc__)
    parser.add_argument("--home", type=Path, default=default_home(), help="where everything lies")
    parser.add_argument("--host", help="the address to listen on")
    parser.add_argument("--port", type=int, help="the control API's port; the gateway takes the next one")
    return parser.parse_args()


async def _serve(settings: Settings) -> None:
    keys = credentials.credentials_for(settings)
    gateway = Gateway(settings, keys, Limits(body_bytes=settings.max_invocation_mib * MIB))
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop.set)
    await gateway.start()
    await asked_to_stop.wait()
    await gateway.stop()


def _configure_logging(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _allow_many_connections() -> None:
    """Two sockets per request under way: take as many files as we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    main()
