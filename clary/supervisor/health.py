"""Whether a replica answers pings: frequent ones until it is ready, then one at each interval."""

from __future__ import annotations

import selectors
from collections.abc import Callable

from clary.core.tasks import Serve
from clary.supervisor.pings import Ping
from clary.supervisor.timers import Timers

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.2


class Health:
    """Pings one replica, in the host group's own loop.

    ready    is called once, when the first ping was answered with 200
    failed   is called once, with the reason: too late for the first, or too many without an answer in a row
    host     its name: the hosts of a pipeline share the timers
    """

    def __init__(
        self,
        port: int,
        serve: Serve,
        selector: selectors.BaseSelector,
        timers: Timers,
        ready: Callable[[], None],
        failed: Callable[[str], None],
        host: str = "",
    ) -> None:
        self._port = port
        self._start_up, self._next_ping, self._ping_timeout = (
            f"{timer} {host}" for timer in ("start-up", "ping", "ping over")
        )
        self._serve = serve
        self._selector = selector
        self._timers = timers
        self._ready = ready
        self._failed = failed
        self._is_ready = False
        self._failed_in_a_row = 0
        self._pause_s = _FIRST_PAUSE_S
        self._ping: Ping | None = None
        timers.after(self._start_up, serve.startup_timeout_s, self._startup_timed_out)
        timers.after(self._next_ping, self._pause_s, self._start_ping)

    def stop(self) -> None:
        self._timers.cancel(self._next_ping, self._ping_timeout, self._start_up)
        self._close()

    def _start_ping(self) -> None:
        self._ping = Ping(self._port)
        self._selector.register(self._ping.socket, selectors.EVENT_WRITE, self._on_socket)
        self._timers.after(self._ping_timeout, self._serve.ping_timeout_s, self._end_ping)

    def _on_socket(self) -> None:
        assert self._ping is not None
        if not self._ping.advance():
            self._end_ping()
        elif not self._ping.wants_to_write:
            self._selector.modify(self._ping.socket, selectors.EVENT_READ, self._on_socket)

    def _end_ping(self) -> None:
        """The answer is whole, or no more time is left: a status that came counts, whatever the server does then."""
        succeeded = self._ping is not None and self._ping.succeeded
        self._close()
        self._timers.cancel(self._ping_timeout)
        self._failed_in_a_row = 0 if succeeded else self._failed_in_a_row + 1
        if succeeded and not self._is_ready:
            self._is_ready = True
            self._timers.cancel(self._start_up)
            self._ready()
        if self._is_ready and self._failed_in_a_row >= self._serve.unhealthy_after:
            self._failed(f"The model server did not answer {self._failed_in_a_row} pings in a row")
        else:
            self._timers.after(self._next_ping, self._next_s(), self._start_ping)

    def _close(self) -> None:
        if self._ping is not None:
            self._selector.unregister(self._ping.socket)
            self._ping.socket.close()
            self._ping = None

    def _next_s(self) -> float:
        if self._is_ready:
            return self._serve.ping_interval_s
        self._pause_s = min(self._pause_s * 1.2, _LONGEST_PAUSE_S)
        return self._pause_s

    def _startup_timed_out(self) -> None:
        self._failed(f"The model server did not pass the ping health check within {self._serve.startup_timeout_s:g} s")
