"""A recipe applied to files, as the image `clary/data` does it in a processing job.

    recipe/     a recipe (.yaml, .json), or one that is fitted already (.clary)
    input/      the table's files, in any format that clary.data reads
    output/     features/part.parquet (by split: features/train/ …), recipe.clary, model.tar.gz, told.json,
                profile.html where it is wanted
Folders are those of /opt/ml/processing unless named. model.tar.gz holds the fitted recipe as CreateModel takes it.
Several hosts share the rows: each writes its own to features/part-<host>.parquet, the first all the rest.
"""

from __future__ import annotations

import argparse
import json
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from clary.data.errors import DataError, RecipeError
from clary.tasks import failure, paths
from clary.tasks.recipe_job.features import FEATURES, SPLIT, Form, by_split, check_replaceable, whole, write_features
from clary.tasks.recipe_job.hosts import Place, Share, is_sharded, only
from clary.tasks.recipe_job.options import in_options, read_options, shortened

if TYPE_CHECKING:
    from clary.data.batch import Batch
    from clary.data.progress import Progress
    from clary.data.recipe.recipe import FittedRecipe, Recipe
    from clary.data.scans import Scan

FITTED = "recipe.clary"
MODEL = "model.tar.gz"
FORMATS = ("parquet", "csv", "libsvm", "recordio", "feather", "jsonl")
_RECIPES = (".yaml", ".yml", ".json", ".clary")
_TELL_EVERY_S = 5.0
_MESSAGE_BYTES = 1024  # of /opt/ml/output/message, which becomes ExitMessage
_PREFIX = len("ClientError: ")  # in front of what the failure file says


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 done; 1 it could not be done, and the failure file says why."""
    try:
        told = run(parser().parse_args(arguments), Place.here(), Told())
    except (DataError, OSError) as error:
        reason = shortened(in_options(str(error)), failure.MAX_CHARACTERS - _PREFIX)
        failure.report(failure.ClientError(reason))
        return 1
    except Exception as error:
        failure.report(error)
        return 1
    print(told, flush=True)
    _leave_message(told)
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Wrong usage has its place in the failure file too."""
        raise DataError(f"{message}; --help lists what there is")


def parser() -> argparse.ArgumentParser:
    """What the program takes. Its parse_args raises DataError."""
    root = paths.base_dir() / "processing"
    made = _Parser(
        allow_abbrev=False,
        prog="python -m clary.tasks.recipe_job",
        description="Apply a recipe to files: fit it where it is not fitted yet, write features and the fitted recipe.",
    )
    add = made.add_argument
    add("--recipe", default=str(root / "recipe"), help="a recipe's file, or a folder with one [%(default)s]")
    add("--input", default=str(root / "input"), help="a file, a folder of files, or an s3:// URI [%(default)s]")
    add("--output", default=str(root / "output"), help="the folder for all that is made [%(default)s]")
    add("--input-format", default=None, help="of the input files, where their names and content do not tell")
    add("--read", action="append", default=[], metavar="NAME=VALUE", help="how to read them: e.g. sheet=Prices")
    add("--format", default="parquet", choices=FORMATS)
    add("--label", default="", help="the column that training programs want first (csv) or as the label")
    add("--header", action="store_true", help="of csv files: with a line of names; SageMaker's algorithms want none")
    add("--rows-per-file", type=int, default=None, help="split the features into files of so many rows")
    add("--bad-rows", choices=("error", "skip"), default="error", help="rows of the input that cannot be read")
    add("--profile", action="store_true", help="write profile.html, a report on the input, too")
    add("--allow-pickle", action="store_true", help="load pickles, in a fitted recipe or as input; they can run code")
    return made


