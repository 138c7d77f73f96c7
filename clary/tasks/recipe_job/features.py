"""Features on their way to a job's output: written beside it, and put in their place once all of them are whole."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.data.errors import DataError

if TYPE_CHECKING:
    from clary.data.batch import Batch
    from clary.data.sinks import Sink

FEATURES = "features"
SPLIT = "split"  # the column that the step of that name makes
SHARES = ("train", "validation", "test")
_ENDINGS = {"recordio": "pbr"}
_OURS = re.compile(r"part(-[\w-]+)?\.(parquet|csv|libsvm|pbr|feather|jsonl)")
_STAGE = ".clary-features-"


@dataclass(frozen=True)
class Form:
    """How features are written.

    host    goes into the files' names; "" where there is one host only
    header  of CSV: a line of names
    """

    format: str = "parquet"
    label: str = ""
    header: bool = False
    rows_per_file: int | None = None
    host: str = ""

    def named(self, made: str) -> str:
        """part.csv and part-00000.csv of one host; part-algo-1.csv and part-algo-1-00000.csv of several."""
        name = f"{made.partition('.')[0]}.{self.ending}"
        return name.replace("part", f"part-{self.host}", 1) if self.host else name

    @property
    def ending(self) -> str:
        return _ENDINGS.get(self.format, self.format)


def write_features(batches: Iterator[tuple[str, Batch]], output: Path, form: Form, stage_in: Path) -> int:
    """How many rows were written to output/features; those of a share have a folder of their own.

    batches   (share, features), the share "" where there are none
    stage_in  the folder, on the same disk, in which files lie until all are whole
    Raises    DataError, OSError; then the features that were there before are as they were.
    """
    check_replaceable(output / FEATURES)
    for left in stage_in.glob(f"{_STAGE}*"):  # of an attempt that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_STAGE, dir=stage_in) as stage, _Writing(Path(stage), form) as writing:
        for share, batch in batches:
            writing.write(share, batch)
        made = writing.close()
        clear(output / FEATURES)
        for share, file in made:
            folder = output / FEATURES / share
            folder.mkdir(parents=True, exist_ok=True)
            file.replace(folder / form.named(file.name))
    return writing.rows


def check_replaceable(features: Path) -> None:
    """Raises DataError where there is something in the folder that no job has written, and so none may delete."""
    if not features.exists() and not features.is_symlink():
        return
    others = [features] if not features.is_dir() or features.is_symlink() else _others(features)
    if others:
        raise DataError(
            f"{features} would be replaced, but {others[0]} is not of a recipe's features: name another output"
        )


def clear(features: Path) -> None:
    """Take away the features of an earlier job: of theirs none stays between the new ones."""
    check_replaceable(features)
    if features.exists():
        shutil.rmtree(features)


def _others(features: Path) -> list[Path]:
    return [
        one
        for one in sorted(features.rglob("*"))
        if not (one.is_dir() and one.parent == features and one.name in SHARES and not one.is_symlink())
        and not (one.is_file() and not one.is_symlink() and _OURS.fullmatch(one.name))
    ]


@dataclass
class _Writing:
    """A sink for each share of the rows, made when its first row comes. Leaving it aborts what was not closed."""

    stage: Path
    form: Form
    rows: int = 0
    _sinks: dict[str, Sink] = field(default_factory=dict)

    def __enter__(self) -> _Writing:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._sinks.values():
            one.abort()

    def write(self, share: str, batch: Batch) -> None:
        if share not in self._sinks:
            self._sinks[share] = self._sink(self.stage / (share or "all"))
        self._sinks[share].write(batch)
        self.rows += batch.rows

    def close(self) -> list[tuple[str, Path]]:
        """(share, file) of all that was written."""
        return [(share, Path(path)) for share, one in self._sinks.items() for path in one.close()]

    def _sink(self, folder: Path) -> Sink:
        from clary.data.sinks import sink

        folder.mkdir()
        form = self.form
        more: dict[str, Any] = {"header": form.header} if form.format == "csv" else {}
        many = form.rows_per_file is not None
        target = folder if many else folder / f"part.{form.ending}"
        return sink(target, format=form.format, label=form.label or None, rows_per_file=form.rows_per_file, **more)


def by_split(batches: Iterator[Batch]) -> Iterator[tuple[str, Batch]]:
    """(share, its rows without the column that names it); "" where that column is gone again."""
    import numpy as np

    from clary.data.batch import coded

    for batch in batches:
        if SPLIT not in batch.columns:
            yield "", batch
            continue
        codes, shares = coded(batch[SPLIT])
        rest = batch.replaced((SPLIT,), {})
        for number, name in enumerate(shares.to_pylist()):
            if name in SHARES and (here := np.flatnonzero(codes == number)).size:
                yield name, rest.take(here)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it becomes `path` once that is done, and never by half."""
    beside = path.with_name(f".{path.name}.part")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
