"""Starts detached processes, finds them by their lock files, signals them, and waits for their end.

A process is found by the pid in its lock file, and only where it has that very file open; it is signalled through a
pidfd: never a process that got the same pid later.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clary.detached.lock import LOCK_FD, read_lock, write_fingerprint

# The shell becomes the program: same pid, same descriptors.
_SHELL = f'cd / && echo $$ >&{LOCK_FD} && exec "$@"'
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_SIGNALS = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]


@dataclass(frozen=True, slots=True)
class DetachedProcess:
    """A living process that holds its lock.

    pidfd   readable once the process has ended; closed by the caller
    """

    pid: int
    fingerprint: str
    pidfd: int

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    async def ended(self, within_s: float) -> bool:
        """Whether it has ended, waiting for that up to `within_s`."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_reader(self.pidfd, over.set)
        try:
            async with asyncio.timeout(within_s):
                await over.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(self.pidfd)
        reap(self.pid)
        return True


def shell_command(argv: Sequence[str]) -> list[str]:
    """Any program, as `start` wants it. It runs in / and may be signalled from its first instruction."""
    return ["/bin/sh", "-c", _SHELL, "sh", *argv]


def python_command(module: str, folder: Path) -> list[str]:
    """A module of Clary's, run on a folder and in it. It may be signalled once it can handle SIGTERM."""
    return [sys.executable, "-I", "-m", "clary.detached.begin", module, str(folder)]


def start(lock: int, fingerprint: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
    """Start a process that takes the lock over; its pid. It has a session of its own, and no terminal.

    command   of shell_command or python_command
    log       gets what it prints
    Raises    OSError where no process can be started now
    """
    write_fingerprint(lock, fingerprint)  # the pid follows, at the same shared position
    return os.posix_spawn(
        command[0],
        list(command),
        environment,
        file_actions=[
            *((os.POSIX_SPAWN_CLOSE, number) for number in _inherited()),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), _APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, lock, LOCK_FD),  # where it is 9 already, this makes it inherited
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=_SIGNALS,
    )


@contextlib.contextmanager
def found(path: Path) -> Iterator[DetachedProcess | None]:
    """The process that holds the lock; None where there is none, or it has not written its pid yet."""
    process = find(path)
    try:
        yield process
    finally:
        if process:
            os.close(process.pidfd)


def find(path: Path) -> DetachedProcess | None:
    """Like `found`, for a caller that closes the pidfd itself."""
    content = read_lock(path)
    if content is None:
        return None
    fingerprint, pid = content
    try:
        pidfd = os.pidfd_open(pid)
    except (OSError, OverflowError):  # no such process, no pid at all
        return None
    if _has_open(pid, path):
        return DetachedProcess(pid, fingerprint, pidfd)
    os.close(pidfd)
    reap(pid)
    return None


def reap(pid: int) -> bool:
    """Take away a child that has ended. False while it runs; True also where it is no child of this process."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _has_open(pid: int, path: Path) -> bool:
    """Whether the process has the file open: as descriptor 9, or as supervisors of earlier versions have it."""
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):  # it ended, or is another user's
        if _is_same(f"{folder}/{LOCK_FD}", path):
            return True
        return any(_is_same(f"{folder}/{number}", path) for number in os.listdir(folder))  # noqa: PTH208 - names alone
    return False


def _is_same(link: str, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samefile(link, path)  # noqa: PTH121 - a link that is no path
    return False


def _inherited() -> list[int]:
    """What this process was started with beside the usual three: a pipe whose reader waits for its end, perhaps."""
    inherited = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names alone
        with contextlib.suppress(OSError):
            if (number := int(name)) > 2 and os.get_inheritable(number):
                inherited.append(number)
    return inherited
