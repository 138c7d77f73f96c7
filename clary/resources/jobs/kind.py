"""What a family of jobs has of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic

from clary.core.records import JSON, Record
from clary.core.tasks import Phase, Task, TaskState
from clary.resources.jobs.state import StateT, read_state
from clary.resources.jobs.status import SecondaryStatus


@dataclass(frozen=True, slots=True)
class Stage:
    """Something a job goes through that its history shows.

    name         the secondary status
    message      the status message
    reached_at   when the task reached it, epoch seconds; 0 where it has, but nobody knows when; None where it has not
    """

    name: SecondaryStatus
    message: str
    reached_at: Callable[[TaskState], float | None]


def waiting(message: str) -> Stage:
    return Stage(SecondaryStatus.PENDING, message, lambda task: 0.0 if task.phase is Phase.PENDING else None)


def downloading(message: str) -> Stage:
    return Stage(SecondaryStatus.DOWNLOADING, message, lambda task: task.staging_at or None)


def running(name: SecondaryStatus, message: str) -> Stage:
    return Stage(name, message, lambda task: task.started_at or None)


def uploading(message: str) -> Stage:
    return Stage(SecondaryStatus.UPLOADING, message, _uploading_since)


def _uploading_since(task: TaskState) -> float | None:
    uploads = bool(task.uploaded) or task.phase is Phase.COLLECTING
    return task.ended_at or None if uploads else None


@dataclass(frozen=True, slots=True)
class JobKind(Generic[StateT]):
    """One family of jobs, for what all of them share.

    kind        of its records
    noun        its name in texts: "training job"
    state       the dataclass of its records' state
    stages      in the order in which a job goes through them
    task        the record as a task of this id
    with_results  the state with what is kept of a task that is over, beside when it ended
    time_limit_reason   FailureReason of a job that passed its time limit, "" where AWS gives none
    """

    kind: str
    noun: str
    state: type[StateT]
    stages: tuple[Stage, ...]
    task: Callable[[Record, str], Task]
    with_results: Callable[[StateT, TaskState], StateT]
    time_limit_reason: Callable[[Record], str] = lambda job: ""

    def read(self, state: Mapping[str, JSON]) -> StateT:
        return read_state(self.state, state)

    def status_message(self, predicate: str) -> str:
        """As in "Training job completed"."""
        return f"{self.noun.capitalize()} {predicate}"
