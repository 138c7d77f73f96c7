"""How far a long piece of work is, for whoever wants to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """Told how far a long piece of work is."""

    def __call__(self, what: str, done: int, of: int, /) -> None: ...


def quiet(what: str, done: int, of: int) -> None:
    """A progress that nobody looks at."""


def counted(progress: Progress, what: str, of: int) -> Callable[[int], None]:
    """What to call with the rows that were done just now: the progress is told how many are done in all."""
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(what, done, of)

    return count
