"""Copies between files, cancelled between chunks; errors as texts fit for a FailureReason."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from clary.artifacts.base import TransferCancelled, never
from clary.core.errors import ObjectStoreError

CHUNK = 8 << 20
# What copy_file_range answers where it is not possible for the two files, or in this kernel.
_NOT_IN_KERNEL = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF}


def copy(source: int, target: int, cancelled: Callable[[], bool] = never) -> None:
    """Copy all of one open file to another; blocks are shared where the file system can."""
    in_kernel = hasattr(os, "copy_file_range")
    while True:
        if cancelled():
            raise TransferCancelled("The transfer was cancelled")
        if in_kernel:
            try:
                moved = os.copy_file_range(source, target, CHUNK)
            except OSError as error:
                if error.errno not in _NOT_IN_KERNEL:
                    raise
                in_kernel = False
                continue
        else:
            moved = _copy_chunk(source, target)
        if not moved:
            return


def _copy_chunk(source: int, target: int) -> int:
    chunk = memoryview(os.read(source, CHUNK))
    remaining = chunk
    while remaining:
        remaining = remaining[os.write(target, remaining) :]
    return len(chunk)


@contextlib.contextmanager
def new_file(path: Path, mode: int = 0o644) -> Iterator[int]:
    """A new file, open, in place of what was there: never written through a link, removed on an error."""
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
def as_store_error(doing: str) -> Iterator[None]:
    """Raise errors of the operating system as ObjectStoreError: what was being done, and why it failed."""
    try:
        yield
    except OSError as error:
        raise ObjectStoreError(f"{doing}: {reason(error)}") from error


def reason(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({error.strerror}); make room and try again"
    if error.errno == errno.ENAMETOOLONG:
        return "a part of its name is longer than the file system allows (255 bytes)"
    return error.strerror or str(error)
