"""`clary process`: a recipe applied to a table, as a processing job on the server, or in this process."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clary.cli.options import home_option, json_option, recipe_job_options
from clary.core.errors import ClaryError

if TYPE_CHECKING:
    from clary.tasks.recipe_job.options import Options


class ProcessingFailed(ClaryError):
    """The recipe could not be applied."""


@click.command(name="process")
@click.argument("recipe")
@click.argument("table", metavar="INPUT")
@click.argument("output")
@click.option("--here", is_flag=True, help="Do it in this process: no server, no job.")
@recipe_job_options()
@click.option("--name", default="", help="The job's name.  [default: process-<time>]")
@click.option("--instances", type=click.IntRange(1, 100), default=1, show_default=True, help="Hosts to share the rows.")
@click.option("--instance-type", default="ml.m5.xlarge", show_default=True)
@home_option
@json_option
def command(
    recipe: str,
    table: str,
    output: str,
    here: bool,
    name: str,
    instances: int,
    instance_type: str,
    home: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Apply RECIPE to INPUT, write features to OUTPUT.

    \b
    RECIPE  a recipe (.yaml, .json), which is fitted to INPUT; or a fitted one (recipe.clary), which is applied
    INPUT   a file, a folder of files, or an s3:// URI, in any format that `clary profile` reads
    OUTPUT  a folder, or an s3:// URI: features/, recipe.clary, model.tar.gz (for CreateModel), told.json
    """
    from clary.data.errors import DataError
    from clary.tasks.recipe_job.messages import with_flags
    from clary.tasks.recipe_job.options import Options

    if here and (name or instances > 1):
        raise click.UsageError("--name and --instances are of a job; with --here there is none")
    try:
        options = Options(recipe=recipe, input=table, output=output, **given)
        if here:
            _process_here(options, as_json)
            return
    except DataError as error:
        raise ProcessingFailed(with_flags(str(error))) from None
    from clary.cli import processing_job

    job = processing_job.Job(name or processing_job.new_name(), instance_type, instances, options)
    processing_job.run(job, home, as_json)


def _process_here(options: Options, as_json: bool) -> None:
    """Raises ProcessingFailed, or DataError in the library's terms."""
    try:
        from clary.data.recipe.progress import shown_on_terminal
        from clary.tasks.recipe_job import job
        from clary.tasks.recipe_job.hosts import Host
    except ImportError as error:
        raise ProcessingFailed(f"{error.name} is not installed; pip install 'clary[data]'") from None

    if "://" in options.output:
        raise ProcessingFailed("with --here OUTPUT is a folder; leave --here out to write to S3")
    began = time.monotonic()
    try:
        # What is printed on the way is not for a script that reads standard output.
        with shown_on_terminal(None) as progress, contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
            summary = job.run(options, Host(), progress)
    except OSError as error:
        raise ProcessingFailed(str(error)) from None
    seconds = round(time.monotonic() - began, 2)
    if as_json:
        click.echo(json.dumps({"job": None, "message": summary, "output": options.output, "seconds": seconds}))
    else:
        click.echo(f"{summary}  {options.output}")
