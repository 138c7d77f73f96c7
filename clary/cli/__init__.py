"""The command `clary`. Each verb is a module of its own, imported when it is used: `--help` and `env` are instant."""

from __future__ import annotations

import importlib
import sys

import click

from clary import __version__
from clary.core.errors import ClaryError

# verb -> its line in --help; the module of the same name has a click command `command`.
VERBS = {
    "up": "Start the server (with --detach: in the background).",
    "down": "Stop the server and its endpoints; jobs that run go on.",
    "status": "Show the server's parts, jobs and endpoints.",
    "env": "Print the variables to export so that AWS clients call Clary.",
    "demo": "Train, deploy and invoke a real model, on a server of its own.",
    "logs": "Print, and follow, the log of a job or an endpoint.",
    "profile": "Describe the columns of a table, and what is wrong with them.",
    "process": "Apply a recipe to a table: features, and the fitted recipe.",
    "doctor": "Show what this machine has, and what that makes possible.",
}


class _Verbs(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"clary.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="clary")
def _clary() -> None:
    """Amazon SageMaker on your own machines.

    \b
    Start:    clary up --detach
    Connect:  eval "$(clary env)"
    Then use boto3, the AWS CLI or the SageMaker SDK as ever.
    """


def main() -> None:
    """Run the command line. Exit code 0: done; 1: it failed, and the text gives the reason; 2: wrong usage."""
    try:
        _clary(prog_name="clary")
    except ClaryError as error:
        click.echo(f"clary: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        click.echo(f"clary: {error.filename}: {error.strerror}", err=True)
        sys.exit(1)
