"""The metrics of a job: regular expressions searched in every line it prints.

The expressions come from callers, so each search has a limit of time, and an expression that is too slow is given up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from clary.core.tasks import Task
from clary.supervisor.state_file import StateFile

if TYPE_CHECKING:
    import regex

    from clary.core.metrics import Series, Spool

_SEARCH_S = 0.1
_SLOW_SEARCHES_ALLOWED = 3


class Metrics:
    """The last value of each metric goes to the task's state, every value to the spool that the server reads."""

    def __init__(self, task: Task, state_file: StateFile, spool: str) -> None:
        """`spool` is the folder of spool files; "" where metrics are not kept."""
        self._task = task
        self._definitions = task.metrics
        self._state_file = state_file
        self._spool = _open_spool(spool, task) if spool and task.metrics else None
        self._patterns: list[tuple[str, regex.Pattern[str]]] | None = None
        self._slow: dict[str, int] = {}

    def search(self, lines: Sequence[str], at: float, add_line: Callable[[str], None]) -> None:
        """Search lines that a host printed at `at`, epoch seconds; `add_line` writes a line into the host's log."""
        if not self._definitions:
            return
        if self._patterns is None:
            self._patterns = self._compiled(add_line)
        found = [
            (name, value)
            for line in lines
            for name, pattern in tuple(self._patterns)
            if (value := self._value(name, pattern, line, add_line)) is not None
        ]
        for name, value in found:
            self._state_file.set_metric(name, value, at)
        if found and self._spool is not None:
            from clary.core.metrics import Sample

            moment = datetime.fromtimestamp(at, UTC)
            self._spool.append((self._series(name), Sample.value(moment, value)) for name, value in found)

    def _series(self, name: str) -> Series:
        """As CloudWatch files it: a job's metrics have the namespace of its log group."""
        from clary.core.metrics import Series

        return Series.of(self._task.log_group, name, self._task.metric_dimensions)

    def _compiled(self, add_line: Callable[[str], None]) -> list[tuple[str, regex.Pattern[str]]]:
        import regex  # takes longer to load than a small program to start

        patterns = []
        for name, text in self._definitions:
            try:
                pattern = regex.compile(text)
            except (regex.error, ValueError, OverflowError, RecursionError, MemoryError) as error:
                add_line(f"metric {name!r}: the regular expression {text!r} is not valid: {error}")
                continue
            if pattern.groups < 1:
                add_line(f"metric {name!r}: the regular expression {text!r} has no group (…) to take the value from")
                continue
            patterns.append((name, pattern))
        return patterns

    def _value(
        self, name: str, pattern: regex.Pattern[str], line: str, add_line: Callable[[str], None]
    ) -> float | None:
        """The metric's value in a line. AWS's logs show a TAB as #011, and AWS's own expressions rely on it."""
        try:
            found = pattern.search(line, timeout=_SEARCH_S)
            if found is None and "\t" in line:
                found = pattern.search(line.replace("\t", "#011"), timeout=_SEARCH_S)
        except TimeoutError:
            self._too_slow(name, pattern, add_line)
            return None
        try:
            value = float(found[1]) if found else math.nan
        except (TypeError, ValueError):
            return None
        return value if math.isfinite(value) else None

    def _too_slow(self, name: str, pattern: regex.Pattern[str], add_line: Callable[[str], None]) -> None:
        self._slow[name] = self._slow.get(name, 0) + 1
        if self._slow[name] >= _SLOW_SEARCHES_ALLOWED and self._patterns is not None:
            self._patterns = [kept for kept in self._patterns if kept[0] != name]
            add_line(f"metric {name!r}: the regular expression {pattern.pattern!r} takes too long and is not searched")


def _open_spool(folder: str, task: Task) -> Spool:
    from clary.core.metrics import Spool  # most jobs have no metrics, and each waits for what is imported

    return Spool(Path(folder), f"task-{task.id}")
