"""Jobs: what every family has in common whose record is one task that runs to its end.

    InProgress ──> Completed | Failed | Stopped (past its time limit)
         └──> Stopping ──> Stopped

What a family has of its own stands in its `JobKind`. The finer status is the record's detail: Starting, (Pending),
Downloading, Training or Processing, Uploading, and the end. A record may also be Deleting, where AWS has the word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from clary.core.decisions import Decision, Do, Erase, Forget, Launch, Move, Seen, Stop, Wait, Watch
from clary.core.errors import ResourceInUse, ValidationException
from clary.core.instances import is_clamped
from clary.core.records import Record
from clary.core.tasks import Cause, Phase, Resources, Task, TaskState
from clary.resources.common import Request, Response, change, find
from clary.resources.context import Context

# Every Stop promises 120 s between SIGTERM and SIGKILL, to save checkpoints.
STOP_GRACE_S = 120
DEFAULT_MAX_RUNTIME_S = 86400


class JobStatus(StrEnum):
    """The words all families of jobs share; each has its own enum, named as AWS names it."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    DELETING = "Deleting"


Status = JobStatus
FINISHED = (Status.COMPLETED, Status.FAILED, Status.STOPPED)


@dataclass(frozen=True, slots=True)
class JobKind:
    """What one family of jobs has of its own.

    does      "training" or "processing": a training job's state tells of training_start and training_end
    stages    what is told when the task waits for room, gets its inputs, runs, and uploads; the details of the record
              and their messages, in this order
    task      the record as a task of this id
    results   what the record keeps of a task that is over, beside when it ended
    late      FailureReason of a job that passed its time limit, "" where AWS tells it in other ways
    """

    does: str
    stages: Mapping[str, str]
    task: Callable[[Record, str], Task]
    results: Callable[[TaskState], dict[str, Any]]
    late: Callable[[Record], str] = lambda job: ""

    @property
    def noun(self) -> str:
        return f"{self.does} job"

    def said(self, what: str) -> str:
        return f"{self.noun.capitalize()} {what}"


# ---- what to do next ----


def task_id(job: Record) -> str:
    """The same before and after a restart; a retry is another task."""
    return _task_id(job, job.state.get("attempt", 0))


def _task_id(job: Record, attempt: int) -> str:
    return f"{job.name}-{job.uid}-{attempt}"


def _earlier(job: Record) -> tuple[str, ...]:
    """The task that was lost before this attempt. Those before it were forgotten before it began."""
    attempt = job.state.get("attempt", 0)
    return (_task_id(job, attempt - 1),) if attempt else ()


def watch(job: Record) -> Watch:
    return Watch(tasks=(task_id(job), *_earlier(job)))


def decide(kind: JobKind, job: Record, seen: Seen, now: datetime) -> Decision:
    for lost in _earlier(job):
        if seen.task(lost).phase is not Phase.ABSENT:  # with it goes what its supervisor left running
            return Do(Forget(lost))
    task = seen.task(task_id(job))
    match job.status:
        case Status.IN_PROGRESS | Status.STOPPING if (stage := _next_stage(kind, job, task)) is not None:
            return stage
        case Status.IN_PROGRESS:
            return _in_progress(kind, job, task, now)
        case Status.STOPPING if task.phase is Phase.ABSENT:
            return _stopped(kind, task, now)  # nothing was launched yet
        case Status.STOPPING if task.phase.over:
            return _stopped(kind, task, now)
        case Status.STOPPING if task.phase is not Phase.COLLECTING:
            return Do(Stop((task_id(job),), STOP_GRACE_S))
        case Status.DELETING if task.phase is Phase.ABSENT:
            return Do(Erase())
        case Status.COMPLETED | Status.FAILED | Status.STOPPED | Status.DELETING if task.phase is not Phase.ABSENT:
            return Do(Forget(task_id(job)))
    return Wait()


def _in_progress(kind: JobKind, job: Record, task: TaskState, now: datetime) -> Decision:
    match task.phase:
        case Phase.ABSENT if job.detail == "Restarting":
            return Move(Status.IN_PROGRESS, detail="Starting", message=f"Starting the {kind.noun}")
        case Phase.ABSENT:
            return Do(Launch(kind.task(job, task_id(job))))
        case Phase.LOST:
            return _lost(kind, job, task, now)
        case Phase.EXITED if task.cause is Cause.TIME_LIMIT:
            return Move(
                Status.STOPPED,
                detail="MaxRuntimeExceeded",
                message=kind.said("runtime exceeded MaxRuntimeInSeconds"),
                reason=kind.late(job),
                state=_results(kind, task, now),
            )
        case Phase.EXITED if task.failure:
            return _failed(kind, task.failure, task, now)
        case Phase.EXITED:
            return Move(
                Status.COMPLETED,
                detail="Completed",
                message=kind.said("completed"),
                state=_results(kind, task, now),
            )
    return Wait()


