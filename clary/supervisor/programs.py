"""A host's program as a process: started, terminated, killed, and what its exit status means."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from clary.supervisor.outcome import CannotRun

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# Where the machine's memory runs out, the kernel takes programs before servers.
_OOM_SCORE_ADJ = 500
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031

_prctl = ctypes.CDLL(None, use_errno=True).prctl


@dataclass(frozen=True, slots=True)
class ProgramEnd:
    """How a program ended.

    code    its exit code; 128 and the signal's number where it was killed
    reason  what is known beyond that, as a FailureReason
    """

    code: int
    reason: str = ""


class Program(Protocol):
    """One host's program.

    pid      the process whose end is the program's
    output   a pipe with all it prints
    """

    pid: int
    output: int

    def terminate(self) -> None:
        """SIGTERM, to the program and all in its session."""
        ...

    def kill(self) -> None:
        """SIGKILL, to everything."""
        ...

    def ended(self, status: int) -> ProgramEnd:
        """What the wait status means. Nothing of the program is left when this returns."""
        ...


class BareProgram:
    """A process without a sandbox, in a session of its own."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], directory: Path, memory_mib: int) -> None:
        self.pid, self.output = start(argv, environment, directory, memory_mib)

    def terminate(self) -> None:
        _signal_session(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        _signal_session(self.pid, signal.SIGKILL)

    def ended(self, status: int) -> ProgramEnd:
        self.kill()  # processes it started and left running
        return ProgramEnd(exit_code(status))


class SandboxedProgram:
    """A process in bubblewrap, whose namespace dies with it.

    argv    makes the command line, given the descriptor to which bubblewrap writes its child's status
    """

    def __init__(self, argv: Callable[[int], Sequence[str]], environment: Mapping[str, str], memory_mib: int) -> None:
        self._status, writer = os.pipe()
        os.set_blocking(self._status, False)
        self._status_lines = b""
        try:
            self.pid, self.output = start(argv(writer), environment, Path("/"), memory_mib, pass_fds=(writer,))
        finally:
            os.close(writer)

    def terminate(self) -> None:
        child = self._read_status("child-pid")
        if child is None or not _signal_session(child, signal.SIGTERM):
            self.kill()  # the program itself has not begun

    def kill(self) -> None:
        child = self._read_status("child-pid")
        with suppress(ProcessLookupError):
            os.kill(child or self.pid, signal.SIGKILL)

    def ended(self, status: int) -> ProgramEnd:
        code = self._read_status("exit-code")
        os.close(self._status)
        if code is None and exit_code(status) < 128:
            return ProgramEnd(exit_code(status), reason="ClientError: The program could not be started")
        return ProgramEnd(exit_code(status) if code is None else code)

    def _read_status(self, key: str) -> int | None:
        with suppress(BlockingIOError):
            while read := os.read(self._status, 4096):
                self._status_lines += read
        for line in self._status_lines.splitlines():
            with suppress(ValueError):
                if (value := json.loads(line).get(key)) is not None:
                    return int(value)
        return None


def start(
    argv: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    memory_mib: int,
    pass_fds: Sequence[int] = (),
    dies_with_supervisor: bool = True,
) -> tuple[int, int]:
    """Start a process; its number, and a pipe with all it prints. Raises CannotRun."""

    def become_program() -> None:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if memory_mib:
            # Far above what it may use: this stop_request only what would fill the machine before the next count.
            most = (memory_mib * 3 // 2 + 1024) << 20
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE_ADJ))
        if dies_with_supervisor:
            _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            if os.getppid() != supervisor:
                os._exit(1)

    supervisor = os.getpid()
    read, write = os.pipe()
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=write,
            stderr=write,
            cwd=directory,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=become_program,  # noqa: PLW1509 there is one thread
            pass_fds=pass_fds,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        os.close(read)
        raise CannotRun(f"ClientError: The program could not be started: {argv[0]}: {error}") from error
    finally:
        os.close(write)
    process.returncode = 0  # the loop that reaps every child reaps it: Popen shall not
    os.set_blocking(read, False)
    with suppress(OSError):
        import fcntl

        fcntl.fcntl(read, _F_SETPIPE_SZ, _PIPE_BYTES)
    return process.pid, read


def adopt_orphans() -> None:
    """From now on processes that a program leaves running become this process's children, so that they can be found."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _signal_session(leader: int, number: signal.Signals) -> bool:
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
