"""A task's folder and its supervisor as a real process, for tests of what supervisors do."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clary.compute import sandbox
from clary.compute.plan import PLAN_FILE, STATE_FILE, STOP_FILE, TASK_FILE, Plan, Platform, Process
from clary.core.tasks import Phase, Task, TaskState

BUBBLEWRAP = pytest.param(
    "bubblewrap", marks=pytest.mark.skipif(bool(sandbox.probe()), reason=sandbox.probe() or "works")
)
SANDBOXES = pytest.mark.parametrize("kind", ["none", BUBBLEWRAP])


def until(condition: Callable[[], Any], within_s: float = 20.0) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "the condition did not hold in time"
        time.sleep(0.01)
    return found


class Running:
    """One task's folder, and the supervisor started on it."""

    def __init__(self, home: Path, task: Task, plan: Plan) -> None:
        self.home, self.task, self.plan = home, task, plan
        self.folder = home / "tasks" / task.id
        self.folder.mkdir(parents=True)
        (self.folder / TASK_FILE).write_text(task.to_json())
        (self.folder / PLAN_FILE).write_text(plan.to_json())
        self.supervisors: list[subprocess.Popen[bytes]] = []

    def start(self, instead: str = "") -> subprocess.Popen[bytes]:
        """`instead` is Python that changes something before the supervisor begins."""
        command = ["-m", "clary.supervisor"]
        if instead:
            command = ["-c", f"{instead}\nimport sys\nfrom clary.supervisor.__main__ import main\nsys.exit(main())"]
        started = subprocess.Popen(
            [sys.executable, "-I", *command, str(self.folder)], start_new_session=True, stdin=subprocess.DEVNULL
        )
        self.supervisors.append(started)
        return started

    def finish(self, instead: str = "") -> TaskState:
        self.start(instead)
        return self.over()

    def over(self) -> TaskState:
        self.supervisors[-1].wait(30)
        return self.state()

    def state(self) -> TaskState:
        try:
            return TaskState.from_json((self.folder / STATE_FILE).read_text())
        except FileNotFoundError:
            return TaskState(Phase.ABSENT)

    def leave_behind(self, state: TaskState) -> None:
        (self.folder / STATE_FILE).write_text(state.to_json())

    def stop(self, grace_s: float) -> None:
        (self.folder / STOP_FILE).write_text(f"{grace_s}\n")
        self.supervisors[-1].send_signal(signal.SIGTERM)

    def log(self, host: str = "algo-1") -> str:
        """What was printed, without the times."""
        file = self.home / "logs" / "aws" / "sagemaker" / "TrainingJobs" / "job" / f"{host}-1.log"
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(line.partition(" ")[2] for line in file.read_bytes().decode().split("\n"))
        return ""

    def stored(self, key: str) -> dict[str, bytes]:
        """The files of an archive in S3."""
        with tarfile.open(self.home / "s3" / "bucket" / "job" / key) as archive:
            files = [member for member in archive if member.isfile()]
            return {member.name: archive.extractfile(member).read() for member in files}  # type: ignore[union-attr]

    def processes(self) -> list[int]:
        """Every process that was started for the task and still lives."""
        wanted, found = f"CLARY_TASK_ID={self.task.id}".encode(), []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found

    def end(self) -> None:
        for supervisor in self.supervisors:
            supervisor.kill()
            supervisor.wait()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


Make = Callable[..., Running]


def maker(tmp_path: Path) -> Iterator[Make]:
    """What a fixture yields: makes tasks in a home at `tmp_path`; their programs end with the test."""
    made: list[Running] = []
    (tmp_path / "s3" / "bucket").mkdir(parents=True)
    (tmp_path / "credentials.json").write_text("secret")

    def make(program: str = "", kind: str = "none", argv: tuple[str, ...] = (), **task: Any) -> Running:
        platform = Platform(
            logs=str(tmp_path / "logs"),
            events_socket=str(tmp_path / "events.sock"),
            endpoint_url="http://127.0.0.1:1",
            s3_endpoint_url="http://127.0.0.1:2",
            s3_folder=str(tmp_path / "s3"),
            access_key_id="AKIA",
            secret_access_key="secret",
            s3_access_key_id="",
            s3_secret_access_key="",
            region="eu-west-1",
            account_id="000000000000",
            metrics=str(tmp_path / "metrics"),
        )
        given = argv or (sys.executable, "-c", textwrap.dedent(program))
        plan = Plan(Process(given, sys.executable, {}, kind), platform)  # type: ignore[arg-type]
        task_id = f"t{os.getpid()}-{len(made)}-{time.monotonic_ns()}"
        settings = {"id": task_id, "owner": ("training-job", "job", "uid"), "image": "", "log_stream": "job/{host}-1"}
        made.append(Running(tmp_path, Task(**{**settings, **task}), plan))
        return made[-1]

    yield make
    for running in made:
        running.end()
