"""Checkpoints: `<name>.<round>` in the folder of CheckpointConfig."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from clary.tasks import configuration, paths
from clary.tasks.algorithm.artifacts import ModelError

log = logging.getLogger(__name__)

KEPT = 5
# Of the time of training. Large models take long to write, and a job that checkpoints should not take twice as long.
SHARE_OF_TIME = 0.1

Model = TypeVar("Model")


def folder() -> Path | None:
    """Where they belong; None where the job asked for none."""
    config = configuration.read("checkpointconfig.json")
    if not config:
        return None
    return paths.local_path(config.get("LocalPath") or f"{paths.OPT_ML}/checkpoints")


def latest(folder: Path | None, name: str, load: Callable[[Path], Model]) -> Model | None:
    """The model to go on from, or None. A file for which `load` raises ModelError is passed over."""
    for file in reversed(_files(folder, name)) if folder else []:
        try:
            model = load(file)
        except ModelError as error:
            log.warning("Checkpoint %s is left out: %s", file.name, error)
            continue
        log.info("Checkpoint loaded from %s", file)
        return model
    return None


@dataclass
class Checkpoints(Generic[Model]):
    """Writes one after a round, unless that has taken too much of the time so far; keeps the last few.

    write  saves a model to a file, whole or not at all
    """

    folder: Path
    name: str
    write: Callable[[Model, Path], None]
    clock: Callable[[], float] = time.monotonic
    started_s: float = field(init=False)
    spent_s: float = 0.0
    saved_round: int = -1

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.started_s = self.clock()

    def after_round(self, model: Model, number: int) -> None:
        if self.spent_s <= SHARE_OF_TIME * (self.clock() - self.started_s):
            self.save(model, number)

    def finish(self, model: Model, last_round: int) -> None:
        """The last round is always saved: a job whose model could not be uploaded need not train again."""
        if self.saved_round != last_round:
            self.save(model, last_round)

    def save(self, model: Model, number: int) -> None:
        self.saved_round = number
        began_s = self.clock()
        self.write(model, self.folder / f"{self.name}.{number}")
        for old in _files(self.folder, self.name)[:-KEPT]:
            old.unlink(missing_ok=True)
        self.spent_s += self.clock() - began_s


def _files(folder: Path, name: str) -> list[Path]:
    """Oldest first."""
    found = [path for path in folder.glob(f"{name}.*") if path.suffix[1:].isdigit()]
    return sorted(found, key=lambda path: int(path.suffix[1:]))
