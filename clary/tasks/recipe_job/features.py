"""The features of a job: written beside its output, and moved into it once all of them are complete."""

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
SPLITS = ("train", "validation", "test")
_ENDINGS = {"recordio": "pbr"}
_WRITTEN = re.compile(r"part(-[\w-]+)?\.(parquet|csv|libsvm|pbr|feather|jsonl)")
_STAGE = ".clary-features-"


@dataclass(frozen=True)
class FeatureFiles:
    """How features are written.

    host    becomes a part of the files' names; "" where there is a single host
    header  of CSV: whether a line of column names comes first
    """

    format: str = "parquet"
    label: str = ""
    header: bool = False
    rows_per_file: int | None = None
    host: str = ""

    def final_name(self, written: str) -> str:
        """part.csv or part-00000.csv where there is one host, part-algo-1.csv or part-algo-1-00000.csv otherwise."""
        name = f"{written.partition('.')[0]}.{self.ending}"
        return name.replace("part", f"part-{self.host}", 1) if self.host else name

    @property
    def ending(self) -> str:
        return _ENDINGS.get(self.format, self.format)


def write_features(batches: Iterator[tuple[str, Batch]], output: Path, files: FeatureFiles, stage_in: Path) -> int:
    """How many rows were written to output/features; those of a split have a folder of their own.

    batches   (split, features); the split is "" where the recipe makes none
    stage_in  the folder, on the same disk, in which files lie until all are complete
    Raises    DataError, OSError; then the features of an earlier run are as they were.
    """
    check_replaceable(output / FEATURES)
    for abandoned in stage_in.glob(f"{_STAGE}*"):  # of an attempt that was killed
        shutil.rmtree(abandoned, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_STAGE, dir=stage_in) as stage, _Writer(Path(stage), files) as writer:
        for split, batch in batches:
            writer.write(split, batch)
        written = writer.close()
        clear(output / FEATURES)
        for split, file in written:
            folder = output / FEATURES / split
            folder.mkdir(parents=True, exist_ok=True)
            file.replace(folder / files.final_name(file.name))
    return writer.rows


def check_replaceable(features: Path) -> None:
    """Raises DataError where the folder holds a file that no job has written, and so none may delete."""
    if not features.exists() and not features.is_symlink():
        return
    others = [features] if not features.is_dir() or features.is_symlink() else _others(features)
    if others:
        raise DataError(
            f"{features} would be replaced, but {others[0]} is not of a recipe's features: name another output"
        )


def clear(features: Path) -> None:
    """Remove the features of an earlier run, which must not stay among those of this run."""
    check_replaceable(features)
    if features.exists():
        shutil.rmtree(features)


def _others(features: Path) -> list[Path]:
    """What is in the folder and was not written by a job."""
    return [
        path
        for path in sorted(features.rglob("*"))
        if not (path.is_dir() and path.parent == features and path.name in SPLITS and not path.is_symlink())
        and not (path.is_file() and not path.is_symlink() and _WRITTEN.fullmatch(path.name))
    ]


@dataclass
class _Writer:
    """A sink for each split, opened for its first row. Leaving the context aborts those that were not closed."""

    stage: Path
    files: FeatureFiles
    rows: int = 0
    _sinks: dict[str, Sink] = field(default_factory=dict)

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        for sink in self._sinks.values():
            sink.abort()

    def write(self, split: str, batch: Batch) -> None:
        if split not in self._sinks:
            self._sinks[split] = self._sink(self.stage / (split or "all"))
        self._sinks[split].write(batch)
        self.rows += batch.rows

    def close(self) -> list[tuple[str, Path]]:
        """(split, file) of everything that was written."""
        return [(split, Path(path)) for split, sink in self._sinks.items() for path in sink.close()]

    def _sink(self, folder: Path) -> Sink:
        from clary.data.sinks import sink

        folder.mkdir()
        files = self.files
        more: dict[str, Any] = {"header": files.header} if files.format == "csv" else {}
        target = folder / f"part.{files.ending}" if files.rows_per_file is None else folder
        return sink(target, format=files.format, label=files.label or None, rows_per_file=files.rows_per_file, **more)


def by_split(batches: Iterator[Batch]) -> Iterator[tuple[str, Batch]]:
    """(split, its rows without the column that names it); the split is "" where a later step dropped that column."""
    import numpy as np

    from clary.data.batch import coded

    for batch in batches:
        if SPLIT not in batch.columns:
            yield "", batch
            continue
        codes, splits = coded(batch[SPLIT])
        features = batch.replaced((SPLIT,), {})
        for code, split in enumerate(splits.to_pylist()):
            if split in SPLITS and (places := np.flatnonzero(codes == code)).size:
                yield split, features.take(places)


@contextlib.contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to; it takes the place of `path` at the end, unless writing fails."""
    beside = path.with_name(f".{path.name}.part")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
