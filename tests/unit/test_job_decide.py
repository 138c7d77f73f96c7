"""What a job of each family does next, as tables of cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from clary.core.decisions import Decision, Do, Erase, Family, Forget, Launch, Move, Seen, Stop, Wait
from clary.core.records import Record
from clary.core.tasks import Cause, Metric, Phase, TaskState
from clary.resources.jobs.decide import task_id
from clary.resources.jobs.kind import JobKind
from clary.resources.jobs.status import FINISHED, JobStatus
from clary.resources.processing.family import FAMILY as PROCESSING_JOBS
from clary.resources.processing.kind import PROCESSING
from clary.resources.training.family import FAMILY as TRAINING_JOBS
from clary.resources.training.kind import TRAINING
from tests.context import a_processing_job, a_training_job

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
IN_PROGRESS, STOPPING, DELETING = JobStatus.IN_PROGRESS, JobStatus.STOPPING, JobStatus.DELETING

FAMILIES: dict[str, tuple[Family, JobKind[Any], Any]] = {
    "training-job": (TRAINING_JOBS, TRAINING, a_training_job),
    "processing-job": (PROCESSING_JOBS, PROCESSING, a_processing_job),
}


class Jobs:
    """One family of jobs: `decide` and `read` are its own; `a_job` is a record of it."""

    def __init__(self, kind: str) -> None:
        self.family, self.kind, self._request = FAMILIES[kind]
        self.stages = [stage.name for stage in self.kind.stages]
        self.running = self.stages[2]

    def a_job(self, status: str = IN_PROGRESS, stages: int = 0, attempt: int = 0, **members: Any) -> Record:
        """A job whose history shows its first stages."""
        state = self.kind.state(
            arn=f"arn:aws:sagemaker:us-east-1:000000000000:{self.family.kind}/j1",
            resources={"cpus": 2.0, "memory_mib": 8192, "gpus": 0},
            stages=self.stages[:stages],
            attempt=attempt,
        )
        return Record(
            kind=self.family.kind,
            name="j1",
            uid="0123456789ab",
            status=status,
            detail="Starting",
            spec=self._request("j1", **members),
            created=NOW,
            modified=NOW,
            state=state.to_json(),
        )

    def decide(self, job: Record, seen: Seen) -> Decision:
        return self.family.decide(job, seen, NOW)

    def move(self, job: Record, seen: Seen) -> Move:
        decision = self.decide(job, seen)
        assert isinstance(decision, Move)
        return decision

    def state(self, move: Move) -> Any:
        assert move.state is not None
        return self.kind.read(move.state)


ALL = 4  # stages

EACH_FAMILY = pytest.mark.parametrize("jobs", [Jobs(kind) for kind in FAMILIES], ids=FAMILIES)
TRAINING_ONLY = pytest.mark.parametrize("jobs", [Jobs("training-job")], ids=["training-job"])
PROCESSING_ONLY = pytest.mark.parametrize("jobs", [Jobs("processing-job")], ids=["processing-job"])


def seen(job: Record, phase: Phase, **task: Any) -> Seen:
    return Seen() if phase is Phase.ABSENT else Seen({task_id(job): TaskState(phase, **task)})


def moved(job: Record, move: Move) -> Record:
    """The record once the move is written."""
    state = job.state if move.state is None else move.state
    return replace(job, status=move.status, detail=move.detail or job.detail, state=state)


@EACH_FAMILY
def test_a_new_job_is_launched_under_an_id_that_a_restart_would_give_again(jobs):
    match jobs.decide(jobs.a_job(), Seen()):
        case Do(Launch(task)):
            assert task.id == "j1-0123456789ab-0"
            assert task.owner == (jobs.family.kind, "j1", "0123456789ab")
        case other:
            pytest.fail(f"decided {other}")


# status, stages shown, phase, task -> the decision; a Move by its status and detail, "running" for the family's own
DECISIONS = {
    "no room": (IN_PROGRESS, 0, Phase.PENDING, {}, (IN_PROGRESS, "Pending")),
    "no room, and shown": (IN_PROGRESS, 1, Phase.PENDING, {}, Wait()),
    "inputs come": (IN_PROGRESS, 0, Phase.STAGING, {"staging_at": 1.0}, (IN_PROGRESS, "Downloading")),
    "it runs": (IN_PROGRESS, 2, Phase.RUNNING, {"staging_at": 1.0, "started_at": 2.0}, (IN_PROGRESS, "running")),
    "all shown": (IN_PROGRESS, ALL, Phase.RUNNING, {"started_at": 2.0}, Wait()),
    "uploads": (IN_PROGRESS, 3, Phase.COLLECTING, {"ended_at": 3.0}, (IN_PROGRESS, "Uploading")),
    "good end": (IN_PROGRESS, ALL, Phase.EXITED, {"exit_code": 0}, (JobStatus.COMPLETED, "Completed")),
    "bad end": (IN_PROGRESS, ALL, Phase.EXITED, {"exit_code": 1, "failure": "AlgorithmError: , exit code: 1"},
                (JobStatus.FAILED, "Failed")),
    "no data": (IN_PROGRESS, ALL, Phase.EXITED, {"failure": "ClientError: no data"}, (JobStatus.FAILED, "Failed")),
    "refused": (IN_PROGRESS, 0, Phase.EXITED, {"failure": "CapacityError: x"}, (JobStatus.FAILED, "Failed")),
    "lost": (IN_PROGRESS, ALL, Phase.LOST, {}, (JobStatus.FAILED, "Failed")),
    "too long": (IN_PROGRESS, ALL, Phase.EXITED, {"cause": Cause.TIME_LIMIT, "exit_code": 0},
                 (JobStatus.STOPPED, "MaxRuntimeExceeded")),
    "too long, and killed": (IN_PROGRESS, ALL, Phase.EXITED, {"cause": Cause.TIME_LIMIT, "failure": "killed"},
                             (JobStatus.STOPPED, "MaxRuntimeExceeded")),
    "stop of what never began": (STOPPING, 0, Phase.ABSENT, {}, (JobStatus.STOPPED, "Stopped")),
    "stop of what ended": (STOPPING, ALL, Phase.EXITED, {"exit_code": 0}, (JobStatus.STOPPED, "Stopped")),
    "stop of what was lost": (STOPPING, ALL, Phase.LOST, {}, (JobStatus.STOPPED, "Stopped")),
    "stop while it uploads": (STOPPING, ALL, Phase.COLLECTING, {}, Wait()),
    "over": (JobStatus.COMPLETED, ALL, Phase.ABSENT, {}, Wait()),
}  # fmt: skip


@EACH_FAMILY
@pytest.mark.parametrize(("status", "stages", "phase", "task", "decision"), DECISIONS.values(), ids=DECISIONS)
def test_the_next_step(jobs, status, stages, phase, task, decision):
    job = jobs.a_job(status, stages)
    decided = jobs.decide(job, seen(job, phase, **task))
    if isinstance(decided, Move):
        assert decided.message
        assert (decided.reason != "") == (decided.status == JobStatus.FAILED or _has_time_limit_reason(jobs, decided))
        decided = (decided.status, "running" if decided.detail == jobs.running else decided.detail)
    assert decided == decision


def _has_time_limit_reason(jobs: Jobs, move: Move) -> bool:
    return jobs.kind is PROCESSING and move.detail == "MaxRuntimeExceeded"


@EACH_FAMILY
def test_a_stage_enters_the_history_once(jobs):
    job = jobs.a_job()
    move = jobs.move(job, seen(job, Phase.PENDING))
    assert jobs.state(move).stages == ("Pending",)
    assert jobs.decide(moved(job, move), seen(job, Phase.PENDING)) == Wait()


@EACH_FAMILY
def test_a_quick_job_still_shows_every_stage_with_its_own_time(jobs):
    job = jobs.a_job()
    over = seen(
        job, Phase.EXITED, exit_code=0, staging_at=10.0, started_at=11.0, ended_at=12.0, over_at=13.0,
        uploaded={"model": "s3://b/out/j1/output/model.tar.gz"},
    )  # fmt: skip
    stages = []
    while (move := jobs.move(job, over)).status == IN_PROGRESS:
        assert move.at is not None
        stages.append((move.detail, move.at.timestamp()))
        job = moved(job, move)
    assert stages == [("Downloading", 10.0), (jobs.running, 11.0), ("Uploading", 12.0)]
    assert (move.status, move.detail) == (JobStatus.COMPLETED, "Completed")
    state = jobs.state(move)
    assert (state.started_at, state.ended_at) == (10.0, 13.0)


@TRAINING_ONLY
def test_model_and_last_value_of_each_metric_are_kept(jobs):
    job = jobs.a_job(stages=ALL)
    model = "s3://b/out/j1/output/model.tar.gz"
    results = {"metrics": {"validation:auc": Metric(0.9, 5.0)}, "uploaded": {"model": model}}
    state = jobs.state(jobs.move(job, seen(job, Phase.EXITED, exit_code=0, **results)))
    assert (state.metrics, state.model_artifacts) == ({"validation:auc": (0.9, 5.0)}, model)


@PROCESSING_ONLY
@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ({"exit_code": 0}, ""),
        ({"failure": "ClientError: no data"}, "ClientError: no data"),
        (
            {"cause": Cause.TIME_LIMIT},
            "MaxRuntimeExceeded: The job ran longer than StoppingCondition.MaxRuntimeInSeconds = 7.",
        ),
    ],
)
def test_reason_and_exit_message(jobs, task, reason):
    job = jobs.a_job(stages=ALL, StoppingCondition={"MaxRuntimeInSeconds": 7})
    move = jobs.move(job, seen(job, Phase.EXITED, message="3 rows", over_at=13.0, **task))
    assert move.reason == reason
    state = jobs.state(move)
    assert (state.exit_message, state.ended_at) == ("3 rows", 13.0)
    assert state == replace(jobs.kind.read(job.state), exit_message="3 rows", ended_at=13.0), "and nothing else"


@EACH_FAMILY
@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.STAGING, Phase.RUNNING])
def test_the_task_of_a_stopping_job_is_stopped_with_two_minutes_grace(jobs, phase):
    job = jobs.a_job(STOPPING, ALL)
    assert jobs.decide(job, seen(job, phase)) == Do(Stop((task_id(job),), 120))


@EACH_FAMILY
def test_a_lost_job_fails_as_the_platforms_fault(jobs):
    job = jobs.a_job(stages=ALL)
    move = jobs.move(job, seen(job, Phase.LOST))
    assert move.status == JobStatus.FAILED
    assert move.reason.startswith("InternalServerError: ")
    assert jobs.state(move).ended_at == NOW.timestamp()


@TRAINING_ONLY
def test_a_lost_job_with_a_retry_strategy_starts_again_as_another_task(jobs):
    job = jobs.a_job(stages=ALL, RetryStrategy={"MaximumRetryAttempts": 1})
    move = jobs.move(job, seen(job, Phase.LOST))
    assert (move.status, move.detail) == (IN_PROGRESS, "Restarting")
    again = moved(job, move)
    assert task_id(again) != task_id(job)
    starting = jobs.move(again, Seen())
    assert (starting.status, starting.detail) == (IN_PROGRESS, "Starting")
    again = moved(again, starting)
    assert isinstance(jobs.decide(again, Seen()), Do)
    stage = jobs.move(again, seen(again, Phase.RUNNING, staging_at=1.0, started_at=2.0))
    assert stage.detail == "Downloading", "its history shows the stages of the second attempt too"
    assert jobs.move(again, seen(again, Phase.LOST)).status == JobStatus.FAILED


@EACH_FAMILY
def test_the_remains_of_a_lost_attempt_are_forgotten_before_anything_else_happens(jobs):
    first = jobs.a_job(stages=ALL)
    for status in jobs.family.status:
        second = jobs.a_job(status, ALL, attempt=1)
        assert task_id(first) in jobs.family.watch(second).tasks
        assert jobs.decide(second, seen(first, Phase.LOST)) == Do(Forget(task_id(first)))


@EACH_FAMILY
@pytest.mark.parametrize("status", FINISHED)
def test_a_finished_job_leaves_nothing_on_the_machine(jobs, status):
    job = jobs.a_job(status, ALL)
    assert jobs.decide(job, seen(job, Phase.EXITED)) == Do(Forget(task_id(job)))
    assert list(jobs.family.watch(job).tasks) == [task_id(job)]
    assert jobs.decide(job, Seen()) == Wait()


@TRAINING_ONLY
def test_a_deleted_job_is_erased_when_its_task_has_been_forgotten(jobs):
    job = jobs.a_job(DELETING, ALL)
    assert jobs.decide(job, seen(job, Phase.EXITED)) == Do(Forget(task_id(job)))
    assert jobs.decide(job, Seen()) == Do(Erase())