def run(options: argparse.Namespace, place: Place, progress: Progress) -> str:
    """Do all of it; the sentence that says what was done.

    Raises DataError, in the library's words (`in_options` has the program's), and OSError.
    """
    from clary.data.recipe import Recipe
    from clary.data.sources import scan

    is_local = "://" not in options.input or options.input.startswith("file://")
    source = str(paths.local_path(options.input)) if is_local else options.input
    output = paths.local_path(options.output)
    _check(options, source, output)
    recipe = _recipe(paths.local_path(options.recipe), options.allow_pickle)
    sharded = place.hosts > 1 and "://" not in source and is_sharded(Path(source))
    if sharded:
        _check_sharded(options, source, isinstance(recipe, Recipe))
    output.mkdir(parents=True, exist_ok=True)
    if sharded and not any(one.is_file() for one in Path(source).rglob("*")):
        return _nothing_to_do(recipe, place, output)
    reading = read_options(options.read)
    with scan(
        source,
        format=options.input_format,
        bad_rows=options.bad_rows,
        allow_pickle=options.allow_pickle,
        **reading,
    ) as table:
        _tell_notes(table)
        if options.profile and place.number == 0:
            _write_profile(table, recipe.target if isinstance(recipe, Recipe) else recipe.recipe.target, output)
        fitted, trained = _fitted(recipe, table, progress)
        mine = range(table.rows) if sharded else place.share(table.rows)
        rows = write_features(
            _features(fitted, table, mine, trained, progress), output, _form(options, place), _stage_in(output)
        )
        if place.number == 0:
            write_artefacts(fitted, output)
        return f"{rows:,} of {table.rows:,} rows in {len(fitted.names)} columns, {len(fitted.steps)} steps."


# ---- what is asked ----


def _check(options: argparse.Namespace, source: str, output: Path) -> None:
    """Raises DataError for what cannot be, before anything is read."""
    if options.format == "libsvm" and not options.label:
        raise DataError("a libsvm file needs a label in each row: name its column by --label")
    if options.rows_per_file is not None and options.rows_per_file < 1:
        raise DataError(f"--rows-per-file {options.rows_per_file} is not a number of at least 1")
    check_replaceable(output / FEATURES)
    if "://" in source:
        return
    given, folder = Path(source).resolve(), output.resolve()
    if given.is_relative_to(folder / FEATURES):
        raise DataError(f"the input {source} lies in {output / FEATURES}, which is written anew: name another output")
    if given.is_dir() and folder.is_relative_to(given):
        raise DataError(f"the output {output} lies in the input's folder, and would be read as input: name another")


def _check_sharded(options: argparse.Namespace, source: str, to_be_fitted: bool) -> None:
    remedy = "give that input with S3DataDistributionType FullyReplicated, and the hosts share its rows"
    if to_be_fitted:
        raise DataError(
            f"the recipe is not fitted, and {source} is sharded by S3 key: each host would fit it on files of its own, "
            f"and their features would not go together. Give a fitted recipe ({FITTED}), or {remedy}"
        )
    if options.profile:
        raise DataError(f"--profile: {source} is sharded by S3 key, so no host sees all rows; {remedy}")


def _recipe(given: Path, allow_pickle: bool) -> Recipe | FittedRecipe:
    from clary.data.recipe import FittedRecipe, Recipe

    if not given.exists():
        raise DataError(f"there is no recipe {given}: give its file, or a folder with one, by --recipe")
    if given.is_dir():
        found = sorted(one for one in given.rglob("*") if one.suffix.lower() in _RECIPES and one.name[0] not in "._")
        if len(found) != 1:
            names = ", ".join(one.name for one in found[:12]) or "none"
            raise DataError(
                f"{given} must hold one recipe (.yaml, .json or .clary); found: {names}. Name a file by --recipe"
            )
        given = found[0]
    if given.suffix.lower() == ".clary":
        return FittedRecipe.load(given, allow_pickle=allow_pickle)
    return Recipe.load(given)


def _form(options: argparse.Namespace, place: Place) -> Form:
    host = place.host if place.hosts > 1 else ""
    return Form(options.format, options.label, options.header, options.rows_per_file, host)


