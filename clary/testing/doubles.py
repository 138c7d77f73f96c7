"""Test doubles: a backend without processes, leases that are held, an object store in which every object exists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from clary.artifacts.base import S3Uri, Stored
from clary.core.errors import ComputeError
from clary.core.instances import Machine
from clary.core.tasks import Cause, LogLine, Phase, Task, TaskState

Owner = tuple[str, str, str]


class FakeBackend:
    """Keeps every promise of a backend but runs nothing: a test decides what becomes of each task.

    launched   how often each task was really started: more than once would be a fault of the caller or of this
    """

    def __init__(
        self,
        notify: Callable[[Owner], None] = lambda owner: None,
        machine: Machine = Machine(cpus=2, memory_mib=8192),  # noqa: B008 - frozen
    ) -> None:
        self.notify = notify
        self.machine = machine
        self.tasks: dict[str, Task] = {}
        self.states: dict[str, TaskState] = {}
        self.launched: dict[str, int] = {}
        self.stop_requested: set[str] = set()
        self.refuse: ComputeError | None = None

    async def open(self) -> None:
        """Nothing to take up."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def launch(self, task: Task) -> None:
        if self.refuse is not None:
            raise self.refuse
        if task.id not in self.states:
            self.tasks[task.id] = task
            self.launched[task.id] = self.launched.get(task.id, 0) + 1
            self.report(task.id, TaskState(Phase.PENDING, owner=task.owner))

    async def poll(self, task_ids: Collection[str] | None = None) -> Mapping[str, TaskState]:
        wanted = self.states if task_ids is None else task_ids
        return {task_id: self.states[task_id] for task_id in wanted if task_id in self.states}

    async def stop(self, task_id: str, grace_s: float) -> None:
        if task_id in self.states and not self.states[task_id].phase.over:
            self.stop_requested.add(task_id)

    async def forget(self, task_id: str) -> None:
        self.states.pop(task_id, None)
        self.stop_requested.discard(task_id)

    async def logs(self, task_id: str) -> AsyncIterator[LogLine]:
        for line in list[LogLine]():
            yield line

    # ---- what a test does ----

    def report(self, task_id: str, state: TaskState) -> None:
        """Set the state of a task, and notify its owner."""
        self.states[task_id] = state
        if state.owner:
            self.notify(state.owner)

    def move(self, task_id: str, phase: Phase, at: float = 1.0, **changes: object) -> None:
        """Move a task to a phase; the times of phases passed on the way are filled in."""
        state = self.states[task_id]
        passed = {
            "staging_at": state.staging_at or at,
            "started_at": state.started_at or (at if phase is not Phase.STAGING else 0.0),
        }
        if phase is Phase.READY:
            changes = {"address": f"http://127.0.0.1:1/{task_id}", **changes}
        if phase.over:
            changes = {"over_at": at, "ended_at": at, **changes}
        self.report(task_id, replace(state, phase=phase, **{**passed, **changes}))  # type: ignore[arg-type]

    def end_stopped(self) -> None:
        """End every task that was asked to stop."""
        for task_id in sorted(self.stop_requested):
            if not self.states[task_id].phase.over:
                self.move(task_id, Phase.EXITED, cause=Cause.STOPPED)

    def alive(self) -> set[str]:
        """Tasks that are not over."""
        return {task_id for task_id, state in self.states.items() if not state.phase.over}


class HeldLeases:
    """Leases of a server that always has them: its node's and, unless a test takes it away, the control lease.

    alive   the other nodes whose leases are held
    """

    def __init__(self, node: str = "node") -> None:
        self.node = node
        self.may_act = True
        self.has_control = True
        self.alive: set[str] = set()

    async def is_alive(self, node: str) -> bool:
        return node in self.alive


class FullObjectStore:
    """An object store in which every object exists."""

    def exists(self, uri: S3Uri) -> bool:
        return True

    def list(self, prefix: S3Uri) -> Iterator[Stored]:
        yield Stored(prefix.key, 0)

    def read(self, uri: S3Uri) -> bytes:
        return b""

    def download(self, uri: S3Uri, to: Path) -> None:
        to.touch()

    def upload(self, file: Path, uri: S3Uri) -> None:
        pass

    def make_bucket(self, bucket: str) -> None:
        pass
