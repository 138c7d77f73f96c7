"""`clary up`: start the server."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from clary.cli.options import home_option
from clary.core.errors import SettingsError
from clary.core.settings import Settings, read_settings

# A first start makes keys, a database and a bucket; a machine under load takes its time.
STARTS_WITHIN_S = 60


@click.command(name="up")
@home_option
@click.option("--host", help="The address to listen on; another than loopback demands TLS.  [default: 127.0.0.1]")
@click.option(
    "--port", type=int, help="Control API; the gateway takes port+1, the embedded S3 port+2.  [default: 8721]"
)
@click.option("--detach", is_flag=True, help="Return when the server answers, and leave it running.")
def command(home: Path | None, host: str | None, port: int | None, detach: bool) -> None:
    """Start the server: control API, inference gateway and S3.

    In the foreground it runs until Ctrl-C; with --detach it runs until `clary down`. Other settings are in clary.toml
    in the home.
    """
    settings = read_settings(home, {"host": host, "port": port})
    if detach:
        _detach(settings)
        return
    from clary.app import run

    run(settings)


def _detach(settings: Settings) -> None:
    from clary.cli.running_server import answers, running_pid

    if (pid := running_pid(settings)) is not None:
        raise SettingsError(f"a server (pid {pid}) is running on {settings.home} already: `clary down` stops it")
    settings.paths.run.mkdir(parents=True, exist_ok=True)
    # A server writes this when it has its port: before, another home's server might answer there.
    started = settings.paths.run / "started.json"
    written_before = _written(started)
    log_file = settings.paths.run / "server.log"
    # -m: the command as it was installed may not be on PATH.
    argv = [sys.executable, "-m", "clary", "up", "--home", str(settings.home), "--host", settings.host]
    with log_file.open("ab") as output:
        began_at = output.tell()
        server = subprocess.Popen(
            [*argv, "--port", str(settings.port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SettingsError(f"the server ended at once:\n{_last_lines(log_file, began_at)}")
        has_its_port = running_pid(settings) == server.pid and _written(started) != written_before
        if has_its_port and answers(settings.url(settings.port)):
            click.echo(f"Clary is up: {settings.url(settings.port)}")
            click.echo(f'Connect:     eval "$(clary env{_home_flag(settings)})"')
            return
        time.sleep(0.05)
    raise SettingsError(f"the server did not answer within {STARTS_WITHIN_S} s; its log is {log_file}")


def _written(path: Path) -> tuple[int, int] | None:
    """Differs each time the file is written; None where there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _home_flag(settings: Settings) -> str:
    from clary.core.settings import default_home

    return "" if settings.home == default_home().absolute() else f" --home {settings.home}"


def _last_lines(log_file: Path, began_at: int) -> str:
    with log_file.open("rb") as file:
        file.seek(began_at)
        lines: list[Any] = file.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-20:])
