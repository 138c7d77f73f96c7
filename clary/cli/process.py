"""`clary process`: a recipe applied to a table, as a processing job on the server, or here."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

import click

from clary.cli.options import home_option, json_option
from clary.core.errors import ClaryError

FORMATS = ("parquet", "csv", "libsvm", "recordio", "feather", "jsonl")


class ProcessingFailed(ClaryError):
    """The recipe could not be applied."""


@click.command(name="process")
@click.argument("recipe")
@click.argument("table", metavar="INPUT")
@click.argument("output")
@click.option("--here", is_flag=True, help="Do it in this process: no server, no job.")
@click.option("--input-format", default="", help="Of INPUT, where its name and content do not tell.")
@click.option("--read", multiple=True, metavar="NAME=VALUE", help="How to read INPUT: e.g. sheet=Prices.")
@click.option("--format", "as_format", type=click.Choice(FORMATS), default="parquet", show_default=True)
@click.option("--label", default="", help="The column that training programs want first (csv) or as the label.")
@click.option("--header", is_flag=True, help="Of csv: with a line of names. SageMaker's algorithms want none.")
@click.option("--rows-per-file", type=click.IntRange(min=1), help="Split the features into files of so many rows.")
@click.option("--bad-rows", type=click.Choice(["error", "skip"]), default="error", show_default=True)
@click.option("--profile", is_flag=True, help="Write profile.html, a report on the input, too.")
@click.option("--allow-pickle", is_flag=True, help="Load pickles, in a fitted recipe or as INPUT: they can run code.")
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
    input_format: str,
    read: tuple[str, ...],
    as_format: str,
    label: str,
    header: bool,
    rows_per_file: int | None,
    bad_rows: str,
    profile: bool,
    allow_pickle: bool,
    name: str,
    instances: int,
    instance_type: str,
    home: Path | None,
    as_json: bool,
) -> None:
    """Apply RECIPE to INPUT, write features to OUTPUT.

    \b
    RECIPE  a recipe (.yaml, .json), which is fitted to INPUT; or a fitted one (recipe.clary), which is applied
    INPUT   a file, a folder of files, or an s3:// URI, in any format that `clary profile` reads
    OUTPUT  a folder, or an s3:// URI: features/, recipe.clary, model.tar.gz (for CreateModel), told.json
    """
    # As one word each: a value may begin with a hyphen.
    words = [f"--format={as_format}", f"--bad-rows={bad_rows}", *(f"--read={one}" for one in read)]
    words += [f"--label={label}"] if label else []
    words += [f"--input-format={input_format}"] if input_format else []
    words += [f"--rows-per-file={rows_per_file}"] if rows_per_file else []
    flags = {"--header": header, "--profile": profile, "--allow-pickle": allow_pickle}
    words += [flag for flag, given in flags.items() if given]
    if here:
        if name or instances > 1:
            raise click.UsageError("--name and --instances are of a job; with --here there is none")
        _here(recipe, table, output, words, as_json)
        return
    from clary.cli import processing_job

    job = processing_job.Job(name or processing_job.new_name(), instance_type, instances, tuple(words))
    processing_job.run(job, recipe, table, output, home, as_json)


def _here(recipe: str, table: str, output: str, words: list[str], as_json: bool) -> None:
    try:
        from clary.data import DataError
        from clary.data.recipe.progress import shown_on_terminal
        from clary.tasks.recipe_job import job
        from clary.tasks.recipe_job.hosts import Place
        from clary.tasks.recipe_job.options import in_options
    except ImportError as error:
        raise ProcessingFailed(f"{error.name} is not installed; pip install 'clary[data]'") from None

    if "://" in output:
        raise ProcessingFailed("with --here OUTPUT is a folder; leave --here out to write to S3")
    began = time.monotonic()
    try:
        given = job.parser().parse_args([f"--recipe={recipe}", f"--input={table}", f"--output={output}", *words])
        # What the work says on its way is not for a script that reads standard output.
        with shown_on_terminal(None) as progress, contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
            told = job.run(given, Place(), progress)
    except DataError as error:
        raise ProcessingFailed(in_options(str(error))) from None
    except OSError as error:
        raise ProcessingFailed(str(error)) from None
    seconds = round(time.monotonic() - began, 2)
    if as_json:
        click.echo(json.dumps({"job": None, "message": told, "output": output, "seconds": seconds}))
    else:
        click.echo(f"{told}  {output}")
