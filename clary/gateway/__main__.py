"""`python -m clary.gateway --home DIR`: the inference gateway, a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from clary.core import credentials
from clary.core.errors import SettingsError
from clary.core.settings import Settings, default_home, read_settings
from clary.gateway.limits import MIB, Limits
from clary.gateway.server import Gateway
from clary.startup import allow_many_connections, configure_logging


def main() -> None:
    """Run until SIGTERM or SIGINT. A setting that does not fit ends it with a message and status 2."""
    given = _arguments()
    try:
        settings = read_settings(given.home, {"host": given.host, "port": given.port})
        configure_logging(settings.log_level)
        settings.paths.run.mkdir(parents=True, exist_ok=True)
        allow_many_connections()
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
    stop_requested = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop_requested.set)
    await gateway.start()
    await stop_requested.wait()
    await gateway.stop()


if __name__ == "__main__":
    main()