def _lost(kind: JobKind, job: Record, task: TaskState, now: datetime) -> Decision:
    """The platform's own failure: tried again where the job says so (RetryStrategy), else it fails."""
    attempt = job.state.get("attempt", 0)
    if attempt < job.spec.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0):
        return Move(
            Status.IN_PROGRESS,
            detail="Restarting",
            message=f"Restarting the {kind.noun}",
            state={"attempt": attempt + 1, "told": []},
        )
    reason = task.failure or (
        "InternalServerError: the job's supervisor ended unexpectedly (killed, or the machine was restarted). "
        "Start the job again."
    )
    return _failed(kind, reason, task, now)


def _failed(kind: JobKind, reason: str, task: TaskState, now: datetime) -> Move:
    return Move(
        Status.FAILED, detail="Failed", message=kind.said("failed"), reason=reason, state=_results(kind, task, now)
    )


def _stopped(kind: JobKind, task: TaskState, now: datetime) -> Move:
    return Move(Status.STOPPED, detail="Stopped", message=kind.said("stopped"), state=_results(kind, task, now))


def _next_stage(kind: JobKind, job: Record, task: TaskState) -> Move | None:
    """One stage the task has come to and the record does not tell of yet. A quick task is past several at once."""
    reached = (
        (task.phase is Phase.PENDING, 0.0),
        (task.staging_at > 0, task.staging_at),
        (task.started_at > 0, task.started_at),
        (task.ended_at > 0 and (bool(task.uploaded) or task.phase is Phase.COLLECTING), task.ended_at),
    )
    told: list[str] = job.state.get("told", [])
    names = list(kind.stages)
    done = max((names.index(name) for name in told), default=-1)
    for place, (name, (come_to, at)) in enumerate(zip(names, reached, strict=True)):
        if place > done and come_to:
            started = {f"{kind.does}_start": at} if place == 1 else {}  # its inputs come: it has its instances
            return Move(
                Status(job.status),
                detail=name,
                message=kind.stages[name],
                state={"told": [*told, name], **started},
                at=datetime.fromtimestamp(at, UTC) if at else None,
            )
    return None


def _results(kind: JobKind, task: TaskState, now: datetime) -> dict[str, Any]:
    """What the record keeps of a task that is over."""
    return {**kind.results(task), f"{kind.does}_end": task.over_at or now.timestamp()}


# ---- operations ----


def under_way(job: Record) -> bool:
    """Whether it may be done any moment; so may one that waits for room, where those before it are short."""
    return job.status in (Status.IN_PROGRESS, Status.STOPPING)


async def stop(context: Context, kind: JobKind, of: str, name: str, missing: str) -> Response:
    """The Stop of a family; `of` is the records' kind. Raises ValidationException for one that has ended."""
    while True:
        job = await find(context, of, name, missing)
        if job.status == Status.STOPPING:
            return {}
        if job.status != Status.IN_PROGRESS:
            raise ValidationException(f"The request was rejected because the {kind.noun} is in status {job.status}.")
        stopping = replace(job, status=Status.STOPPING, detail="Stopping")
        if await change(context, job, stopping, f"Stopping the {kind.noun}"):
            return {}


def creation_message(kind: JobKind, job: Record, instance_type: str) -> str:
    """Names what a host has on this machine, where that is less than its instance type has at AWS."""
    resources = Resources(**job.state["resources"])
    message = f"Starting the {kind.noun}"
    if not is_clamped(resources, instance_type):
        return message
    memory_gib = resources.memory_mib / 1024
    return f"{message} (of {instance_type} this machine gives {resources.cpus:g} CPUs and {memory_gib:.1f} GiB)"


def check_ended(kind: JobKind, job: Record) -> None:
    """Raise ResourceInUse where a job that is to be deleted has not ended."""
    if job.status not in FINISHED:
        raise ResourceInUse(f"The {kind.noun} is in status {job.status}: stop it, and delete it when it has ended.")


def check_instances(kind: JobKind, where: str, resources: Request) -> None:
    """Raise ValidationException where a job does not say on what, and on how many, it runs."""
    for member in ("InstanceType", "InstanceCount"):
        if member not in resources:
            raise ValidationException(f"{where}.{member} is missing: a {kind.noun} needs it.")
    if resources["InstanceCount"] < 1:
        raise ValidationException(f"{where}.InstanceCount = 0: a {kind.noun} needs at least 1.")


def times(kind: JobKind, job: Record) -> tuple[datetime | None, datetime | None]:
    """When it got its instances, and when all of it was over; None while it has not come to that."""
    start, end = job.state.get(f"{kind.does}_start"), job.state.get(f"{kind.does}_end")
    return _moment(start), _moment(end)


def _moment(at: float | None) -> datetime | None:
    return datetime.fromtimestamp(at, UTC) if at else None
