"""Run a program on the task's behalf: its signals, its exit code, its last words."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

# Enough for the longest traceback that anybody reads.
KEPT_BYTES = 64 * 1024

# Something the program started may hold its stderr open after it; what is left there by now is waited for, no more.
LINGER_S = 0.5

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Ended(NamedTuple):
    """exit_code: 128 + n where signal n ended it, as shells have it. told: somebody asked us to stop."""

    exit_code: int
    stderr: str
    told: bool


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Ended:
    """Run it to its end. Signals sent to us go to it; its stderr goes to ours, and its end is kept."""
    forwards = not signalled_with_us()
    told: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def forward(number: int, frame: object) -> None:
        told.append(number)
        if child is not None and forwards:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        child = subprocess.Popen(command, cwd=folder, env=dict(environment), stderr=subprocess.PIPE)
        if told and forwards:  # it came while the child was made
            child.send_signal(told[-1])
        tail = Tail(child)
        code = child.wait()
        tail.join(LINGER_S)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return Ended(code if code >= 0 else 128 - code, tail.kept.decode("utf-8", "replace"), bool(told))


def signalled_with_us() -> bool:
    """Whether who signals us signals the script too: the platform does so with all of a task's session.

    A second SIGTERM would fall into the middle of what the script does about the first. Process 1 of a container is
    signalled alone.
    """
    return "CLARY_TASK_ID" in os.environ and os.getpid() != 1


class Tail(threading.Thread):
    """Passes a program's stderr on, and keeps the end of it."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        super().__init__(daemon=True)
        assert child.stderr is not None
        self.source = child.stderr.fileno()
        self.kept = b""
        self.start()

    def run(self) -> None:
        while chunk := os.read(self.source, KEPT_BYTES):
            self.kept = (self.kept + chunk)[-KEPT_BYTES:]
            with contextlib.suppress(OSError):  # nobody reads the log any more: still let the program go on
                while chunk:
                    chunk = chunk[os.write(2, chunk) :]
