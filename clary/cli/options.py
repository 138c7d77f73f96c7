"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

home_option: Callable[[Any], Any] = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="The server's home directory.  [default: $CLARY_HOME, or ~/.clary]",
)
json_option: Callable[[Any], Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, for scripts."
)


def recipe_job_options(*names: str) -> Callable[[Any], Any]:
    """The options of these names that the recipe's job declares, all of them without names, as arguments so called."""
    from clary.tasks.recipe_job.options import declared

    options = declared()

    def decorate(command: Any) -> Any:
        for name in reversed(names or tuple(options)):
            option = options[name]
            if option.default is False:
                command = click.option(option.flag, name, is_flag=True, help=option.help)(command)
                continue
            command = click.option(
                option.flag,
                name,
                type=_type(option.choices, option.minimum),
                default=None if option.default == () else option.default,
                multiple=option.default == (),
                metavar=option.metavar,
                show_default=option.choices is not None,
                help=option.help,
            )(command)
        return command

    return decorate


def _type(choices: Any, minimum: int | None) -> Any:
    if choices is not None:
        return click.Choice(choices)
    return str if minimum is None else click.IntRange(min=minimum)
