"""SIGTERM, by which the platform stops a job: 120 s later follows SIGKILL."""

from __future__ import annotations

import signal
import sys
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM


class StopRequest:
    """While nothing can be saved, SIGTERM ends the process; once `deferred`, it is noted for the training to act on.

    requested  whether SIGTERM has come
    deferred   set by the training when it looks at `requested` after each round
    """

    def __init__(self) -> None:
        self.requested = False
        self.deferred = False
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if not self.deferred:
            sys.exit(EXIT_CODE)
