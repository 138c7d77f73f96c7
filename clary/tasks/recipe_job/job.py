"""A recipe applied to files, as the image `clary/data` does it in a processing job.

    recipe/     a recipe (.yaml, .json), or a fitted recipe (.clary)
    input/      the table's files, in any format that clary.data reads
    output/     features/part.parquet (by split: features/train/ …), recipe.clary, model.tar.gz, told.json,
                profile.html where it is wanted
Folders are those of /opt/ml/processing unless named. model.tar.gz holds the fitted recipe as CreateModel takes it.
Several hosts share the rows: each writes its own to features/part-<host>.parquet, the first one the other files.
"""

from __future__ import annotations

import json
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clary.data.errors import DataError, RecipeError
from clary.tasks import failure, paths
from clary.tasks.recipe_job.features import (
    FEATURES,
    SPLIT,
    FeatureFiles,
    by_split,
    check_replaceable,
    complete_file,
    write_features,
)
from clary.tasks.recipe_job.hosts import Host, RowRange, is_sharded, keep_rows
from clary.tasks.recipe_job.messages import shortened, with_flags
from clary.tasks.recipe_job.options import Options, parse, read_options

if TYPE_CHECKING:
    from clary.data.batch import Batch
    from clary.data.progress import Progress
    from clary.data.recipe.recipe import FittedRecipe, Recipe
    from clary.data.scans import Scan

FITTED = "recipe.clary"
MODEL = "model.tar.gz"
NOTES = "told.json"
_RECIPE_ENDINGS = (".yaml", ".yml", ".json", ".clary")
_REPORT_EVERY_S = 5.0
_MESSAGE_BYTES = 1024  # of /opt/ml/output/message, which becomes ExitMessage
_PREFIX = len("ClientError: ")  # of the text in the failure file


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 for success; 1 for a failure, whose reason is in the failure file."""
    try:
        summary = run(parse(arguments), Host.current(), LogProgress())
    except (DataError, OSError) as error:
        reason = shortened(with_flags(str(error)), failure.MAX_CHARACTERS - _PREFIX)
        failure.report(failure.ClientError(reason))
        return 1
    except Exception as error:
        failure.report(error)
        return 1
    print(summary, flush=True)
    _write_message(summary)
    return 0


def run(options: Options, host: Host, progress: Progress) -> str:
    """Apply the recipe to this host's rows; a sentence with what was done.

    Raises DataError, in the library's terms (`with_flags` has the program's), and OSError.
    """
    from clary.data.recipe import Recipe
    from clary.data.sources import scan

    is_local = "://" not in options.input or options.input.startswith("file://")
    source = str(paths.local_path(options.input)) if is_local else options.input
    output = paths.local_path(options.output)
    _check_folders(source, output)
    recipe = _recipe(paths.local_path(options.recipe), options.allow_pickle)
    sharded = host.count > 1 and "://" not in source and is_sharded(Path(source))
    if sharded:
        _check_sharded(options, source, isinstance(recipe, Recipe))
    output.mkdir(parents=True, exist_ok=True)
    if sharded and not any(path.is_file() for path in Path(source).rglob("*")):
        return _no_input(recipe, host, output)
    with scan(
        source,
        format=options.input_format or None,
        bad_rows=options.bad_rows,
        allow_pickle=options.allow_pickle,
        **read_options(options.read),
    ) as table:
        _print_notes(table)
        if options.profile and host.index == 0:
            _write_profile(table, recipe.target if isinstance(recipe, Recipe) else recipe.recipe.target, output)
        fitted, trained = _fitted(recipe, table, progress)
        own = range(table.rows) if sharded else host.rows_of(table.rows)
        features = _features(fitted, table, own, trained, progress)
        rows = write_features(features, output, _feature_files(options, host), _stage_in(output))
        if host.index == 0:
            write_artifacts(fitted, output)
        return f"{rows:,} of {table.rows:,} rows in {len(fitted.names)} columns, {len(fitted.steps)} steps."


# ---- before anything is read ----


def _check_folders(source: str, output: Path) -> None:
    """Raises DataError where output and input would be mixed, or the output holds another's files."""
    check_replaceable(output / FEATURES)
    if "://" in source:
        return
    given, folder = Path(source).resolve(), output.resolve()
    if given.is_relative_to(folder / FEATURES):
        raise DataError(f"the input {source} lies in {output / FEATURES}, which is written anew: name another output")
    if given.is_dir() and folder.is_relative_to(given):
        raise DataError(f"the output {output} lies in the input's folder, and would be read as input: name another")


def _check_sharded(options: Options, source: str, to_be_fitted: bool) -> None:
    remedy = "give that input with S3DataDistributionType FullyReplicated, and the hosts share its rows"
    if to_be_fitted:
        raise DataError(
            f"the recipe is not fitted, and {source} is sharded by S3 key: each host would fit it on files of its own, "
            f"and their features would not go together. Give a fitted recipe ({FITTED}), or {remedy}"
        )
    if options.profile:
        raise DataError(f"--profile: {source} is sharded by S3 key, so no host sees all rows; {remedy}")


