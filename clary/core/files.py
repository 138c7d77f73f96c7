"""Files that are whole or absent, whatever dies in the middle."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str, mode: int = 0o644, durable: bool = True) -> None:
    """Write a file so that readers see the old content or the new, never a part, also after a power cut.

    durable   False: the caller does not wait for the disk, and a power cut may leave an empty file
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sweep(folder: Path) -> None:
    """Remove what `write_whole` left where it was killed. Not while another process writes there."""
    for left in folder.glob(".*.part"):
        left.unlink(missing_ok=True)
