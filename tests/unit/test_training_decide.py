"""What a training job does next, as a table of cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from clary.core.decisions import Do, Erase, Forget, Launch, Move, Seen, Stop, Wait
from clary.core.records import Record
from clary.core.tasks import Cause, Metric, Phase, TaskState
from clary.resources.jobs import STOP_GRACE_S
from clary.resources.training import Status, decide, task_id, watch

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALL_TOLD = ["Pending", "Downloading", "Training", "Uploading"]


def a_job(status: str = "InProgress", told: list[str] | None = None, **spec: object) -> Record:
    return Record(
        kind="training-job",
        name="j1",
        uid="0123456789ab",
        status=status,
        detail="Starting",
        spec={
            "TrainingJobName": "j1",
            "AlgorithmSpecification": {"TrainingImage": "clary/xgboost", "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            **spec,
        },
        created=NOW,
        modified=NOW,
        state={
            "arn": "arn:aws:sagemaker:us-east-1:000000000000:training-job/j1",
            "resources": {"cpus": 2.0, "memory_mib": 8192, "gpus": 0},
            "metric_definitions": [],
            "told": told or [],
        },
    )


def seen(job: Record, phase: Phase, **state: object) -> Seen:
    if phase is Phase.ABSENT:
        return Seen()
    return Seen({task_id(job): TaskState(phase, **state)})  # type: ignore[arg-type]


def test_a_new_job_is_launched_under_an_id_that_a_restart_would_give_again():
    job = a_job()
    match decide(job, Seen(), NOW):
        case Do(Launch(task)):
            assert task.id == "j1-0123456789ab-0"
            assert task.owner == ("training-job", "j1", "0123456789ab")
        case other:
            pytest.fail(f"decided {other}")


def test_a_job_without_room_is_pending_and_says_so_once():
    job = a_job()
    move = decide(job, seen(job, Phase.PENDING), NOW)
    assert isinstance(move, Move)
    assert (move.status, move.detail, move.state["told"]) == (Status.IN_PROGRESS, "Pending", ["Pending"])
    assert decide(a_job(told=["Pending"]), seen(job, Phase.PENDING), NOW) == Wait()


def test_a_quick_job_still_tells_every_stage_with_its_own_time():
    job = a_job()
    over = seen(
        job, Phase.EXITED, exit_code=0, staging_at=10.0, started_at=11.0, ended_at=12.0, over_at=13.0,
        uploaded={"model": "s3://b/out/j1/output/model.tar.gz"},
    )  # fmt: skip
    stages = []
    while isinstance(move := decide(job, over, NOW), Move) and move.status == Status.IN_PROGRESS:
        assert move.at is not None
        stages.append((move.detail, move.at.timestamp()))
        job = replace(job, detail=move.detail, state={**job.state, **move.state})
    assert stages == [("Downloading", 10.0), ("Training", 11.0), ("Uploading", 12.0)]
    assert (move.status, move.detail) == (Status.COMPLETED, "Completed")
    assert move.state["model_artifacts"] == "s3://b/out/j1/output/model.tar.gz"
    assert move.state["training_end"] == 13.0


@pytest.mark.parametrize(
    ("state", "status", "detail"),
    [
        ({"exit_code": 0}, Status.COMPLETED, "Completed"),
        ({"exit_code": 1, "failure": "AlgorithmError: , exit code: 1"}, Status.FAILED, "Failed"),
        ({"failure": "ClientError: no data"}, Status.FAILED, "Failed"),
        ({"cause": Cause.TIME_LIMIT, "exit_code": 0}, Status.STOPPED, "MaxRuntimeExceeded"),
        ({"cause": Cause.TIME_LIMIT, "failure": "killed"}, Status.STOPPED, "MaxRuntimeExceeded"),
    ],
)
def test_how_a_job_ends(state, status, detail):
    job = a_job(told=ALL_TOLD)
    move = decide(job, seen(job, Phase.EXITED, **state), NOW)
    assert isinstance(move, Move)
    assert (move.status, move.detail) == (status, detail)
    assert bool(move.message)
    assert (move.reason != "") == (status == Status.FAILED)


def test_the_last_value_of_each_metric_is_kept():
    job = a_job(told=ALL_TOLD)
    move = decide(job, seen(job, Phase.EXITED, exit_code=0, metrics={"validation:auc": Metric(0.9, 5.0)}), NOW)
    assert isinstance(move, Move)
    assert move.state["metrics"] == {"validation:auc": [0.9, 5.0]}


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.STAGING, Phase.RUNNING])
def test_a_stopping_job_is_told_to_stop_with_two_minutes_grace(phase):
    job = a_job(Status.STOPPING, told=ALL_TOLD)
    assert decide(job, seen(job, phase), NOW) == Do(Stop((task_id(job),), STOP_GRACE_S))
    assert STOP_GRACE_S == 120


def test_a_stopping_job_is_left_to_upload_what_it_has():
    job = a_job(Status.STOPPING, told=ALL_TOLD)
    assert decide(job, seen(job, Phase.COLLECTING), NOW) == Wait()


@pytest.mark.parametrize("phase", [Phase.ABSENT, Phase.EXITED, Phase.LOST])
def test_stopped_means_the_task_was_seen_gone(phase):
    job = a_job(Status.STOPPING, told=ALL_TOLD)
    move = decide(job, seen(job, phase), NOW)
    assert isinstance(move, Move)
    assert (move.status, move.detail) == (Status.STOPPED, "Stopped")


def test_a_lost_job_fails_as_the_platforms_fault():
    job = a_job(told=ALL_TOLD)
    move = decide(job, seen(job, Phase.LOST), NOW)
    assert isinstance(move, Move)
    assert move.status == Status.FAILED
    assert move.reason.startswith("InternalServerError: ")


def test_a_lost_job_with_a_retry_strategy_starts_again_as_another_task():
    job = a_job(told=ALL_TOLD, RetryStrategy={"MaximumRetryAttempts": 1})
    move = decide(job, seen(job, Phase.LOST), NOW)
    assert isinstance(move, Move)
    assert (move.status, move.detail) == (Status.IN_PROGRESS, "Restarting")
    again = replace(job, detail=move.detail, state={**job.state, **move.state})
    assert task_id(again) != task_id(job)
    starting = decide(again, Seen(), NOW)
    assert isinstance(starting, Move)
    assert (starting.status, starting.detail) == (Status.IN_PROGRESS, "Starting")
    again = replace(again, detail=starting.detail)
    assert isinstance(decide(again, Seen(), NOW), Do)
    stage = decide(again, seen(again, Phase.RUNNING, staging_at=1.0, started_at=2.0), NOW)
    assert isinstance(stage, Move)
    assert stage.detail == "Downloading", "the stages are told anew"
    last = decide(again, seen(again, Phase.LOST), NOW)
    assert isinstance(last, Move)
    assert last.status == Status.FAILED


@pytest.mark.parametrize("status", list(Status))
def test_what_is_left_of_a_lost_attempt_goes_before_anything_else_happens(status):
    job = a_job(told=ALL_TOLD)
    again = replace(job, status=status, state={**job.state, "attempt": 1})
    assert task_id(job) in watch(again).tasks
    assert decide(again, seen(job, Phase.LOST), NOW) == Do(Forget(task_id(job)))


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.STOPPED])
def test_a_finished_job_leaves_nothing_on_the_machine(status):
    job = a_job(status, told=ALL_TOLD)
    assert decide(job, seen(job, Phase.EXITED), NOW) == Do(Forget(task_id(job)))
    assert decide(job, Seen(), NOW) == Wait()


def test_a_deleted_job_is_erased_when_its_task_is_gone():
    job = a_job(Status.DELETING, told=ALL_TOLD)
    assert decide(job, seen(job, Phase.EXITED), NOW) == Do(Forget(task_id(job)))
    assert decide(job, Seen(), NOW) == Do(Erase())
