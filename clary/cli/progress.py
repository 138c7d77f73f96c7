"""How far a long piece of work is, on a terminal; nothing where nobody looks."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def bar() -> Iterator[Callable[[str, int, int], None]]:
    """progress(what, done, of): one line for each thing that is done, drawn on standard error."""
    if not sys.stderr.isatty():
        yield lambda what, done, of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        lines: dict[str, TaskID] = {}

        def tell(what: str, done: int, of: int) -> None:
            if what not in lines:
                lines[what] = drawn.add_task(what, total=max(1, of))
            drawn.update(lines[what], completed=done)

        yield tell
