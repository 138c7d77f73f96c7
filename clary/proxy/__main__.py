"""`python -m clary.proxy --home DIR`: the proxy, a process of its own. `clary env --transparent` starts it."""

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
from clary.proxy import authority
from clary.proxy.limits import Limits
from clary.proxy.server import Proxy
from clary.startup import allow_many_connections, configure_logging


def main() -> None:
    """Run until SIGTERM or SIGINT. A bad setting or a taken port ends it with a message and status 2."""
    given = _arguments()
    try:
        settings = read_settings(given.home)
        configure_logging(settings.log_level)
        allow_many_connections()
        uvloop.run(_serve(settings, given.port))
    except (SettingsError, OSError) as error:
        print(f"clary proxy: {error}", file=sys.stderr)
        sys.exit(2)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m clary.proxy", description=main.__doc__)
    parser.add_argument("--home", type=Path, default=default_home(), help="where everything lies")
    parser.add_argument("--port", type=int, default=0, help="the port on loopback; 0: any")
    # Not read here: by it a process that looks for a running proxy recognises the authority it signs with.
    parser.add_argument("--authority", help=argparse.SUPPRESS)
    return parser.parse_args()


async def _serve(settings: Settings, port: int) -> None:
    keys = credentials.credentials_for(settings)
    proxy = Proxy(settings, keys, authority.load(settings.paths.certificates), Limits())
    stop_requested = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop_requested.set)
    await proxy.start(port)
    await stop_requested.wait()
    await proxy.stop()


if __name__ == "__main__":
    main()
