"""`python -m clary.data.job`: a recipe applied to files, as the image `clary/data` does it in a processing job.

    recipe/     a recipe (.yaml, .json), or one that is fitted already (.clary)
    input/      the table's files, in any format that clary.data reads
    output/     features/part-….parquet (by split: features/train/ …), recipe.clary, model.tar.gz, told.json,
                profile.html where it is wanted
Folders are those of /opt/ml/processing unless named. model.tar.gz holds the fitted recipe as CreateModel takes it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.data.errors import DataError
from clary.tasks import failure, paths

if TYPE_CHECKING:
    from clary.data.batch import Batch
    from clary.data.recipe.fitted import FittedRecipe
    from clary.data.recipe.path import Progress
    from clary.data.recipe.recipe import Recipe
    from clary.data.scan import Part, Scan
    from clary.data.sinks import Sink

FITTED = "recipe.clary"
MODEL = "model.tar.gz"
SPLIT = "split"  # the column that the step of that name makes
_TELL_EVERY_S = 5.0
_MESSAGE_BYTES = 1024  # of /opt/ml/output/message, which becomes ExitMessage


@dataclass(frozen=True)
class Place:
    """Which of the job's hosts this is: each writes its share of the rows."""

    host: str = "algo-1"
    number: int = 0
    hosts: int = 1

    @classmethod
    def here(cls) -> Place:
        """Read from resourceconfig.json; alone where there is none. Raises DataError for one that makes no sense."""
        file = paths.base_dir() / "config" / "resourceconfig.json"
        if not file.exists():
            return cls()
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            hosts = sorted(told["hosts"])
            return cls(told["current_host"], hosts.index(told["current_host"]), len(hosts))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{file} does not say which host this is: {error}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 it could not be done, and the message says why."""
    options = parser().parse_args(arguments)
    try:
        told = run(options, Place.here(), Told())
    except (DataError, OSError) as error:
        failure.report(failure.ClientError(str(error)))
        return 1
    print(told, flush=True)
    _leave_message(told)
    return 0


def parser() -> argparse.ArgumentParser:
    """What the program takes."""
    root = paths.base_dir() / "processing"
    made = argparse.ArgumentParser(
        prog="python -m clary.data.job",
        description="Apply a recipe to files: fit it where it is not fitted yet, write features and the fitted recipe.",
    )
    add = made.add_argument
    add("--recipe", default=str(root / "recipe"), help="a recipe's file, or a folder with one [%(default)s]")
    add("--input", default=str(root / "input"), help="a file, a folder of files, or an s3:// URI [%(default)s]")
    add("--output", default=str(root / "output"), help="the folder for all that is made [%(default)s]")
    add("--input-format", default=None, help="of the input files, where their names and content do not tell")
    add("--format", default="parquet", choices=("parquet", "csv", "libsvm", "recordio", "feather", "jsonl"))
    add("--label", default="", help="the column that training programs want first (csv) or as the label")
    add("--header", action="store_true", help="of csv files: with a line of names; SageMaker's algorithms want none")
    add("--rows-per-file", type=int, default=None, help="split the features into files of so many rows")
    add("--bad-rows", choices=("error", "skip"), default="error", help="rows of the input that cannot be read")
    add("--profile", action="store_true", help="write profile.html, a report on the input, too")
    add("--allow-pickle", action="store_true", help="load a fitted recipe with pickles in it; they can run code")
    return made


def run(options: argparse.Namespace, place: Place, progress: Progress) -> str:
    """Do all of it; the sentence that says what was done. Raises DataError, OSError."""
    from clary.data.sources import scan

    output = Path(paths.local_path(options.output))
    output.mkdir(parents=True, exist_ok=True)
    recipe = _recipe(Path(paths.local_path(options.recipe)), options.allow_pickle)
    source = options.input if "://" in options.input else str(paths.local_path(options.input))
    with scan(source, format=options.input_format, bad_rows=options.bad_rows) as table:
        _tell_notes(table)
        if options.profile and place.number == 0:
            _write_profile(table, getattr(recipe, "target", ""), output)
        fitted, trained = _fitted(recipe, table, progress)
        batches = fitted.transform_batches(_Share.of(table, place), training=trained, progress=progress)
        rows = _write_features(batches, output / "features", options, place)
        if place.number == 0:
            write_artefacts(fitted, output)
        return f"{rows:,} of {table.rows:,} rows in {len(fitted.names)} columns, {len(fitted.steps)} steps."


# ---- the recipe ----


def _recipe(given: Path, allow_pickle: bool) -> Recipe | FittedRecipe:
    from clary.data.recipe import FittedRecipe, Recipe

    if given.is_dir():
        found = sorted(one for one in given.rglob("*") if one.suffix in (".yaml", ".yml", ".json", ".clary"))
        if len(found) != 1:
            names = ", ".join(one.name for one in found) or "none"
            raise DataError(f"{given} must hold one recipe (.yaml, .json or .clary); found: {names}")
        given = found[0]
    if given.suffix == ".clary":
        return FittedRecipe.load(given, allow_pickle=allow_pickle)
    return Recipe.load(given)


def _fitted(recipe: Recipe | FittedRecipe, table: Scan, progress: Progress) -> tuple[FittedRecipe, bool]:
    """(the fitted recipe, whether it was fitted on these rows)."""
    from clary.data.recipe import Recipe

    if not isinstance(recipe, Recipe):
        return recipe, False
    fitted = recipe.fit(table, progress=progress)
    for step, told in fitted.told.items():
        for sentence in told:
            print(f"step {step}: {sentence}", flush=True)
    return fitted, True


def write_artefacts(fitted: FittedRecipe, folder: Path) -> None:
    """recipe.clary, and the same as model.tar.gz: what CreateModel takes."""
    fitted.save(folder / FITTED)
    with tarfile.open(folder / MODEL, "w:gz") as archive:
        archive.add(folder / FITTED, FITTED)
    told = {"steps": dict(fitted.told), "columns": list(fitted.names), "hash": fitted.recipe.hash}
    (folder / "told.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# ---- features ----


@dataclass(frozen=True)
class _Share:
    """Every n-th part of a table: what one of n hosts has to do."""

    table: Scan
    mine: Sequence[Part]
    rows: int

    @classmethod
    def of(cls, table: Scan, place: Place) -> Scan:
        if place.hosts == 1:
            return table
        parts = list(table.parts())
        ends = [*(part.first_row for part in parts[1:]), table.rows]
        mine = range(place.number, len(parts), place.hosts)
        return cls(table, [parts[one] for one in mine], sum(ends[one] - parts[one].first_row for one in mine))

    @property
    def arrow_schema(self) -> Any:
        return self.table.arrow_schema

    @property
    def notes(self) -> Sequence[Any]:
        return self.table.notes

    def parts(self) -> Sequence[Part]:
        return self.mine


def _write_features(batches: Iterator[Batch], folder: Path, options: argparse.Namespace, place: Place) -> int:
    """How many rows were written. Where the recipe splits, each share has a folder of its own."""
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was killed
    sinks: dict[str, Sink] = {}
    rows = 0
    try:
        for name, batch in _by_split(batches):
            if name not in sinks:
                sinks[name] = _sink(folder / name if name else folder, options, place)
            sinks[name].write(batch)
            rows += batch.rows
        for sink in sinks.values():
            sink.close()
    except BaseException:
        for sink in sinks.values():
            sink.abort()
        raise
    return rows


def _by_split(batches: Iterator[Batch]) -> Iterator[tuple[str, Batch]]:
    """(share, its rows without the column that names it); "" where rows are not split."""
    import numpy as np

    from clary.data.batch import coded

    for batch in batches:
        if SPLIT not in batch.columns:
            yield "", batch
            continue
        codes, shares = coded(batch[SPLIT])
        rest = batch.replaced((SPLIT,), {})
        for number, name in enumerate(shares.to_pylist()):
            if name in ("train", "validation", "test") and (here := np.flatnonzero(codes == number)).size:
                yield name, rest.take(here)


def _sink(folder: Path, options: argparse.Namespace, place: Place) -> Sink:
    from clary.data.sinks import sink

    folder.mkdir(parents=True, exist_ok=True)
    ending = options.format if options.format != "recordio" else "pbr"
    more: dict[str, Any] = {"header": options.header} if options.format == "csv" else {}
    name = f"part-{place.host}.{ending}" if place.hosts > 1 else f"part.{ending}"
    return sink(
        folder / name, format=options.format, label=options.label or None, rows_per_file=options.rows_per_file, **more
    )


# ---- what is told ----


def _tell_notes(table: Scan) -> None:
    for note in table.notes:
        where = f"{note.column}: " if note.column else ""
        print(f"read: {where}{note.message}", flush=True)


def _write_profile(table: Scan, target: str, folder: Path) -> None:
    from clary.data.profile import profile

    profile(table, target or None).save_html(folder / "profile.html")


class Told:
    """A progress bar for a log: a line now and then, none for what is quick."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, what: str, done: int, of: int) -> None:
        if (now := time.monotonic()) - self._last >= _TELL_EVERY_S:
            self._last = now
            print(f"{what}: {done:,} of {of:,} rows ({done / max(1, of):.0%})", flush=True)


def _leave_message(text: str) -> None:
    """Where the platform finds it; nowhere when run by hand."""
    folder = paths.output_dir()
    if not (paths.base_dir() / "config").is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    short = text.encode()[:_MESSAGE_BYTES].decode(errors="ignore")
    (folder / "message").write_text(short, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:  # the same image behind an endpoint
        from clary.tasks.recipe.serving import serve

        serve()
    else:
        sys.exit(main())
