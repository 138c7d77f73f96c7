"""The programs of a task's hosts while they run: one loop over their output, their ends, and timers.

start ──> each host's program ──> all ended, all their output is in the log
            │  ends with an error        the others are stopped; the task failed
            │  stop requested, time over    SIGTERM, SIGKILL after the grace
            └  too much memory, disk full, pings unanswered: SIGKILL; the task failed
"""

from __future__ import annotations

import os
import selectors
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from clary.compute.environment import LOOPBACK
from clary.core.tasks import Cause, Phase, Serve, Task
from clary.supervisor.logs import Log
from clary.supervisor.memory import children, held_bytes
from clary.supervisor.outcome import Outcome, failure_reason, program_failure, shortened, with_log
from clary.supervisor.programs import Program, ProgramEnd
from clary.supervisor.state_file import StateFile
from clary.supervisor.stop_request import StopRequest
from clary.supervisor.timers import Timers

if TYPE_CHECKING:
    from clary.supervisor.continuous_upload import ContinuousUpload
    from clary.supervisor.health import Health

_STATE_EVERY_S = 0.2
_MEMORY_EVERY_S = 1.0
_MEMORY_EVERY_S_WHEN_HIGH = 0.25
# A pipe that stays open after its program ended is held by a process that left its session.
_LAST_OUTPUT_S = 1.0
_KILL_AGAIN_S = 5.0
_WRITE_AGAIN_S = 5.0


@dataclass(slots=True)
class Host:
    """A host: how its program is started, and the state of that.

    port  of a replica: where its program answers
    """

    name: str
    ml: Path
    log: Log
    launch: Callable[[], Program]
    port: int | None = None
    program: Program | None = None
    end: ProgramEnd | None = None
    listening: bool = False
    discarding: bool = False


