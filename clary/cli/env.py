"""`clary env`: the variables to export so that AWS clients, unmodified, call this server."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import click

from clary.cli.options import home_option, json_option
from clary.connection import environment, running_settings


@click.command(name="env")
@home_option
@click.option(
    "--transparent",
    is_flag=True,
    help="Start a proxy that answers for *.amazonaws.com, for code that names AWS's hosts itself.",
)
@json_option
def command(home: Path | None, transparent: bool, as_json: bool) -> None:
    """Print the variables to export so that AWS clients call Clary.

    \b
    eval "$(clary env)"                      for this shell
    eval "$(clary env --transparent)"        for notebooks that cannot be pointed elsewhere
    """
    settings = running_settings(home)
    if transparent:
        from clary.proxy.start import transparent_environment

        _log_to_stderr()
        variables = transparent_environment(settings)
    else:
        variables = environment(settings)
    if as_json:
        click.echo(json.dumps(variables, indent=1))
        return
    for name, value in variables.items():
        click.echo(f"export {name}={shlex.quote(value)}")


def _log_to_stderr() -> None:
    """The shell runs what is written to stdout."""
    import structlog

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
