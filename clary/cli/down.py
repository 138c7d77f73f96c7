"""`clary down`: stop the server."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import click

from clary.cli.options import home_option
from clary.compute.folder import folders
from clary.connection import running_settings
from clary.core.errors import SettingsError
from clary.detached import process

# The gateway finishes its requests, 33 s at most, then replicas have 40 s to end; the rest is for a busy machine.
ENDS_WITHIN_S = 110


@click.command(name="down")
@home_option
def command(home: Path | None) -> None:
    """Stop the server, its gateway and its S3.

    Endpoints stop serving and come back at the next `clary up`; jobs that run go on, and the next server takes them
    over.
    """
    settings = running_settings(home)
    names = ["server", "proxy", "gateway", "s3"]
    stopped = [name for name in names if asyncio.run(_end(settings.paths.run / f"{name}.lock"))]
    if not stopped:
        click.echo(f"Nothing runs on {settings.home}.")
        return
    click.echo("Clary is down.")
    for job in _running_jobs(settings.paths.tasks):
        click.echo(f"Still running: {job}")


async def _end(lock: Path) -> bool:
    """End the process that holds this lock; True where there was one."""
    with process.found(lock) as running:
        if running is None:
            return False
        running.signal(signal.SIGTERM)
        if not await running.ended(ENDS_WITHIN_S):
            raise SettingsError(
                f"process {running.pid} did not end within {ENDS_WITHIN_S} s; kill -9 {running.pid} would"
            )
        return True


def _running_jobs(tasks: Path) -> list[str]:
    """The tasks whose supervisors live."""
    return sorted(folder.path.name for folder in folders(tasks) if folder.alive())
