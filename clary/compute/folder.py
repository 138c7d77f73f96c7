"""A task's folder, `<home>/tasks/<task id>/`: made as a whole, removed as a whole, and the files in it.

task.json   what to run                              \\  written before the folder gets its name
plan.json   what runs it here; 0600, it holds keys   /
supervisor.lock  without a pid: waits. With it: the supervisor was started; locked for as long as it lives
stop        a request to stop: the grace in seconds
reserve     disk space for the last state
state.json  written by the supervisor
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import re
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clary.compute.plan import (
    PLAN_FILE,
    RESERVE_BYTES,
    RESERVE_FILE,
    STATE_FILE,
    STOP_FILE,
    TASK_FILE,
    Plan,
    supervisor_lock,
)
from clary.core.errors import LaunchError
from clary.core.files import write_whole
from clary.core.tasks import Cause, Phase, Task, TaskState
from clary.detached import process
from clary.detached.lock import is_locked, read_lock, try_lock

SUPERVISOR_LOG = "supervisor.log"  # what a supervisor itself prints: nothing, unless it fails

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,199}")


def folder_of(tasks: Path, task_id: str) -> TaskFolder | None:
    """The folder of a task that may exist; None for an id that is not valid."""
    return TaskFolder(tasks / task_id) if _ID.fullmatch(task_id) else None


def folders(tasks: Path) -> Iterator[TaskFolder]:
    """All tasks' folders."""
    with contextlib.suppress(FileNotFoundError), os.scandir(tasks) as entries:
        for entry in entries:
            if _ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                yield TaskFolder(tasks / entry.name)


def create(tasks: Path, task: Task, plan: Plan) -> bool:
    """Make a task's folder, whole or not at all; False where it exists. Raises LaunchError."""
    if not _ID.fullmatch(task.id):
        raise LaunchError(f"task id {task.id!r} is not valid: use letters, digits, '.', '_', '-'")
    tasks.mkdir(parents=True, exist_ok=True)
    new = tasks / f".{task.id}.{secrets.token_hex(4)}"
    new.mkdir(mode=0o700)
    try:
        write_whole(new / TASK_FILE, task.to_json())
        write_whole(new / PLAN_FILE, plan.to_json(), mode=0o600)
        _reserve(new / RESERVE_FILE)
        new.rename(tasks / task.id)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        if (tasks / task.id).is_dir():
            return False
        if error.errno in _NO_ROOM:
            raise LaunchError(f"No space left on the disk of {tasks}: make room, and try again") from error
        raise LaunchError(f"could not write the task's folder: {error}") from error
    return True


def _reserve(path: Path) -> None:
    """Disk space, so that the task's last state can be written also when the disk is full."""
    with path.open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except OSError as error:
            if error.errno in _NO_ROOM:  # else the file system cannot do it: the task runs just as well
                raise


def remove_incomplete(tasks: Path) -> None:
    """Remove folders that were being made or removed when a server died."""
    with contextlib.suppress(FileNotFoundError):
        for path in tasks.iterdir():
            if path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class TaskFolder:
    """Reads and writes one folder. Holds no state."""

    path: Path

    def task(self) -> Task | None:
        """What is to run; None where the file was damaged."""
        try:
            return Task.from_json((self.path / TASK_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def plan(self) -> Plan:
        return Plan.from_json((self.path / PLAN_FILE).read_text(encoding="utf-8"))

    def give_gpus(self, gpus: tuple[int, ...]) -> None:
        """Write down which accelerators the task holds."""
        plan = dataclasses.replace(self.plan(), gpus=gpus)
        write_whole(self.path / PLAN_FILE, plan.to_json(), mode=0o600)

    def state_version(self) -> tuple[int, int]:
        """Changes with every new state; (0, 0) while there is none."""
        try:
            found = (self.path / STATE_FILE).stat()
        except OSError:
            return (0, 0)
        return (found.st_ino, found.st_mtime_ns)

    def state(self) -> TaskState | None:
        try:
            return TaskState.from_json((self.path / STATE_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    @property
    def lock(self) -> Path:
        return supervisor_lock(self.path)

    def supervisor(self) -> int | None:
        """The pid of the supervisor, also where it has ended; None while the task waits."""
        content = read_lock(self.lock)
        return content[1] if content else None

    def alive(self) -> bool:
        """Whether the supervisor lives (or is being started)."""
        return is_locked(self.lock)

    def signal(self, number: signal.Signals) -> None:
        """Signal the supervisor if it lives, never another process."""
        with process.found(self.lock) as supervisor:
            if supervisor is not None:
                supervisor.signal(number)

    def stop_requested(self) -> bool:
        return (self.path / STOP_FILE).exists()

    def request_stop(self, grace_s: float) -> None:
        """Write the request. On a full disk without the grace, as an empty file needs no room; the task's own holds."""
        try:
            write_whole(self.path / STOP_FILE, f"{grace_s}\n")
        except FileNotFoundError:
            return  # the folder was removed
        except OSError:
            (self.path / STOP_FILE).touch()

    def stop_waiting(self, owner: tuple[str, str, str]) -> bool:
        """End a task that was never started; False where it was started, or is being started now."""
        with self._waiting() as lock:
            if lock is None:
                return False
            over = TaskState(Phase.EXITED, owner, cause=Cause.STOPPED, over_at=time.time())
            write_whole(self.path / STATE_FILE, over.to_json())
            return True

    def start(self, module: str) -> int | None:
        """Start the supervisor; its pid, or None where it was started before.

        Raises OSError where the machine cannot start another process now.
        """
        with self._waiting() as lock:
            if lock is None:
                return None
            command = process.python_command(module, self.path)
            return process.start(lock, module, command, os.environ, self.path / SUPERVISOR_LOG)

    def last_log_line(self) -> str:
        """The last line the supervisor itself printed."""
        with contextlib.suppress(OSError), (self.path / SUPERVISOR_LOG).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 2000))
            lines = file.read().decode("utf-8", "replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    def remove(self) -> Path | None:
        """Remove the folder: its name is free at once. Returns the path of what could not be removed, or None."""
        removed = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            self.path.rename(removed)
        except FileNotFoundError:
            return None
        shutil.rmtree(removed, ignore_errors=True)
        return removed if removed.exists() else None

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[int | None]:
        """The lock of a task whose supervisor was never started; None where it was, or the folder was removed."""
        try:
            lock = try_lock(self.lock)
        except FileNotFoundError:
            lock = None
        try:
            yield lock if self.supervisor() is None else None
        finally:
            if lock is not None:
                os.close(lock)
