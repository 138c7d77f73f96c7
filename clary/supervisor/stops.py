"""Whether somebody wants the task to end: the stop file says so, a signal says to look now."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path

from clary.compute.plan import STOP_FILE


class Stops:
    """The supervisor's ears. SIGTERM without a stop file means that the machine goes down."""

    def __init__(self, folder: Path, default_grace_s: float) -> None:
        self._file = folder / STOP_FILE
        self._default_grace_s = default_grace_s
        self.shutting_down = False
        self.awake, self._wake = os.pipe()
        os.set_blocking(self.awake, False)
        os.set_blocking(self._wake, False)

    def listen(self) -> None:
        """From now on signals make `awake` readable. Handlers, unlike SIG_IGN, are not handed on to programs."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGTERM, self._told)

    def drain(self) -> None:
        try:
            while os.read(self.awake, 4096):
                pass
        except BlockingIOError:
            return

    def asked(self) -> bool:
        return self._file.exists() or self.shutting_down

    @property
    def grace_s(self) -> float:
        """Between SIGTERM and SIGKILL. Whoever asks again may shorten it."""
        try:
            told = float(self._file.read_text())
        except (OSError, ValueError):
            return self._default_grace_s
        return max(told, 0.0) if math.isfinite(told) else self._default_grace_s

    def _told(self, *_: object) -> None:
        self.shutting_down = not self._file.exists()
