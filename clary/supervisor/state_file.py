"""The task's state, in the file where the server reads it, and the notice that it changed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from clary.compute.plan import RESERVE_BYTES, RESERVE_FILE, STATE_FILE
from clary.core.files import write_whole
from clary.core.tasks import Metric, Phase, TaskState


class StateFile:
    """Every change of phase is on disk before the server is notified, and before the supervisor goes on."""

    def __init__(self, folder: Path, state: TaskState, events_socket: str) -> None:
        self.state = state
        self.changed = False  # metrics that are not written yet
        self._folder = folder
        self._events_socket = events_socket

    def reserve(self) -> None:
        """Set disk space aside for later, where it is not yet. Without it the task runs just as well."""
        with contextlib.suppress(OSError), (self._folder / RESERVE_FILE).open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)

    def release(self) -> None:
        (self._folder / RESERVE_FILE).unlink(missing_ok=True)

    def move(self, phase: Phase, **changes: Any) -> None:
        """Enter a phase. Only what is done once needs to be known after a power cut: staging can be done again."""
        self.state = replace(self.state, phase=phase, **changes)
        self.write(durable=phase is not Phase.STAGING)
        self._notify()

    def set_metric(self, name: str, value: float, at: float) -> None:
        """A metric was seen. `write` is called in a while."""
        self.state = replace(self.state, metrics={**self.state.metrics, name: Metric(value, at)})
        self.changed = True

    def write(self, durable: bool = False) -> None:
        text = self.state.to_json()
        write_with_reserve(lambda: write_whole(self._folder / STATE_FILE, text, durable=durable), self._folder)
        self.changed = False

    def _notify(self) -> None:
        """A hint that may get lost: the file has the state."""
        owner = json.dumps(self.state.owner).encode()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(owner, self._events_socket)


def write_with_reserve(write: Callable[[], None], folder: Path) -> None:
    """Write; where the disk is full, give up the reserve and write again."""
    try:
        write()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        (folder / RESERVE_FILE).unlink(missing_ok=True)
        write()


def read_state(folder: Path) -> TaskState | None:
    """The state an earlier supervisor wrote; None where there is none. RUNNING for a damaged file: it may have been."""
    try:
        return TaskState.from_json((folder / STATE_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        return TaskState(Phase.RUNNING)


def now() -> float:
    return time.time()
