"""`clary profile`: what a table holds, and what to do about it. Needs no server."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clary.cli.options import json_option
from clary.core.errors import ClaryError

if TYPE_CHECKING:
    from clary.data.profiling import Profile


class NotProfiled(ClaryError):
    """The table cannot be read, or is not as it was said to be."""


@click.command(name="profile")
@click.argument("file")
@click.option("-t", "--target", help="The column to be predicted: adds a quick model's score, and what leaks.")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the report, one page, to this file."
)
@click.option("--plot", "plotted", multiple=True, metavar="COLUMN", help="Put this column into the report's pair plot.")
@click.option("--input-format", "format_name", help="What FILE is, where its name and first bytes do not tell.")
@click.option("--read", "reading", multiple=True, metavar="NAME=VALUE", help="How to read it: e.g. sheet=Prices.")
@click.option(
    "--bad-rows",
    type=click.Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="What to do with rows that cannot be read.",
)
@click.option("--exact", is_flag=True, help="No estimates of how many different values there are; takes more memory.")
@json_option
def command(
    file: str,
    target: str | None,
    html: Path | None,
    plotted: tuple[str, ...],
    format_name: str | None,
    reading: tuple[str, ...],
    bad_rows: str,
    exact: bool,
    as_json: bool,
) -> None:
    """Say what the table FILE holds: figures of each column, what is wrong, and the recipe step that mends it.

    FILE is a path, a folder, a glob, an s3:// address or the URL of a database.
    """
    found = _profile(file, target, plotted, {"format": format_name, "bad_rows": bad_rows}, reading, exact)
    if html is not None:  # first: whoever reads what is printed may stop reading
        _save(found, html)
    if as_json:
        click.echo(found.to_json(indent=1))
    else:
        _print(found)
    if html is not None:
        click.echo(f"The report is {html}", err=as_json)


def _profile(
    file: str,
    target: str | None,
    plotted: tuple[str, ...],
    options: Mapping[str, Any],
    reading: Sequence[str],
    exact: bool,
) -> Profile:
    try:
        from clary.data.errors import DataError
        from clary.data.profiling import profile
        from clary.data.recipe.progress import shown_on_terminal
        from clary.data.sources import scan
        from clary.tasks.recipe_job.options import in_options, read_options
    except ImportError as error:
        raise NotProfiled(f"{error.name} is not installed: pip install 'clary[data]'") from None
    _return_memory()
    try:
        with scan(file, **options, **read_options(reading)) as table, shown_on_terminal(None) as progress:
            return profile(table, target, columns_to_plot=plotted or None, exact=exact, progress=progress)
    except DataError as error:
        raise NotProfiled(in_options(str(error))) from None


def _return_memory() -> None:
    """Take the allocator that gives freed memory back soonest: reading needs a fifth less then."""
    import pyarrow as pa

    if "jemalloc" in pa.supported_memory_backends() and "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        pa.set_memory_pool(pa.jemalloc_memory_pool())


def _print(found: Profile) -> None:
    from rich.console import Console

    from clary.data.profiling.terminal import print_summary

    print_summary(found, Console(highlight=False))


def _save(found: Profile, html: Path) -> None:
    from clary.data.errors import DataError

    try:
        found.save_html(html)
    except DataError as error:
        raise NotProfiled(str(error)) from None
