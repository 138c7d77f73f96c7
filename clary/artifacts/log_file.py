"""One log file: lines `<epoch ms> <text>`, found by byte offset and by time.

Times do not go back within a file, which lets readers find a moment by halving; a line counts once its line end is
there; blank lines are left out, as AWS does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from clary.core.errors import ClaryError

LONGEST_LINE = 256 * 1024 + 32  # bytes, with the time before the text; the rest of a longer line is left out
MOST_BYTES = 2**20  # of text in one page
BLOCK = 64 * 1024


class InvalidOffset(ClaryError):
    """An offset that is not the start of a line of the stream."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line. `start` and `end` are its byte offsets in the stream."""

    at_ms: int
    text: str
    start: int
    end: int


def events_from(file: BinaryIO, offset: int) -> Iterator[Event]:
    """The events from an offset on."""
    file.seek(offset)
    at_ms = 0
    while raw := file.readline(LONGEST_LINE):
        end = offset + len(raw)
        while not raw.endswith(b"\n"):
            rest = file.readline(LONGEST_LINE)
            if not rest:
                return  # its writer is not done yet
            end += len(rest)
            if rest.endswith(b"\n"):
                break
        time_ms, _, text = raw.rstrip(b"\r\n").partition(b" ")
        if time_ms.isdigit() and len(time_ms) < 16:
            at_ms = int(time_ms)
        else:
            text = raw.rstrip(b"\r\n")  # no line of a supervisor's; it gets the time of the line before
        if text.strip():
            yield Event(at_ms, text.decode(errors="replace"), offset, end)
        offset = end


def lines_back(file: BinaryIO, offset: int, count: int) -> int:
    """Where the line starts that stands `count` lines before an offset; at most about MOST_BYTES back."""
    seen, at = 0, offset
    while at > 0:
        step = min(BLOCK, at)
        at -= step
        file.seek(at)
        block = file.read(step)
        cut = len(block)
        while (cut := block.rfind(b"\n", 0, cut)) >= 0:
            seen += 1
            if seen > count or (seen > 1 and offset - (at + cut) > MOST_BYTES):
                return at + cut + 1
    return 0


def seek_time(file: BinaryIO, at_ms: int | None) -> int:
    """The offset of the first event that is not before a moment; the end where there is none."""
    if at_ms is None:
        return 0
    low, high = 0, os.fstat(file.fileno()).st_size
    while high - low > BLOCK:
        middle = (low + high) // 2
        file.seek(middle)
        if not _skip_line(file) or (offset := file.tell()) >= high:
            high = middle
            continue
        time_ms = file.readline(32).partition(b" ")[0]
        if not time_ms.isdigit() or int(time_ms) >= at_ms:
            high = middle
        else:
            low = offset
    offset = low
    for event in events_from(file, low):
        if event.at_ms >= at_ms:
            return event.start
        offset = event.end
    return offset


def _skip_line(file: BinaryIO) -> bool:
    """Read up to the next line end; False where there is none."""
    while part := file.readline(BLOCK):
        if part.endswith(b"\n"):
            return True
    return False


def checked(file: BinaryIO, offset: int) -> int:
    """An offset that came from outside. Raises InvalidOffset where no line starts there."""
    if offset == 0:
        return 0
    if offset < 0 or offset > os.fstat(file.fileno()).st_size:
        raise InvalidOffset("The specified nextToken is invalid: the stream does not reach so far.")
    file.seek(offset - 1)
    if file.read(1) != b"\n":
        raise InvalidOffset("The specified nextToken is invalid: no line starts there.")
    return offset
