"""Calls to be made later, by name: setting a timer again moves it."""

from __future__ import annotations

import time
from collections.abc import Callable


class Timers:
    def __init__(self) -> None:
        self._due: dict[str, tuple[float, Callable[[], None]]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._due

    def after(self, name: str, delay_s: float, call: Callable[[], None]) -> None:
        self._due[name] = (time.monotonic() + delay_s, call)

    def sooner(self, name: str, delay_s: float, call: Callable[[], None]) -> None:
        """Like `after`, but a timer that is due before stays."""
        if name not in self._due or self._due[name][0] > time.monotonic() + delay_s:
            self.after(name, delay_s, call)

    def cancel(self, *names: str) -> None:
        for name in names:
            self._due.pop(name, None)

    @property
    def wait_s(self) -> float | None:
        """How long until the next timer is due; None where there is none."""
        return max(0.0, min(when for when, _ in self._due.values()) - time.monotonic()) if self._due else None

    def run_due(self) -> None:
        for name, (when, call) in list(self._due.items()):
            if when <= time.monotonic() and self._due.get(name) == (when, call):
                del self._due[name]
                call()
