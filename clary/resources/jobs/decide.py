"""What a job does next.

Its task is launched, its stages enter the history, and the way the task ends is the way the job ends. What the task
left on the machine is removed last, so a finished job whose task still exists needs one more step.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from clary.core.decisions import Decision, Do, Erase, Forget, Launch, Move, Seen, Stop, Wait, Watch
from clary.core.records import Record
from clary.core.tasks import Cause, Phase, TaskState
from clary.resources.jobs.kind import JobKind
from clary.resources.jobs.state import JobState, StateT, read_state
from clary.resources.jobs.status import JobStatus, SecondaryStatus
from clary.resources.jobs.task import STOP_GRACE_S

Status = JobStatus


def task_id(job: Record) -> str:
    """The same before and after a restart; a retry is another task."""
    return _task_id(job, _attempt(job))


def _task_id(job: Record, attempt: int) -> str:
    return f"{job.name}-{job.uid}-{attempt}"


def _attempt(job: Record) -> int:
    return read_state(JobState, job.state).attempt


def _lost_tasks(job: Record) -> tuple[str, ...]:
    """The task that was lost before this attempt. Those before it were forgotten before it began."""
    attempt = _attempt(job)
    return (_task_id(job, attempt - 1),) if attempt else ()


def watch(job: Record) -> Watch:
    return Watch(tasks=(task_id(job), *_lost_tasks(job)))


def decide(kind: JobKind[StateT], job: Record, seen: Seen, now: datetime) -> Decision:
    for lost in _lost_tasks(job):
        if seen.task(lost).phase is not Phase.ABSENT:  # with it goes what its supervisor left running
            return Do(Forget(lost))
    task = seen.task(task_id(job))
    match job.status:
        case Status.IN_PROGRESS | Status.STOPPING if (stage := _next_stage(kind, job, task)) is not None:
            return stage
        case Status.IN_PROGRESS:
            return _in_progress(kind, job, task, now)
        case Status.STOPPING if task.phase is Phase.ABSENT or task.phase.over:
            return _stopped(kind, job, task, now)
        case Status.STOPPING if task.phase is not Phase.COLLECTING:
            return Do(Stop((task_id(job),), STOP_GRACE_S))
        case Status.DELETING if task.phase is Phase.ABSENT:
            return Do(Erase())
        case Status.COMPLETED | Status.FAILED | Status.STOPPED | Status.DELETING if task.phase is not Phase.ABSENT:
            return Do(Forget(task_id(job)))
    return Wait()


def _next_stage(kind: JobKind[StateT], job: Record, task: TaskState) -> Move | None:
    """The next stage that the task has reached and the history does not show. A quick task is past several at once."""
    state = kind.read(job.state)
    names = [stage.name for stage in kind.stages]
    shown = max((names.index(SecondaryStatus(name)) for name in state.stages), default=-1)
    for stage in kind.stages[shown + 1 :]:
        reached_at = stage.reached_at(task)
        if reached_at is not None:
            state = replace(state, stages=(*state.stages, stage.name))
            if stage.name is SecondaryStatus.DOWNLOADING:  # its inputs come: it has its instances
                state = replace(state, started_at=reached_at)
            return Move(
                Status(job.status),
                detail=stage.name,
                message=stage.message,
                state=state.to_json(),
                at=datetime.fromtimestamp(reached_at, UTC) if reached_at else None,
            )
    return None


def _in_progress(kind: JobKind[StateT], job: Record, task: TaskState, now: datetime) -> Decision:
    match task.phase:
        case Phase.ABSENT if job.detail == SecondaryStatus.RESTARTING:
            return Move(Status.IN_PROGRESS, detail=SecondaryStatus.STARTING, message=f"Starting the {kind.noun}")
        case Phase.ABSENT:
            return Do(Launch(kind.task(job, task_id(job))))
        case Phase.LOST:
            return _lost(kind, job, task, now)
        case Phase.EXITED if task.cause is Cause.TIME_LIMIT:
            return Move(
                Status.STOPPED,
                detail=SecondaryStatus.MAX_RUNTIME_EXCEEDED,
                message=kind.status_message("runtime exceeded MaxRuntimeInSeconds"),
                reason=kind.time_limit_reason(job),
                state=_ended(kind, job, task, now).to_json(),
            )
        case Phase.EXITED if task.failure:
            return _failed(kind, job, task.failure, task, now)
        case Phase.EXITED:
            return Move(
                Status.COMPLETED,
                detail=SecondaryStatus.COMPLETED,
                message=kind.status_message("completed"),
                state=_ended(kind, job, task, now).to_json(),
            )
    return Wait()


def _lost(kind: JobKind[StateT], job: Record, task: TaskState, now: datetime) -> Decision:
    """The platform's own failure: tried again where the job says so (RetryStrategy), else it fails."""
    state = kind.read(job.state)
    if state.attempt < job.spec.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0):
        return Move(
            Status.IN_PROGRESS,
            detail=SecondaryStatus.RESTARTING,
            message=f"Restarting the {kind.noun}",
            state=replace(state, attempt=state.attempt + 1, stages=()).to_json(),
        )
    reason = task.failure or (
        "InternalServerError: the job's supervisor ended unexpectedly (killed, or the machine was restarted). "
        "Start the job again."
    )
    return _failed(kind, job, reason, task, now)


def _failed(kind: JobKind[StateT], job: Record, reason: str, task: TaskState, now: datetime) -> Move:
    return Move(
        Status.FAILED,
        detail=SecondaryStatus.FAILED,
        message=kind.status_message("failed"),
        reason=reason,
        state=_ended(kind, job, task, now).to_json(),
    )


def _stopped(kind: JobKind[StateT], job: Record, task: TaskState, now: datetime) -> Move:
    return Move(
        Status.STOPPED,
        detail=SecondaryStatus.STOPPED,
        message=kind.status_message("stopped"),
        state=_ended(kind, job, task, now).to_json(),
    )


def _ended(kind: JobKind[StateT], job: Record, task: TaskState, now: datetime) -> StateT:
    """The state with what the record keeps of a task that is over."""
    state = kind.with_results(kind.read(job.state), task)
    return replace(state, ended_at=task.over_at or now.timestamp())
