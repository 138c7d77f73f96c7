"""`clary doctor`: what this machine has, and what that makes possible."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from clary.cli.options import home_option, json_option
from clary.connection import running_settings


@click.command(name="doctor")
@home_option
@json_option
def command(home: Path | None, as_json: bool) -> None:
    """Show which of the things that Clary can use this machine has, and what each makes possible."""
    from clary.compute.doctor import examine

    findings = examine(running_settings(home))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("", "", "found", "gives", box=None)
    for finding in findings:
        mark = "[green]✔[/]" if finding.present else "[yellow]–[/]"
        table.add_row(mark, finding.name, finding.detail, finding.gives)
    Console().print(table)
