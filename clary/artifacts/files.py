"""Bytes from file to file, called off between chunks; errors in words fit for a FailureReason."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from clary.artifacts.base import TransferCancelled, never
from clary.core.errors import ObjectStoreError

CHUNK = 8 << 20
# What copy_file_range answers where the two files, or the kernel, will not do it.
_ELSEWHERE = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF}


def copy(source: int, target: int, cancelled: Callable[[], bool] = never) -> None:
    """Copy all of one open file to another; blocks are shared where the file system can."""
    in_kernel = hasattr(os, "copy_file_range")
    while True:
        if cancelled():
            raise TransferCancelled("The transfer was called off")
        if in_kernel:
            try:
                moved = os.copy_file_range(source, target, CHUNK)
            except OSError as error:
                if error.errno not in _ELSEWHERE:
                    raise
                in_kernel = False
                continue
        else:
            moved = _copy_chunk(source, target)
        if not moved:
            return


def _copy_chunk(source: int, target: int) -> int:
    chunk = memoryview(os.read(source, CHUNK))
    rest = chunk
    while rest:
        rest = rest[os.write(target, rest) :]
    return len(chunk)


@contextlib.contextmanager
def new_file(path: Path, mode: int = 0o644) -> Iterator[int]:
    """An open new file in place of what was there: never written through a link, gone again on an error."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        yield handle
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def told(doing: str) -> Iterator[None]:
    """Errors of the operating system as ObjectStoreError: what was being done, and why it could not be."""
    try:
        yield
    except OSError as error:
        raise ObjectStoreError(f"{doing}: {why(error)}") from error


def why(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({error.strerror}); make room and try again"
    if error.errno == errno.ENAMETOOLONG:
        return "a part of its name is longer than the file system allows (255 bytes)"
    return error.strerror or str(error)