def _recipe(path: Path, allow_pickle: bool) -> Recipe | FittedRecipe:
    from clary.data.recipe import FittedRecipe, Recipe

    if not path.exists():
        raise DataError(f"there is no recipe {path}: give its file, or a folder with one, by --recipe")
    if path.is_dir():
        found = sorted(
            file for file in path.rglob("*") if file.suffix.lower() in _RECIPE_ENDINGS and file.name[0] not in "._"
        )
        if len(found) != 1:
            names = ", ".join(file.name for file in found[:12]) or "none"
            raise DataError(
                f"{path} must hold one recipe (.yaml, .json or .clary); found: {names}. Name a file by --recipe"
            )
        path = found[0]
    if path.suffix.lower() == ".clary":
        return FittedRecipe.load(path, allow_pickle=allow_pickle)
    return Recipe.load(path)


def _feature_files(options: Options, host: Host) -> FeatureFiles:
    name = host.name if host.count > 1 else ""
    return FeatureFiles(options.format, options.label, options.header, options.rows_per_file, name)


def _stage_in(output: Path) -> Path:
    """In a job beside the output, whose files may be uploaded as they come."""
    return output.parent if _is_job() else output


# ---- what is written ----


def _fitted(recipe: Recipe | FittedRecipe, table: Scan, progress: Progress) -> tuple[FittedRecipe, bool]:
    """(the fitted recipe, whether it was fitted on these rows)."""
    from clary.data.recipe import Recipe

    if not isinstance(recipe, Recipe):
        for note in recipe.notes(table):
            print(note, flush=True)
        return recipe, False
    fitted = recipe.fit(table, progress=progress)
    for step, notes in fitted.step_notes.items():
        for note in notes:
            print(f"step {step}: {note}", flush=True)
    return fitted, True


def _features(
    fitted: FittedRecipe, table: Scan, own: range, trained: bool, progress: Progress
) -> Iterator[tuple[str, Batch]]:
    """(split, features) of the host's own rows.

    Where the features of a row depend on rows before it, those of all rows are computed.
    """
    if table.rows and not own:
        return iter(())
    steps = fitted.steps if trained else [step for _, step in fitted.inference_steps]
    in_order = any(step.in_order for step in steps)
    rows = table if in_order or len(own) == table.rows else RowRange(table, own)
    batches = fitted.transform_batches(rows, training=trained, progress=progress)
    if len(own) != table.rows:
        batches = keep_rows(batches, own)
    splits = trained and any(step.name == SPLIT for step in fitted.recipe.steps)
    return by_split(batches) if splits else (("", batch) for batch in batches)


def write_artifacts(fitted: FittedRecipe, folder: Path) -> None:
    """Write recipe.clary, model.tar.gz with it (for CreateModel), and the notes: each complete, or not at all."""
    fitted.save(folder / FITTED)
    with complete_file(folder / MODEL) as beside, tarfile.open(beside, "w:gz") as archive:
        archive.add(folder / FITTED, FITTED)
    notes = {"steps": dict(fitted.step_notes), "columns": list(fitted.names), "hash": _hash(fitted.recipe)}
    with complete_file(folder / NOTES) as beside:
        beside.write_text(json.dumps(notes, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _hash(recipe: Recipe) -> str | None:
    """None for a recipe made in Python of objects that no recipe's file can hold."""
    try:
        return recipe.hash
    except RecipeError:
        return None


def _no_input(fitted: Recipe | FittedRecipe, host: Host, output: Path) -> str:
    """The summary of a host to which S3 sharding gave no file."""
    from clary.data.recipe import FittedRecipe

    assert isinstance(fitted, FittedRecipe), "_check_sharded refuses others"
    if host.index == 0:
        write_artifacts(fitted, output)
    return f"No file of the input has fallen to {host.name}: give fewer hosts, or more files."


def _write_profile(table: Scan, target: str, folder: Path) -> None:
    from clary.data import profile

    with complete_file(folder / "profile.html") as beside:
        profile(table, target if target in table.arrow_schema.names else None).save_html(beside)


# ---- what is reported ----


def _print_notes(table: Scan) -> None:
    for note in table.notes:
        column = f"{note.column}: " if note.column else ""
        print(f"read: {column}{with_flags(note.message)}", flush=True)


class LogProgress:
    """Progress for a log: a line every few seconds, none for what is quick."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if (now := time.monotonic()) - self._last >= _REPORT_EVERY_S:
            self._last = now
            print(f"{stage}: {done:,} of {total:,} rows ({done / max(1, total):.0%})", flush=True)


def _is_job() -> bool:
    return (paths.base_dir() / "config").is_dir()


def _write_message(text: str) -> None:
    """Write the text that becomes ExitMessage; nowhere outside of a job."""
    if not _is_job():
        return
    folder = paths.output_dir()
    folder.mkdir(parents=True, exist_ok=True)
    short = text.encode()[:_MESSAGE_BYTES].decode(errors="ignore")
    (folder / "message").write_text(short, encoding="utf-8")
