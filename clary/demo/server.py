"""A server for the demo: in a temporary home, on free ports."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from clary.core.errors import SettingsError


@contextlib.contextmanager
def temporary_server() -> Iterator[dict[str, str]]:
    """The variables that point AWS clients at a server that lives as long as this context."""
    home = Path(tempfile.mkdtemp(prefix="clary-demo-"))
    try:
        _clary("up", "--detach", "--home", str(home), "--port", str(free_port()))
        try:
            yield json.loads(_clary("env", "--json", "--home", str(home)))
        finally:
            _clary("down", "--home", str(home))
    finally:
        shutil.rmtree(home, ignore_errors=True)


def free_port() -> int:
    """The first of three ports in a row that nobody listens on."""
    for _ in range(100):
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            first = held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            for port in (first + 1, first + 2):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            return int(first)
    raise SettingsError("found no three free ports in a row: is something listening everywhere?")


def _clary(*arguments: str) -> str:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("CLARY_")}
    done = subprocess.run(
        [sys.executable, "-m", "clary", *arguments], capture_output=True, text=True, check=False, env=variables
    )
    if done.returncode:
        raise SettingsError(f"`clary {arguments[0]}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
