"""A task's folder, `<home>/tasks/<task id>/`: made whole, removed whole, and what it says in between.

task.json   the intent                  \\  written before the folder gets its name
plan.json   how; 0600, it holds keys    /
holder      empty: waits. A number: the supervisor's process, begun; locked for as long as that process lives
stop        told to stop
reserve     disk space for the last of it
state.json  what the supervisor says
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import os
import re
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clary.compute.plan import PLAN_FILE, RESERVE_BYTES, RESERVE_FILE, STATE_FILE, STOP_FILE, TASK_FILE, Plan
from clary.core.errors import LaunchError
from clary.core.files import write_whole
from clary.core.tasks import Cause, Phase, Task, TaskState

HOLDER_FILE = "holder"
SUPERVISOR_LOG = "supervisor.log"  # what a supervisor itself prints: nothing, unless it fails

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_SIGNALS = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,199}")


def folder_of(tasks: Path, task_id: str) -> TaskFolder | None:
    """The folder of a task that may exist; None for an id that cannot name one."""
    return TaskFolder(tasks / task_id) if _ID.fullmatch(task_id) else None


def folders(tasks: Path) -> Iterator[TaskFolder]:
    """Every task there is."""
    with contextlib.suppress(FileNotFoundError), os.scandir(tasks) as entries:
        for entry in entries:
            if _ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                yield TaskFolder(tasks / entry.name)


def create(tasks: Path, task: Task, plan: Plan) -> bool:
    """Make a task's folder, whole or not at all; False where it exists. Raises LaunchError for an id that is none."""
    if not _ID.fullmatch(task.id):
        raise LaunchError(f"task id {task.id!r} is not one: use letters, digits, '.', '_', '-'")
    tasks.mkdir(parents=True, exist_ok=True)
    made = tasks / f".{task.id}.{secrets.token_hex(4)}"
    made.mkdir(mode=0o700)
    try:
        write_whole(made / TASK_FILE, task.to_json())
        write_whole(made / PLAN_FILE, plan.to_json(), mode=0o600)
        _reserve(made / RESERVE_FILE)
        made.rename(tasks / task.id)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        if (tasks / task.id).is_dir():
            return False
        if error.errno in _NO_ROOM:
            raise LaunchError(f"No space left on the disk of {tasks}: make room, and try again") from error
        raise LaunchError(f"could not write the task's folder: {error}") from error
    return True


def _reserve(path: Path) -> None:
    """Disk space, so that what becomes of the task can be written down whatever happens to the disk."""
    with path.open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except OSError as error:
            if error.errno in _NO_ROOM:  # else the file system cannot do it: the task runs just as well
                raise


def sweep(tasks: Path) -> None:
    """Remove what a crash left of folders on their way in or out."""
    with contextlib.suppress(FileNotFoundError):
        for path in tasks.iterdir():
            if path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class TaskFolder:
    """Reads and writes one folder. Nothing is remembered here."""

    path: Path

    def task(self) -> Task | None:
        """What is to run; None where the folder was damaged by other hands."""
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

    def stamp(self) -> tuple[int, int]:
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

    def supervisor(self) -> int | None:
        """The number of the process that became the supervisor, None while the task waits."""
        try:
            text = (self.path / HOLDER_FILE).read_text()
        except OSError:
            return None
        return int(text) if text.endswith("\n") else None

    def alive(self) -> bool:
        """Whether the supervisor lives (or is being started)."""
        try:
            holder = os.open(self.path / HOLDER_FILE, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(holder)
        return False

    def told_to_stop(self) -> bool:
        return (self.path / STOP_FILE).exists()

    def tell_to_stop(self, grace_s: float) -> None:
        """Keep the request. On a full disk without the grace, as an empty file needs no room; the task's own holds."""
        try:
            write_whole(self.path / STOP_FILE, f"{grace_s}\n")
        except FileNotFoundError:
            return  # the folder is gone
        except OSError:
            (self.path / STOP_FILE).touch()

    def stop_waiting(self, owner: tuple[str, str, str]) -> bool:
        """End a task that was never started; False where it was, or is being started now."""
        with self._held() as holder:
            if holder is None or os.fstat(holder).st_size:
                return False
            over = TaskState(Phase.EXITED, owner, cause=Cause.STOPPED, over_at=time.time())
            write_whole(self.path / STATE_FILE, over.to_json())
            return True

    def start(self, module: str) -> int | None:
        """Start the supervisor in a session of its own; its process number, or None where it was started before.

        Raises OSError where the machine cannot start one more process now.
        """
        with self._held() as holder:
            if holder is None or os.fstat(holder).st_size:
                return None
            python, folder = sys.executable, str(self.path)
            return os.posix_spawn(
                python,
                [python, "-I", "-m", "clary.compute.begin", str(holder), module, folder],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, f"{folder}/{SUPERVISOR_LOG}", _APPEND, 0o600),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                    (os.POSIX_SPAWN_DUP2, holder, holder),  # onto itself: inherited, in the child alone
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=_SIGNALS,
            )

    def last_words(self) -> str:
        """The last line the supervisor itself printed."""
        with contextlib.suppress(OSError), (self.path / SUPERVISOR_LOG).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 2000))
            lines = file.read().decode("utf-8", "replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    def remove(self) -> Path | None:
        """Take the folder out of the way at once, then remove it; what could not be removed, None where all was."""
        gone = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            self.path.rename(gone)
        except FileNotFoundError:
            return None
        shutil.rmtree(gone, ignore_errors=True)
        return gone if gone.exists() else None

    @contextlib.contextmanager
    def _held(self) -> Iterator[int | None]:
        """The holder file, locked; None where another has it, or the folder is gone."""
        try:
            opened = os.open(self.path / HOLDER_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            yield None
            return
        holder = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, 3)  # not one of the standard three
        os.close(opened)
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield holder
        finally:
            os.close(holder)
