"""Whether the task is to stop: the stop file is the request, a signal the hint to check for it."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path

from clary.compute.plan import STOP_FILE


class StopRequest:
    """Watches for a request to stop. SIGTERM without a stop file means that the machine shuts down."""

    def __init__(self, folder: Path, default_grace_s: float) -> None:
        self._file = folder / STOP_FILE
        self._default_grace_s = default_grace_s
        self.shutting_down = False
        self.wakeup_fd, self._wake_writer = os.pipe()
        os.set_blocking(self.wakeup_fd, False)
        os.set_blocking(self._wake_writer, False)

    def listen(self) -> None:
        """From now on signals make `wakeup_fd` readable. Handlers, unlike SIG_IGN, are not handed on to programs."""
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def drain(self) -> None:
        try:
            while os.read(self.wakeup_fd, 4096):
                pass
        except BlockingIOError:
            return

    def requested(self) -> bool:
        return self._file.exists() or self.shutting_down

    @property
    def grace_s(self) -> float:
        """Between SIGTERM and SIGKILL. A second request may shorten it."""
        try:
            grace_s = float(self._file.read_text())
        except (OSError, ValueError):
            return self._default_grace_s
        return max(grace_s, 0.0) if math.isfinite(grace_s) else self._default_grace_s

    def _on_sigterm(self, *_: object) -> None:
        self.shutting_down = not self._file.exists()
