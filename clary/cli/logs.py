"""`clary logs`: the log of a job or an endpoint. Reads the files, so it needs no running server."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from clary.artifacts.logs import ALWAYS, LogStreams
from clary.cli.options import home_option
from clary.connection import running_settings
from clary.core.errors import ClaryError

_PAGE = 1000
_POLL_INTERVAL_S = 0.2


class LogNotFound(ClaryError):
    """There is no log under this name."""


@click.command(name="logs")
@click.argument("name")
@home_option
@click.option("-f", "--follow", is_flag=True, help="Go on printing as lines come, until Ctrl-C.")
@click.option("-t", "--timestamps", is_flag=True, help="Put the time before each line.")
def command(name: str, home: Path | None, follow: bool, timestamps: bool) -> None:
    """Print the log of the job or endpoint NAME; with several streams, these after each other."""
    logs = LogStreams(running_settings(home).paths.logs)
    streams = _streams(logs, name)
    if not streams:
        raise LogNotFound(f"no job or endpoint {name!r} has printed anything; `clary status` lists what exists")
    positions = dict.fromkeys(streams, 0)
    shown = ""
    try:
        while True:
            for group, stream in positions:
                header = f"── {group} {stream}" if len(positions) > 1 else ""
                shown = _print(logs, positions, (group, stream), header if shown != stream else "", timestamps) or shown
            if not follow:
                return
            time.sleep(_POLL_INTERVAL_S)
            positions |= {stream: 0 for stream in _streams(logs, name) if stream not in positions}
    except KeyboardInterrupt:
        pass


def _streams(logs: LogStreams, name: str) -> list[tuple[str, str]]:
    """(group, stream) of a job: `<job>/…` in a group of jobs; of an endpoint: all of the group `…/Endpoints/<name>`."""
    return [
        (group, stream)
        for group in logs.groups()
        for stream, _ in logs.names(group, "" if group.endswith(f"/Endpoints/{name}") else f"{name}/")
        if group.endswith(f"/Endpoints/{name}") or "/Endpoints/" not in group
    ]


def _print(
    logs: LogStreams, positions: dict[tuple[str, str], int], key: tuple[str, str], header: str, timestamps: bool
) -> str:
    """Print the new lines of a stream. Returns the stream's name where there were any."""
    group, stream = key
    printed = ""
    while (page := logs.head(group, stream, ALWAYS, _PAGE, positions[key])).events:
        if header and not printed:
            click.secho(header, fg="cyan")
        for event in page.events:
            moment = datetime.fromtimestamp(event.at_ms / 1000, UTC).astimezone()
            click.echo(f"{moment:%H:%M:%S.%f} {event.text}" if timestamps else event.text)
        positions[key], printed = page.after, stream
    sys.stdout.flush()
    return printed
