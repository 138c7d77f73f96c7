"""Opens files in a folder that a program writes to: it may have put a link or a pipe in any place."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path


def safe_open(folder: Path, parts: Sequence[str], directory: bool = False) -> int | None:
    """A descriptor of a file or directory; None where there is none, or a symbolic link on the path to it."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for position, part in enumerate(parts):
        # O_NONBLOCK: to open a pipe would wait for a writer.
        kind = os.O_DIRECTORY if directory or position < len(parts) - 1 else os.O_NONBLOCK
        try:
            inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | kind, dir_fd=opened)
        except OSError:
            return None
        finally:
            os.close(opened)
        opened = inner
    return opened


def safe_read(folder: Path, parts: Sequence[str], limit: int) -> bytes:
    """The first `limit` bytes of a file; b"" where there is no regular file."""
    handle = safe_open(folder, parts)
    if handle is None:
        return b""
    try:
        return os.read(handle, limit) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    finally:
        os.close(handle)
