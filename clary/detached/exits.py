"""Reports when detached processes end, without polling: also those this process did not start."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from clary.detached.process import find, reap


class ExitWatcher:
    """Calls `ended` with the name of each process that ends, and reaps it where it is a child of this process."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._pidfds: dict[str, int] = {}
        self._unreaped: set[int] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._pidfds

    def add_child(self, name: str, pid: int) -> None:
        """Watch a child of this process: it keeps its pid until it is reaped, so no lock has to be checked."""
        self._unreaped.add(pid)
        with contextlib.suppress(OSError):
            self._add(name, os.pidfd_open(pid))

    def adopt(self, name: str, lock: Path) -> None:
        """Watch the process that holds a lock, if there is one."""
        if name not in self and (process := find(lock)) is not None:
            self._add(name, process.pidfd)

    def reap(self) -> None:
        """Reap children that have ended; called now and then, as a pidfd is readable before its process can be."""
        self._unreaped = {pid for pid in self._unreaped if not reap(pid)}

    def remove(self, name: str) -> None:
        if (pidfd := self._pidfds.pop(name, None)) is not None:
            asyncio.get_running_loop().remove_reader(pidfd)
            os.close(pidfd)
        self.reap()

    def close(self) -> None:
        for name in list(self._pidfds):
            self.remove(name)

    def _add(self, name: str, pidfd: int) -> None:
        self._pidfds[name] = pidfd
        asyncio.get_running_loop().add_reader(pidfd, self._readable, name)

    def _readable(self, name: str) -> None:
        self.remove(name)
        self._ended(name)
