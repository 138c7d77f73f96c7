"""`clary profile`: what a table holds, and which recipe steps mend what is wrong with it. Needs no server."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clary.cli.options import json_option, recipe_job_options
from clary.core.errors import ClaryError

if TYPE_CHECKING:
    from clary.data.profiling import Profile


class NotProfiled(ClaryError):
    """The table cannot be read, or has no such column."""


@click.command(name="profile")
@click.argument("file")
@click.option("-t", "--target", help="The column to be predicted: adds a quick model's score, and what leaks.")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the report, one page, to this file."
)
@click.option(
    "--plot", "plot_columns", multiple=True, metavar="COLUMN", help="Put this column into the report's pair plot."
)
@recipe_job_options("input_format", "read", "bad_rows")
@click.option("--exact", is_flag=True, help="Count distinct values exactly, without estimates; takes more memory.")
@json_option
def command(
    file: str,
    target: str | None,
    html: Path | None,
    plot_columns: tuple[str, ...],
    input_format: str,
    read: tuple[str, ...],
    bad_rows: str,
    exact: bool,
    as_json: bool,
) -> None:
    """Summarize the table FILE: statistics of each column, findings, and the recipe steps that mend them.

    FILE is a path, a folder, a glob, an s3:// address or the URL of a database.
    """
    options = {"format": input_format or None, "bad_rows": bad_rows}
    profile = _profile(file, target, plot_columns, options, read, exact)
    if html is not None:  # first: the reader of a pipe may close it early
        _save(profile, html)
    if as_json:
        click.echo(profile.to_json(indent=1))
    else:
        _print(profile)
    if html is not None:
        click.echo(f"The report is {html}", err=as_json)


def _profile(
    file: str,
    target: str | None,
    plot_columns: tuple[str, ...],
    options: Mapping[str, Any],
    read: Sequence[str],
    exact: bool,
) -> Profile:
    try:
        from clary.data.errors import DataError
        from clary.data.profiling import profile
        from clary.data.recipe.progress import shown_on_terminal
        from clary.data.sources import scan
        from clary.tasks.recipe_job.messages import with_flags
        from clary.tasks.recipe_job.options import read_options
    except ImportError as error:
        raise NotProfiled(f"{error.name} is not installed: pip install 'clary[data]'") from None
    _return_memory()
    try:
        with scan(file, **options, **read_options(read)) as table, shown_on_terminal(None) as progress:
            return profile(table, target, columns_to_plot=plot_columns or None, exact=exact, progress=progress)
    except DataError as error:
        raise NotProfiled(with_flags(str(error))) from None


def _return_memory() -> None:
    """Use the allocator that returns freed memory to the system soonest: reading takes a fifth less then."""
    import pyarrow as pa

    if "jemalloc" in pa.supported_memory_backends() and "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        pa.set_memory_pool(pa.jemalloc_memory_pool())


def _print(profile: Profile) -> None:
    from rich.console import Console

    from clary.data.profiling.terminal import print_summary

    print_summary(profile, Console(highlight=False))


def _save(profile: Profile, html: Path) -> None:
    from clary.data.errors import DataError

    try:
        profile.save_html(html)
    except DataError as error:
        raise NotProfiled(str(error)) from None
