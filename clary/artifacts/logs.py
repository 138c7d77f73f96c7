"""Logs as files: a group of CloudWatch is a folder, a stream a file of lines `<epoch ms> <text>`.

Supervisors append; all others read, at any time. Times within a file do not go back, which lets readers find a
moment by halving; a line counts once its line end is there; blank lines are left out, as AWS does. A position in a
stream is the byte offset of the start of a line, so it stays valid while the file grows.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from clary.artifacts.log_file import MOST_BYTES, Event, InvalidOffset, checked, events_from, lines_back, seek_time
from clary.core.errors import ClaryError

__all__ = ["ALWAYS", "Event", "InvalidOffset", "LogNotFound", "LogStreams", "Page", "Stream", "Window"]


class LogNotFound(ClaryError):
    """There is no such group, or no such stream in it."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream. Times are epoch ms; first and last are None while nothing is in it."""

    name: str
    created_ms: int
    modified_ms: int
    first_ms: int | None
    last_ms: int | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, oldest first, and the offsets just before and just after them."""

    events: tuple[Event, ...]
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Window:
    """From start (inclusive) to end (exclusive), epoch ms; None sets no bound."""

    start_ms: int | None = None
    end_ms: int | None = None

    def before(self, at_ms: int) -> bool:
        """Whether a moment is too early."""
        return self.start_ms is not None and at_ms < self.start_ms

    def past(self, at_ms: int) -> bool:
        """Whether a moment is too late."""
        return self.end_ms is not None and at_ms >= self.end_ms


ALWAYS = Window()


@dataclass(frozen=True, slots=True)
class LogStreams:
    """The logs below a folder. Names come from callers: those that lead out of the folder name no log."""

    root: Path

    def path(self, group: str, stream: str) -> Path:
        """Where a stream's lines are. Raises LogNotFound for a name that cannot be a stream's."""
        folder, name = self._folder(group), _inside(stream)
        return folder / f"{name}.log"

    def groups(self, prefix: str = "") -> list[str]:
        """Names of groups, sorted: every folder /aws/sagemaker/X, and each endpoint's own."""
        kinds = [f"/aws/sagemaker/{name}" for name in _folders(self.root / "aws" / "sagemaker")]
        of_endpoints = [f"{kind}/{name}" for kind in kinds if kind.endswith("/Endpoints")
                        for name in _folders(self._folder(kind))]  # fmt: skip
        found = [kind for kind in kinds if not kind.endswith("/Endpoints")] + of_endpoints
        return sorted(name for name in found if name.startswith(prefix))

    def names(self, group: str, prefix: str = "") -> list[tuple[str, int]]:
        """Streams whose names start so, and when each was last written to (epoch ms). Sorted by name."""
        folder = self._existing(group)
        above, slash, _ = prefix.rpartition("/")
        try:
            start = folder / _inside(above) if slash else folder
        except LogNotFound:
            return []
        found = ((f"{above}{slash}{name}", modified_ms) for name, modified_ms in _files(start))
        return sorted((name, modified_ms) for name, modified_ms in found if name.startswith(prefix))

    def stream(self, group: str, name: str) -> Stream:
        """Raises LogNotFound."""
        with self._open(group, name) as file:
            about = os.fstat(file.fileno())
            first = next(events_from(file, 0), None)
            last = list(events_from(file, lines_back(file, about.st_size, 2)))[-1:]
            modified_ms = about.st_mtime_ns // 1_000_000
            created_ms = first.at_ms if first else modified_ms
            ends = (first.at_ms if first else None, last[0].at_ms if last else None)
            return Stream(name, created_ms, modified_ms, *ends, about.st_size)

    def first_ms(self, group: str, name: str) -> int | None:
        """When a stream's first event was; None while it has none. Raises LogNotFound."""
        with self._open(group, name) as file:
            first = next(events_from(file, 0), None)
            return first.at_ms if first else None

    def head(self, group: str, stream: str, window: Window, limit: int, offset: int | None = None) -> Page:
        """The first events of a window, or those after an offset. Raises LogNotFound, InvalidOffset."""
        with self._open(group, stream) as file:
            began = seek_time(file, window.start_ms) if offset is None else checked(file, offset)
            after, size = began, 0
            events: list[Event] = []
            for event in events_from(file, began):
                if window.past(event.at_ms) or len(events) >= limit or size >= MOST_BYTES:
                    break
                after = event.end
                if not window.before(event.at_ms):
                    events.append(event)
                    size += len(event.text)
            return Page(tuple(events), events[0].start if events else began, after)

    def tail(self, group: str, stream: str, window: Window, limit: int, offset: int | None = None) -> Page:
        """The last events of a window, or those before an offset. Raises LogNotFound, InvalidOffset."""
        with self._open(group, stream) as file:
            end = _tail_end(file, window) if offset is None else checked(file, offset)
            start = lines_back(file, end, limit)
            events: list[Event] = []
            for event in events_from(file, start):
                if event.end > end or window.past(event.at_ms):
                    break
                if not window.before(event.at_ms):
                    events.append(event)
            events = events[-limit:]
            # Where all that lies before is too early, there is nothing further back.
            at_start = not events and window.start_ms is not None
            before = events[0].start if events else end if at_start else start
            return Page(tuple(events), before, end)

    def scan(self, group: str, stream: str, window: Window) -> Iterator[Event]:
        """Every event of a window. Raises LogNotFound."""
        with self._open(group, stream) as file:
            for event in events_from(file, seek_time(file, window.start_ms)):
                if window.past(event.at_ms):
                    return
                if not window.before(event.at_ms):
                    yield event

    def _folder(self, group: str) -> Path:
        if not group.startswith("/"):
            raise LogNotFound(f"The specified log group does not exist: {group[:512]}")
        return self.root / _inside(group[1:])

    def _existing(self, group: str) -> Path:
        folder = self._folder(group)
        if not _is_folder(folder):
            raise LogNotFound(f"The specified log group does not exist: {group[:512]}")
        return folder

    @contextmanager
    def _open(self, group: str, stream: str) -> Iterator[BinaryIO]:
        self._existing(group)
        path = self.path(group, stream)
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                raise FileNotFoundError
            file = path.open("rb")
        except (OSError, ValueError):
            raise LogNotFound(f"The specified log stream does not exist: {stream[:512]}") from None
        with file:
            yield file


def _inside(name: str) -> Path:
    """A name as a path that goes down only. Raises LogNotFound."""
    steps = name.split("/")
    if any(step in ("", ".", "..") or len(step.encode(errors="replace")) > 250 for step in steps) or "\x00" in name:
        raise LogNotFound(f"There cannot be a log of this name: {name[:512]!r}")
    return Path(*steps)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _files(folder: Path, above: str = "") -> Iterator[tuple[str, int]]:
    """Streams below a folder, and when each was last written to."""
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(folder / entry.name, f"{above}{entry.name}/")
        elif entry.name.endswith(".log") and entry.is_file(follow_symlinks=False):
            yield (
                f"{above}{entry.name.removesuffix('.log')}",
                entry.stat(follow_symlinks=False).st_mtime_ns // 1_000_000,
            )


def _tail_end(file: BinaryIO, window: Window) -> int:
    if window.end_ms is not None:
        return seek_time(file, window.end_ms)
    return lines_back(file, os.fstat(file.fileno()).st_size, 0)
