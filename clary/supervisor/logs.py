"""A program's output, written to its log file: one line each, `<epoch ms> <text>`.

Memory stays bounded whatever is printed: a program that prints faster than the disk takes it waits at its pipe.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from clary.core.tasks import Task
from clary.supervisor.outcome import CannotRun

LONGEST_LINE = 256 << 10  # bytes; what CloudWatch takes as one event
_READ_AT_ONCE = 1 << 20
_LAST_LINES = 20
_LAST_LINE_CHARS = 1024


def log_path(logs: Path, task: Task, host: str) -> Path:
    """`<logs>/<group>/<stream>.log`. Names come from callers: a name that leads elsewhere raises CannotRun."""
    stream = task.log_stream.replace("{host}", host)
    parts = [*task.log_group.lstrip("/").split("/"), *stream.split("/")]
    if any(part in ("", ".", "..") or "\0" in part or len(part.encode()) > 250 for part in parts):
        raise CannotRun(f"InternalServerError: {task.log_group!r}, {stream!r} cannot be the name of a log")
    *folders, name = parts
    return logs.joinpath(*folders, f"{name}.log")


class Log:
    """One host's log. The file exists from now on.

    seen   gets every batch of lines, when they were read, and a function that adds a line of the platform's
    """

    def __init__(self, path: Path, seen: Callable[[Sequence[str], float, Callable[[str], None]], None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._seen = seen
        self._partial_line = b""
        self._at_ms = 0
        self._last: deque[str] = deque(maxlen=_LAST_LINES)

    @property
    def last_lines(self) -> list[str]:
        return list(self._last)

    def read_from(self, pipe: int) -> bool:
        """Take what the pipe has now; False at the end of the output. Raises OSError where the disk is full."""
        try:
            read = os.read(pipe, _READ_AT_ONCE)
        except BlockingIOError:
            return True
        if read:
            *whole, self._partial_line = (self._partial_line + read).split(b"\n")
            self._keep(whole)
            while len(self._partial_line) > LONGEST_LINE:
                piece, self._partial_line = _cut(self._partial_line)
                self._keep([piece])
        elif self._partial_line:
            self._keep([self._partial_line])
            self._partial_line = b""
        return bool(read)

    def add_line(self, text: str) -> None:
        """Write a line of the platform's own."""
        self._at_ms = max(self._at_ms, int(time.time() * 1000))
        self._write(f"{self._at_ms} clary: {' '.join(text.split())}\n".encode())

    def close(self) -> None:
        os.close(self._file)

    def _keep(self, lines: list[bytes]) -> None:
        if not lines:
            return
        if max(map(len, lines)) > LONGEST_LINE:
            lines = [piece for line in lines for piece in _pieces(line)]
        now = time.time()
        self._at_ms = max(self._at_ms, int(now * 1000))
        texts = [text.removesuffix("\r") for text in b"\n".join(lines).decode("utf-8", "replace").split("\n")]
        self._last.extend(text[-_LAST_LINE_CHARS:] for text in texts[-_LAST_LINES:])
        self._write("".join([f"{self._at_ms} {text}\n" for text in texts]).encode())
        self._seen(texts, now, self.add_line)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._file, data) :]


def _pieces(line: bytes) -> list[bytes]:
    pieces = []
    while len(line) > LONGEST_LINE:
        piece, line = _cut(line)
        pieces.append(piece)
    return [*pieces, line]


def _cut(line: bytes) -> tuple[bytes, bytes]:
    """The first part of a line that is too long, ending with a whole character of UTF-8, and the rest."""
    end = LONGEST_LINE
    while end > LONGEST_LINE - 4 and line[end] & 0xC0 == 0x80:
        end -= 1
    return line[:end], line[end:]
