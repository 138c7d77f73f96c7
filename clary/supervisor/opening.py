"""Opening what lies in a program's own folder: it may have put a link, a pipe or nothing in any place."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path


def open_inside(folder: Path, parts: Sequence[str], directory: bool = False) -> int | None:
    """A descriptor of what lies there, without following a link; None where nothing does, or a link on the way."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for position, part in enumerate(parts):
        # O_NONBLOCK: to open a pipe would wait for who writes to it.
        kind = os.O_DIRECTORY if directory or position < len(parts) - 1 else os.O_NONBLOCK
        try:
            below = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | kind, dir_fd=held)
        except OSError:
            return None
        finally:
            os.close(held)
        held = below
    return held


def read_inside(folder: Path, parts: Sequence[str], most: int) -> bytes:
    """The first bytes of a file; nothing where there is none that may be read."""
    handle = open_inside(folder, parts)
    if handle is None:
        return b""
    try:
        return os.read(handle, most) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    finally:
        os.close(handle)
