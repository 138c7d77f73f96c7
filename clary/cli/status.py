"""`clary status`: the server's parts, jobs and endpoints."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from clary.cli.options import home_option, json_option
from clary.cli.running_server import answers, get, pid_of, server_status
from clary.connection import running_settings
from clary.core.settings import Settings


@click.command(name="status")
@home_option
@json_option
def command(home: Path | None, as_json: bool) -> None:
    """Show the server's parts, and how many jobs and endpoints are in which status.

    The exit code is 0 where server, gateway and S3 are all healthy, else 3.
    """
    settings = running_settings(home)
    found = inspect(settings)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        _show(settings, found)
    if not all(found[name]["healthy"] for name in _parts(settings)):
        sys.exit(3)


def _parts(settings: Settings) -> dict[str, str]:
    urls = {"server": settings.url(settings.port), "gateway": settings.url(settings.gateway_port)}
    return urls | ({"s3": settings.s3_url} if settings.embedded_s3 else {})


def inspect(settings: Settings) -> dict[str, Any]:
    """Each part's pid, url and health, as seen from outside; and the server's counts of resources, where it answers."""
    found: dict[str, Any] = {"home": str(settings.home)}
    for name, url in _parts(settings).items():
        pid = pid_of(settings, name)
        # rclone has no health route; that it refuses an unsigned request shows that it answers.
        healthy = pid is not None and (answers(url) if name != "s3" else _refuses(url))
        found[name] = {"pid": pid, "url": url, "healthy": healthy}
    status = server_status(settings) if found["server"]["healthy"] else None
    found["resources"] = status["resources"] if status else {}
    return found


def _refuses(url: str) -> bool:
    return 0 < get(url, "/healthz")[0] < 500


def _show(settings: Settings, found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("", "pid", "url", "", title=f"Clary on {settings.home}", title_justify="left", box=None)
    for name in _parts(settings):
        part = found[name]
        health = "[green]healthy[/]" if part["healthy"] else "[red]not answering[/]" if part["pid"] else "[red]down[/]"
        table.add_row(name, str(part["pid"] or "–"), part["url"], health)
    console.print(table)
    for kind, counts in found["resources"].items():
        total = ", ".join(f"{count} {status}".strip() for status, count in sorted(counts.items()))
        if total:
            console.print(f"{kind}: {total}")
