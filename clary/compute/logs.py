"""Reads back what tasks printed: `<logs>/<group>/<stream>.log`, a line is `<epoch ms> <text>`."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

from clary.core.tasks import LogLine, Task

_LINES_AT_ONCE = 1000


def log_file(logs: Path, group: str, stream: str) -> Path | None:
    """Where a stream's lines lie; None for names that lead out of the folder."""
    parts = [*group.strip("/").split("/"), *f"{stream}.log".split("/")]
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        return None
    return logs.joinpath(*parts)


async def read_logs(logs: Path, task: Task) -> AsyncIterator[LogLine]:
    """The lines of each host, in their order; a line that is not finished is left out."""
    for host in task.hosts:
        file = log_file(logs, task.log_group, task.log_stream.replace("{host}", host))
        lines = _lines(file) if file else iter(())
        while batch := await asyncio.to_thread(_take, lines):
            for line in batch:
                yield line


def _take(lines: Iterator[LogLine]) -> list[LogLine]:
    return list(itertools.islice(lines, _LINES_AT_ONCE))


def _lines(file: Path) -> Iterator[LogLine]:
    try:
        with file.open(encoding="utf-8", errors="replace", newline="\n") as opened:
            for line in opened:
                time_ms, _, text = line.partition(" ")
                if line.endswith("\n") and time_ms.isdigit():
                    yield LogLine(datetime.fromtimestamp(int(time_ms) / 1000, UTC), text[:-1])
    except OSError:
        return
