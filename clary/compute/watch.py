"""Tells when a process has ended, without asking it again and again: also one this server did not start."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

from clary.compute.folder import TaskFolder


def open_supervisor(folder: TaskFolder) -> int | None:
    """A descriptor of a task's living supervisor; None where it has ended, or the kernel has no such descriptors.

    The number in the file may long belong to another process. The lock tells: while it is held the process that wrote
    the number lives, so what was opened before looking at the lock is that process.
    """
    pid = folder.supervisor()
    if pid is None:
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    if folder.alive():
        return descriptor
    os.close(descriptor)
    return None


def send(folder: TaskFolder, number: signal.Signals) -> None:
    """Signal a task's supervisor if it lives, never another process."""
    if (descriptor := open_supervisor(folder)) is not None:
        try:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


class Watch:
    """Calls `ended` once for each supervisor that ends, and reaps it where it is a child of this process."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._descriptors: dict[str, int] = {}
        self._unreaped: set[int] = set()

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._descriptors

    def child(self, task_id: str, pid: int) -> None:
        """Watch a process of our own. A child keeps its number until it is reaped, so this needs no proof."""
        self._unreaped.add(pid)
        with contextlib.suppress(OSError):
            self._add(task_id, os.pidfd_open(pid))

    def adopt(self, task_id: str, folder: TaskFolder) -> None:
        """Watch a supervisor that an earlier server started."""
        if task_id not in self and (descriptor := open_supervisor(folder)) is not None:
            self._add(task_id, descriptor)

    def reap(self) -> None:
        """Take leave of those that have ended; called now and then, as an end shows before it is complete."""
        for pid in list(self._unreaped):
            try:
                ended, _ = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                ended = pid
            if ended:
                self._unreaped.discard(pid)

    def forget(self, task_id: str) -> None:
        if (descriptor := self._descriptors.pop(task_id, None)) is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
        self.reap()

    def close(self) -> None:
        for task_id in list(self._descriptors):
            self.forget(task_id)

    def _add(self, task_id: str, descriptor: int) -> None:
        self._descriptors[task_id] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._readable, task_id)

    def _readable(self, task_id: str) -> None:
        self.forget(task_id)
        self._ended(task_id)
