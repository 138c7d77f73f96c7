"""Checkpoints: `xgboost-checkpoint.<round>` in the folder of CheckpointConfig."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clary.tasks import paths
from clary.tasks.xgboost import model

log = logging.getLogger(__name__)

NAME = "xgboost-checkpoint"
KEPT = 5
# Of the time of training. Large models take long to write, and a job that checkpoints should not take twice as long.
SHARE_OF_TIME = 0.1


def folder() -> Path | None:
    """Where they belong; None where the job asked for none."""
    file = paths.config_dir() / "checkpointconfig.json"
    config = json.loads(file.read_text()) if file.exists() else {}
    if not config:
        return None
    return paths.local_path(config.get("LocalPath") or f"{paths.OPT_ML}/checkpoints")


def latest(where: Path | None) -> Any:
    """The Booster to go on from, or None. One that cannot be read is passed over."""
    for file in reversed(_files(where)) if where else []:
        try:
            booster = model.load(file)
        except model.ModelError as error:
            log.warning("Checkpoint %s is left out: %s", file.name, error)
            continue
        log.info("Checkpoint loaded from %s", file)
        return booster
    return None


@dataclass
class Saver:
    """Writes one after a round, unless that has taken too much of the time so far; keeps the last few."""

    where: Path
    clock: Callable[[], float] = time.monotonic
    started_s: float = field(init=False)
    spent_s: float = 0.0
    saved: int = -1

    def __post_init__(self) -> None:
        self.where.mkdir(parents=True, exist_ok=True)
        self.started_s = self.clock()

    def after_round(self, booster: Any, number: int) -> None:
        if self.spent_s <= SHARE_OF_TIME * (self.clock() - self.started_s):
            self.save(booster, number)

    def finish(self, booster: Any) -> None:
        last = booster.num_boosted_rounds() - 1
        if self.saved != last:
            self.save(booster, last)

    def save(self, booster: Any, number: int) -> None:
        self.saved = number
        began_s = self.clock()
        model.save(booster, self.where / f"{NAME}.{number}")
        for old in _files(self.where)[:-KEPT]:
            old.unlink(missing_ok=True)
        self.spent_s += self.clock() - began_s


def _files(where: Path) -> list[Path]:
    """Oldest first."""
    found = [path for path in where.glob(f"{NAME}.*") if path.suffix[1:].isdigit()]
    return sorted(found, key=lambda path: int(path.suffix[1:]))
