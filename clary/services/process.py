"""A process that outlives whoever started it, and can be told from all others afterwards.

It holds a lock (flock) on a file of its own as descriptor 9, inherited while already locked: there is no moment in
which it runs without. The file says with which settings it was started, and its pid, written by itself:

    fingerprint
    pid

Who finds the lock free may start one. Who finds it held looks for a process of that pid which has that very file
open as descriptor 9, and signals it through a pidfd: never one that merely got the same number later.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LOCK = 9
# The shell becomes the program: same pid, same descriptors.
_LAUNCH = f'cd / && echo $$ >&{_LOCK} && exec "$@"'


@dataclass(frozen=True, slots=True)
class Running:
    """A process found holding its lock. `handle` is a pidfd, closed by `found`."""

    pid: int
    fingerprint: str
    handle: int

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, number)

    async def ended(self, within_s: float) -> bool:
        """Whether it has ended, waiting for that up to `within_s`."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_reader(self.handle, over.set)
        try:
            async with asyncio.timeout(within_s):
                await over.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(self.handle)
        _reap(self.pid)
        return True


def try_lock(path: Path) -> int | None:
    """The lock, as an open descriptor to be closed by the caller; None where a process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


@contextlib.contextmanager
def found(path: Path) -> Iterator[Running | None]:
    """The process that holds the lock; None where there is none, or it has not said its pid yet."""
    running = _find(path)
    try:
        yield running
    finally:
        if running:
            os.close(running.handle)


def _find(path: Path) -> Running | None:
    try:
        fingerprint, pid, *_ = path.read_text().split("\n")
        handle = os.pidfd_open(int(pid))
    except (OSError, ValueError, OverflowError):  # no file, no such process, no pid at all
        return None
    try:
        if os.path.samefile(f"/proc/{int(pid)}/fd/{_LOCK}", path):  # noqa: PTH121 - a link that is no path
            return Running(int(pid), fingerprint, handle)
    except OSError:  # it ended, or is not ours
        pass
    os.close(handle)
    _reap(int(pid))
    return None


def hold(lock: int, fingerprint: str) -> None:
    """Become a process that others find by this lock: what `spawn` does for another, done for oneself."""
    os.ftruncate(lock, 0)
    os.lseek(lock, 0, os.SEEK_SET)
    os.write(lock, f"{fingerprint}\n{os.getpid()}\n".encode())
    if lock != _LOCK:
        os.dup2(lock, _LOCK, inheritable=False)
        os.close(lock)


def spawn(lock: int, fingerprint: str, argv: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    """Start a process that takes the lock over. It has a session of its own, and no terminal."""
    os.ftruncate(lock, 0)
    os.lseek(lock, 0, os.SEEK_SET)
    os.write(lock, f"{fingerprint}\n".encode())  # the pid follows, at the same shared position
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    high = fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC, 16)  # out of the way of the numbers given below
    try:
        os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", _LAUNCH, "sh", *argv],
            dict(environment),
            file_actions=[
                *((os.POSIX_SPAWN_CLOSE, number) for number in _leaking()),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, high, _LOCK),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ],
        )
    finally:
        os.close(high)
        os.close(output)


def _leaking() -> list[int]:
    """What we ourselves were started with beside the usual three: a pipe somebody waits for the end of, perhaps."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if (number := int(link.name)) > 2 and os.get_inheritable(number):
                found.append(number)
    return found


def _reap(pid: int) -> None:
    """Take away a child that has ended; another's is none of our business."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