class HostGroup:
    """Runs once. `run` returns when no process of the programs is left."""

    def __init__(
        self,
        task: Task,
        hosts: list[Host],
        state_file: StateFile,
        stop_request: StopRequest,
        continuous_upload: ContinuousUpload | None = None,
    ) -> None:
        self._task = task
        self._hosts = hosts
        self._state_file = state_file
        self._stop_request = stop_request
        self._continuous_upload = continuous_upload
        self._timers = Timers()
        self._selector = selectors.DefaultSelector()
        self._health: list[Health] = []
        self._unready: set[str] = set()
        self._cause = Cause.NONE
        self._failure = ""
        self._failed_host: Host | None = None
        self._ending = False
        self._shutting_down = False

    def run(self) -> Outcome:
        """Raises CannotRun where a program could not be started, OSError where the state could not be written."""
        try:
            self._start()
            while any(host.listening or (host.program and not host.end) for host in self._hosts):
                for key, _ in self._selector.select(self._timers.wait_s):
                    if key.fd in self._selector.get_map():  # an earlier event may have closed it
                        key.data()
                self._timers.run_due()
        except BaseException:
            self._kill_and_reap()
            raise
        finally:
            self._kill_orphans()
            self._selector.close()
            if self._continuous_upload is not None:
                self._continuous_upload.stop()
        return self._outcome()

    # while programs run

    def _start(self) -> None:
        self._selector.register(self._stop_request.wakeup_fd, selectors.EVENT_READ, self._on_signal)
        for host in self._hosts:
            host.program = host.launch()
            host.listening = True
            self._selector.register(host.program.output, selectors.EVENT_READ, lambda host=host: self._read(host))
        if self._continuous_upload is not None:
            self._continuous_upload.start()
        if self._task.max_runtime_s is not None:
            self._timers.after("time limit", self._task.max_runtime_s, self._time_over)
        if self._task.resources.memory_mib:
            self._timers.after("memory", _MEMORY_EVERY_S_WHEN_HIGH, self._count_memory)
        if self._task.serve is not None:
            self._start_pings(self._task.serve)
        self._check_stop_request()

    def _start_pings(self, serve: Serve) -> None:
        from clary.supervisor.health import Health

        self._unready = {host.name for host in self._hosts}
        for host in self._hosts:
            assert host.port is not None
            ready, failed = partial(self._is_ready, host), partial(self._unhealthy, host)
            health = Health(host.port, serve, self._selector, self._timers, ready, failed, host.name)
            self._health.append(health)

    def _read(self, host: Host) -> None:
        assert host.program is not None
        try:
            more = (_discard if host.discarding else host.log.read_from)(host.program.output)
        except OSError as error:
            # The log, or the metrics beside it, cannot be written. What is printed from now on is lost, and the
            # program ends, for its disk is as full.
            host.discarding = True
            self._fail(failure_reason(error, "the program's log was written"))
            return
        if not more:
            self._close(host)
        if self._state_file.changed and "state" not in self._timers:
            self._timers.after("state", _STATE_EVERY_S, self._write_state)

    def _close(self, host: Host) -> None:
        if host.listening and host.program is not None:
            host.listening = False
            self._selector.unregister(host.program.output)
            os.close(host.program.output)

    def _write_state(self) -> None:
        try:
            self._state_file.write()
        except OSError:
            self._timers.after("state", _WRITE_AGAIN_S, self._write_state)

    def _on_signal(self) -> None:
        self._stop_request.drain()
        self._reap()
        self._check_stop_request()

    def _check_stop_request(self) -> None:
        if not self._stop_request.requested() or not self._alive():
            return
        if not self._ending:
            self._cause = Cause.NONE if self._stop_request.shutting_down else Cause.STOPPED
            self._shutting_down = self._stop_request.shutting_down
        self._end_all(self._stop_request.grace_s)

    def _time_over(self) -> None:
        if not self._ending:
            self._cause = Cause.TIME_LIMIT
            self._end_all(self._task.grace_s)

    def _is_ready(self, host: Host) -> None:
        self._unready.discard(host.name)
        if not self._unready:
            address, *others = (f"http://{LOOPBACK}:{host.port}" for host in self._hosts)
            self._state_file.move(Phase.READY, address=address, pipeline_addresses=tuple(others))

    def _unhealthy(self, host: Host, reason: str) -> None:
        where = f" (container {host.name})" if len(self._hosts) > 1 else ""
        self._fail(with_log(f"AlgorithmError: {reason}{where}", host.log.last_lines))

    def _count_memory(self) -> None:
        limit = self._task.resources.memory_mib << 20
        highest = 0
        for host in self._hosts:
            if host.program is None or host.end is not None:
                continue
            held = held_bytes(host.program.pid, limit)
            highest = max(highest, held)
            if held > limit:
                self._fail(
                    f"AlgorithmError: The program on {host.name} used {held >> 20} MiB of memory, more than its "
                    f"instance's {limit >> 20} MiB. Use an instance type with more memory, or less data at once."
                )
                return
        often = highest > limit // 2
        self._timers.after("memory", _MEMORY_EVERY_S_WHEN_HIGH if often else _MEMORY_EVERY_S, self._count_memory)

    # when they end

    def _reap(self) -> None:
        """Reap every child that has ended, programs and orphans alike."""
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                for host in self._hosts:
                    if host.program is not None and host.program.pid == pid and host.end is None:
                        self._has_ended(host, host.program.ended(status))

    def _has_ended(self, host: Host, end: ProgramEnd) -> None:
        host.end = end
        self._timers.after(f"last output of {host.name}", _LAST_OUTPUT_S, lambda: self._close(host))
        is_failure = self._task.serve is not None or end.code or end.reason
        if is_failure and not self._ending:
            self._failed_host = host
            self._end_all(self._task.grace_s)
        if not self._alive():
            self._timers.cancel("time limit", "memory", "kill")
            self._kill_orphans()

    def _fail(self, text: str) -> None:
        """Kill the programs for a reason that they do not report themselves."""
        if not self._failure and not self._failed_host:
            self._failure = shortened(text)
        self._cause = Cause.NONE
        self._end_all(0)

    def _end_all(self, grace_s: float) -> None:
        if not self._ending:
            self._ending = True
            self._timers.cancel("time limit")
            for health in self._health:
                health.stop()
            if grace_s > 0:
                for program in self._alive():
                    program.terminate()
        self._timers.sooner("kill", grace_s, self._kill_all)

    def _kill_all(self) -> None:
        for program in self._alive():
            program.kill()
        if self._alive():
            self._timers.after("kill", _KILL_AGAIN_S, self._kill_all)

    def _alive(self) -> list[Program]:
        return [host.program for host in self._hosts if host.program is not None and host.end is None]

    def _kill_and_reap(self) -> None:
        """The loop itself failed: leave no process behind."""
        for host in self._hosts:
            if host.program is not None and host.end is None:
                with suppress(OSError):
                    host.program.kill()
                    host.end = host.program.ended(os.waitpid(host.program.pid, 0)[1])
            self._close_quietly(host)

    def _close_quietly(self, host: Host) -> None:
        with suppress(OSError, KeyError, ValueError):
            self._close(host)

    @staticmethod
    def _kill_orphans() -> None:
        """A process that left its session has become this process's child."""
        for _ in range(100):
            orphans = children(os.getpid())
            if not orphans:
                return
            for pid in orphans:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                for pid in orphans:
                    os.waitpid(pid, 0)

    def _outcome(self) -> Outcome:
        codes = [host.end.code for host in self._hosts if host.end is not None]
        if self._failure:
            return Outcome(None, self._failure)
        if self._shutting_down:
            return Outcome(None, "InternalServerError: The machine was shut down while the task ran.")
        if (host := self._failed_host) is not None:
            assert host.end is not None
            return Outcome(host.end.code, self._failure_of(host, host.end))
        if self._cause:
            killed = any(code > 128 for code in codes)
            return Outcome(None if killed else next(filter(None, codes), 0), "", self._cause)
        return Outcome(0)

    def _failure_of(self, host: Host, end: ProgramEnd) -> str:
        if end.reason:
            return with_log(end.reason, host.log.last_lines)
        return program_failure(host.ml, end.code, host.name if len(self._hosts) > 1 else "", host.log.last_lines)


def _discard(pipe: int) -> bool:
    """Like Log.read_from, but nothing is written."""
    with suppress(BlockingIOError):
        return bool(os.read(pipe, 1 << 20))
    return True
