"""What a supervisor that was killed could not clean up: processes, containers, files of a container's users."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import psutil

from clary.compute.environment import TASK_VARIABLE
from clary.compute.folder import TaskFolder
from clary.compute.plan import Container

# Supervisors put it on their containers, with the task's id.
CONTAINER_LABEL = "clary.task"

_ENGINE_S = 30.0
_ENDS_WITHIN_S = 5.0
_ROUNDS = 5  # a program may start another while processes are listed


def kill_orphans(folder: TaskFolder) -> None:
    """End whatever still runs for a task whose supervisor has ended."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        plan = folder.plan()
        for engine in {
            execution.engine
            for execution in (plan.execution, *plan.pipeline.values())
            if isinstance(execution, Container)
        }:
            _remove_containers(engine, folder.path.name)
    for _ in range(_ROUNDS):
        found = _processes(folder.path.name)
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()  # psutil makes sure that it is still the same process
        if not found:
            return
        psutil.wait_procs(found, timeout=_ENDS_WITHIN_S)


def remove_as_root_of_its_namespace(path: Path) -> None:
    """Files of a rootless container's other users can only be removed from inside its user namespace."""
    _run_engine(("podman",), "unshare", "rm", "-rf", "--", str(path))


def _processes(task_id: str) -> list[psutil.Process]:
    """Programs carry their task's id in the environment they were started with."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(TASK_VARIABLE) == task_id:
                found.append(process)
    return found


def _remove_containers(engine: tuple[str, ...], task_id: str) -> None:
    if found := _run_engine(engine, "ps", "--all", "--quiet", "--filter", f"label={CONTAINER_LABEL}={task_id}").split():
        _run_engine(engine, "kill", *found)  # `rm` alone would wait for them to end by themselves
        _run_engine(engine, "rm", "--force", *found)


def _run_engine(engine: tuple[str, ...], *arguments: str) -> str:
    """What the engine prints; "" where it fails."""
    try:
        answer = subprocess.run(
            [*engine, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ENGINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""
