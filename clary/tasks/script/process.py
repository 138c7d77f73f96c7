"""Run a program for the user: signals passed on, its exit code, the end of its stderr."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

# Of stderr: enough for the longest traceback that anybody reads.
KEPT_BYTES = 64 * 1024

# A process that the program started may hold its stderr open after it; what is in it is still read for so long.
LINGER_S = 0.5

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Outcome(NamedTuple):
    """exit_code: 128 + n where signal n ended it, as shells have it. stopped: a signal asked this process to stop."""

    exit_code: int
    stderr: str
    stopped: bool


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Outcome:
    """Run it to its end. Signals to this process are passed on to it; the end of its stderr is kept."""
    forwards = not signalled_with_us()
    received: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def forward(number: int, frame: object) -> None:
        received.append(number)
        if child is not None and forwards:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        child = subprocess.Popen(command, cwd=folder, env=dict(environment), stderr=subprocess.PIPE)
        if received and forwards:  # it came while the child was started
            child.send_signal(received[-1])
        tail = Tail(child)
        code = child.wait()
        tail.join(LINGER_S)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return Outcome(code if code >= 0 else 128 - code, tail.kept.decode("utf-8", "replace"), bool(received))


def signalled_with_us() -> bool:
    """Whether the sender of a signal signals the script, too: the platform signals all of a task's session.

    A second SIGTERM would interrupt what the script does about the first. Process 1 of a container is
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
