"""Progress of a long computation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """Called with the name of a stage, the rows that are done, and all of its rows."""

    def __call__(self, stage: str, done: int, total: int, /) -> None: ...


def quiet(stage: str, done: int, total: int) -> None:
    """A progress that is not shown."""


def row_counter(progress: Progress, stage: str, total: int) -> Callable[[int], None]:
    """A function that adds rows to those that are done, and reports the sum to the progress."""
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(stage, done, total)

    return count
