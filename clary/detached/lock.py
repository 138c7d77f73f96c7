"""The lock file of a detached process: held (flock) for as long as the process lives.

    fingerprint     of the settings it was started with; written by the process that starts it
    pid             written by the process itself, once it may be signalled

The lock is descriptor 9 of the process, inherited while already locked, so there is no moment in which it runs without.
Task folders made by earlier versions have a lock file with the pid alone, held as any descriptor: it is still read.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

LOCK_FD = 9  # one digit: no shell promises to take more


def try_lock(path: Path) -> int | None:
    """The lock, as an open descriptor to be closed by the caller; None where a process holds it.

    Raises FileNotFoundError where there is no such folder.
    """
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if opened <= 2:  # the standard three are replaced in the process that inherits it
        low, opened = opened, fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 3)
        os.close(low)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(opened)
        return None
    return opened


def is_locked(path: Path) -> bool:
    """Whether the process lives, or is being started."""
    try:
        opened = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(opened)
    return False


def read_lock(path: Path) -> tuple[str, int] | None:
    """Fingerprint and pid of the process that holds the lock, or was the last to hold it; None without a pid."""
    try:
        lines = path.read_text().split("\n")
        match lines:
            case [pid, ""] if pid.isdecimal():  # a supervisor's, started by an earlier version
                return "", int(pid)
            case [fingerprint, pid, _, *_]:
                return fingerprint, int(pid)
    except (OSError, ValueError):
        pass
    return None


def write_fingerprint(lock: int, fingerprint: str) -> None:
    """Replace the content. The next write, also by a process that inherits the descriptor, goes behind it."""
    os.ftruncate(lock, 0)
    os.lseek(lock, 0, os.SEEK_SET)
    os.write(lock, f"{fingerprint}\n".encode())


def write_pid(lock: int) -> None:
    """Only when this process may be signalled."""
    os.write(lock, f"{os.getpid()}\n".encode())


def hold_lock(path: Path, fingerprint: str) -> bool:
    """Become the process that others find by this lock, until this process ends; False where another holds it.

    A process that was started with the lock holds it already.
    """
    with contextlib.suppress(OSError):
        if os.path.samestat(os.fstat(LOCK_FD), path.stat()):
            return True
    lock = try_lock(path)
    if lock is None:
        return False
    write_fingerprint(lock, fingerprint)
    write_pid(lock)
    if lock != LOCK_FD:
        os.dup2(lock, LOCK_FD, inheritable=False)
        os.close(lock)
    return True
