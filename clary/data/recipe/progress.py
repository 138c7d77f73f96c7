"""A progress bar on the terminal for work that takes longer than a second."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any

from clary.data.progress import Progress, quiet

_AFTER_S = 1.0  # what is done by then needs no bar


@contextlib.contextmanager
def shown_on_terminal(given: Progress | None) -> Iterator[Progress]:
    """The progress given; where there is none, a bar, if standard error is a terminal."""
    if given is not None or not sys.stderr.isatty():
        yield given or quiet
        return
    bar = Bar()
    try:
        yield bar
    finally:
        bar.close()


class Bar:
    """A progress bar by rich, one line for each piece of work."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._shown: Any = None
        self._lines: dict[str, Any] = {}

    def __call__(self, task: str, done: int, total: int) -> None:
        if self._shown is None:
            if time.monotonic() - self._started < _AFTER_S:
                return
            from rich.console import Console
            from rich.progress import Progress as Lines

            self._shown = Lines(console=Console(stderr=True), transient=True)
            self._shown.start()
        if task not in self._lines:
            self._lines[task] = self._shown.add_task(task, total=total)
        self._shown.update(self._lines[task], completed=done)

    def close(self) -> None:
        if self._shown is not None:
            self._shown.stop()