def _stage_in(output: Path) -> Path:
    """In a job beside the output, whose files may be uploaded as they come."""
    return output.parent if _is_job() else output


# ---- what is made ----


def _fitted(recipe: Recipe | FittedRecipe, table: Scan, progress: Progress) -> tuple[FittedRecipe, bool]:
    """(the fitted recipe, whether it was fitted on these rows)."""
    from clary.data.recipe import Recipe

    if not isinstance(recipe, Recipe):
        for note in recipe.notes(table):
            print(note, flush=True)
        return recipe, False
    fitted = recipe.fit(table, progress=progress)
    for step, told in fitted.step_notes.items():
        for sentence in told:
            print(f"step {step}: {sentence}", flush=True)
    return fitted, True


def _features(
    fitted: FittedRecipe, table: Scan, mine: range, trained: bool, progress: Progress
) -> Iterator[tuple[str, Batch]]:
    """(share, features) of these rows. Where a row's features depend on rows before it, all are worked out."""
    if table.rows and not mine:
        return iter(())
    steps = fitted.steps if trained else [step for _, step in fitted.inference_steps]
    in_order = any(step.in_order for step in steps)
    share = table if in_order or len(mine) == table.rows else Share(table, mine)
    batches = fitted.transform_batches(share, training=trained, progress=progress)
    if len(mine) != table.rows:
        batches = only(batches, mine)
    splits = trained and any(step.name == SPLIT for step in fitted.recipe.steps)
    return by_split(batches) if splits else (("", batch) for batch in batches)


def write_artefacts(fitted: FittedRecipe, folder: Path) -> None:
    """recipe.clary, and the same as model.tar.gz: what CreateModel takes. Each is whole, or as it was."""
    fitted.save(folder / FITTED)
    with whole(folder / MODEL) as beside, tarfile.open(beside, "w:gz") as archive:
        archive.add(folder / FITTED, FITTED)
    told = {"steps": dict(fitted.step_notes), "columns": list(fitted.names), "hash": _hash(fitted.recipe)}
    with whole(folder / "told.json") as beside:
        beside.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _hash(recipe: Recipe) -> str | None:
    """None for a recipe made in Python of objects that no file of a recipe can hold."""
    try:
        return recipe.hash
    except RecipeError:
        return None


def _nothing_to_do(fitted: Recipe | FittedRecipe, place: Place, output: Path) -> str:
    """For a host that no file has fallen to."""
    from clary.data.recipe import FittedRecipe

    assert isinstance(fitted, FittedRecipe), "_check_sharded refuses others"
    if place.number == 0:
        write_artefacts(fitted, output)
    return f"No file of the input has fallen to {place.host}: give fewer hosts, or more files."


def _write_profile(table: Scan, target: str, folder: Path) -> None:
    from clary.data import profile

    with whole(folder / "profile.html") as beside:
        profile(table, target if target in table.arrow_schema.names else None).save_html(beside)


# ---- what is told ----


def _tell_notes(table: Scan) -> None:
    for note in table.notes:
        where = f"{note.column}: " if note.column else ""
        print(f"read: {where}{in_options(note.message)}", flush=True)


class Told:
    """A progress bar for a log: a line now and then, none for what is quick."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, what: str, done: int, of: int) -> None:
        if (now := time.monotonic()) - self._last >= _TELL_EVERY_S:
            self._last = now
            print(f"{what}: {done:,} of {of:,} rows ({done / max(1, of):.0%})", flush=True)


def _is_job() -> bool:
    return (paths.base_dir() / "config").is_dir()


def _leave_message(text: str) -> None:
    """Where the platform finds it; nowhere when run by hand."""
    if not _is_job():
        return
    folder = paths.output_dir()
    folder.mkdir(parents=True, exist_ok=True)
    short = text.encode()[:_MESSAGE_BYTES].decode(errors="ignore")
    (folder / "message").write_text(short, encoding="utf-8")
