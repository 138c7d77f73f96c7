"""What a processing job does next, and the task it is, as tables of cases."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from clary.core.decisions import Do, Forget, Launch, Move, Seen, Stop, Wait
from clary.core.records import Record
from clary.core.tasks import Cause, Input, Output, Phase, Task, TaskState
from clary.resources.jobs import task_id
from clary.resources.processing import Status, decide, watch
from tests.context import a_processing_input, a_processing_job, a_processing_output

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALL_TOLD = ["Pending", "Downloading", "Processing", "Uploading"]
ARN = "arn:aws:sagemaker:us-east-1:000000000000:processing-job/p"


def a_job(status: str = "InProgress", told: list[str] | None = None, **members: Any) -> Record:
    return Record(
        kind="processing-job",
        name="p",
        uid="0123456789ab",
        status=status,
        detail="Starting",
        spec=a_processing_job("p", **members),
        created=NOW,
        modified=NOW,
        state={"arn": ARN, "resources": {"cpus": 2.0, "memory_mib": 8192, "gpus": 0}, "told": told or []},
    )


def seen(job: Record, phase: Phase, **state: Any) -> Seen:
    return Seen() if phase is Phase.ABSENT else Seen({task_id(job): TaskState(phase, **state)})


def launched(job: Record) -> Task:
    match decide(job, Seen(), NOW):
        case Do(Launch(task)):
            return task
        case other:
            pytest.fail(f"decided {other}")


# status, phase -> the decision; a Move by its status and detail
DECISIONS = {
    "no room": (Status.IN_PROGRESS, [], Phase.PENDING, {}, (Status.IN_PROGRESS, "Pending")),
    "inputs come": (Status.IN_PROGRESS, [], Phase.STAGING, {"staging_at": 1.0}, (Status.IN_PROGRESS, "Downloading")),
    "it runs": (Status.IN_PROGRESS, ALL_TOLD[:2], Phase.RUNNING, {"staging_at": 1.0, "started_at": 2.0},
                (Status.IN_PROGRESS, "Processing")),
    "told all": (Status.IN_PROGRESS, ALL_TOLD, Phase.RUNNING, {"started_at": 2.0}, Wait()),
    "uploads": (Status.IN_PROGRESS, ALL_TOLD[:3], Phase.COLLECTING, {"ended_at": 3.0},
                (Status.IN_PROGRESS, "Uploading")),
    "good end": (Status.IN_PROGRESS, ALL_TOLD, Phase.EXITED, {"exit_code": 0}, (Status.COMPLETED, "Completed")),
    "bad end": (Status.IN_PROGRESS, ALL_TOLD, Phase.EXITED, {"exit_code": 1, "failure": "AlgorithmError: x"},
                (Status.FAILED, "Failed")),
    "refused": (Status.IN_PROGRESS, [], Phase.EXITED, {"failure": "CapacityError: x"}, (Status.FAILED, "Failed")),
    "lost": (Status.IN_PROGRESS, ALL_TOLD, Phase.LOST, {}, (Status.FAILED, "Failed")),
    "too long": (Status.IN_PROGRESS, ALL_TOLD, Phase.EXITED, {"cause": Cause.TIME_LIMIT, "failure": "killed"},
                 (Status.STOPPED, "MaxRuntimeExceeded")),
    "stop of what never began": (Status.STOPPING, [], Phase.ABSENT, {}, (Status.STOPPED, "Stopped")),
    "stop of what ended": (Status.STOPPING, ALL_TOLD, Phase.EXITED, {"exit_code": 0}, (Status.STOPPED, "Stopped")),
    "stop of what was lost": (Status.STOPPING, ALL_TOLD, Phase.LOST, {}, (Status.STOPPED, "Stopped")),
    "stop while it uploads": (Status.STOPPING, ALL_TOLD, Phase.COLLECTING, {}, Wait()),
    "over": (Status.COMPLETED, ALL_TOLD, Phase.ABSENT, {}, Wait()),
}  # fmt: skip


@pytest.mark.parametrize(("status", "told", "phase", "state", "decision"), DECISIONS.values(), ids=DECISIONS)
def test_what_comes_next(status, told, phase, state, decision):
    job = a_job(status, told)
    decided = decide(job, seen(job, phase, **state), NOW)
    if isinstance(decided, Move):
        decided = (decided.status, decided.detail)
    assert decided == decision


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.STAGING, Phase.RUNNING])
def test_a_stopping_job_is_told_to_stop_with_two_minutes_grace(phase):
    job = a_job(Status.STOPPING, ALL_TOLD)
    assert decide(job, seen(job, phase), NOW) == Do(Stop((task_id(job),), 120))


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.STOPPED])
def test_a_finished_job_leaves_nothing_on_the_machine(status):
    job = a_job(status, ALL_TOLD)
    assert decide(job, seen(job, Phase.EXITED), NOW) == Do(Forget(task_id(job)))
    assert list(watch(job).tasks) == [task_id(job)]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"exit_code": 0}, ""),
        ({"failure": "ClientError: no data"}, "ClientError: no data"),
        (
            {"cause": Cause.TIME_LIMIT},
            "MaxRuntimeExceeded: The job ran longer than StoppingCondition.MaxRuntimeInSeconds = 7.",
        ),
    ],
)
def test_why_it_ended(state, reason):
    job = a_job(told=ALL_TOLD, StoppingCondition={"MaxRuntimeInSeconds": 7})
    move = decide(job, seen(job, Phase.EXITED, message="3 rows", over_at=13.0, **state), NOW)
    assert isinstance(move, Move)
    assert move.reason == reason
    assert move.state == {"exit_message": "3 rows", "processing_end": 13.0}


def test_a_lost_job_fails_as_the_platforms_fault():
    job = a_job(told=ALL_TOLD)
    move = decide(job, seen(job, Phase.LOST), NOW)
    assert isinstance(move, Move)
    assert move.reason.startswith("InternalServerError: ")
    assert move.state == {"processing_end": NOW.timestamp()}


def test_a_quick_job_still_tells_when_it_began():
    job = a_job()
    over = seen(job, Phase.EXITED, exit_code=0, staging_at=10.0, started_at=11.0, ended_at=12.0, over_at=13.0)
    while isinstance(move := decide(job, over, NOW), Move) and move.status == Status.IN_PROGRESS:
        job = replace(job, detail=move.detail, state={**job.state, **move.state})
    assert job.state["processing_start"] == 10.0
    assert isinstance(move, Move)
    assert move.state == {"processing_end": 13.0}


# ---- the task ----


def test_a_task_is_what_was_asked_for():
    job = a_job(
        AppSpecification={
            "ImageUri": "image",
            "ContainerEntrypoint": ["python3", "x.py"],
            "ContainerArguments": ["--a", "{host}"],
        },
        ProcessingResources={"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2}},
        Environment={"A": "b"},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
        NetworkConfig={"EnableNetworkIsolation": True},
    )
    task = launched(job)
    assert (task.id, task.owner) == ("p-0123456789ab-0", ("processing-job", "p", "0123456789ab"))
    assert (task.image, task.command, task.layout) == ("image", "", "processing")
    assert (task.entrypoint, task.arguments) == (("python3", "x.py"), ("--a", "{host}"))
    assert (task.environment, task.hosts) == ({"A": "b"}, ("algo-1", "algo-2"))
    assert (task.max_runtime_s, task.grace_s, task.isolated) == (60, 120, True)
    stream = f"p/{{host}}-{int(NOW.timestamp() * 1000)}"
    assert (task.log_group, task.log_stream) == ("/aws/sagemaker/ProcessingJobs", stream)
    (resources,) = task.host_files.items()
    assert resources[0] == "config/resourceconfig.json"
    assert {"current_host": "{host}", "hosts": ["algo-1", "algo-2"]}.items() <= json.loads(resources[1]).items()
    assert Task.from_json(task.to_json()) == task


def test_a_job_without_anything_runs_for_a_day():
    task = launched(a_job())
    assert (task.inputs, task.outputs, task.arguments, task.environment) == ((), (), (), {})
    assert (task.max_runtime_s, task.isolated) == (86400, False)


INPUTS = {
    "a prefix": ({}, Input("prefix", "s3://bucket/data/", "processing/data")),
    "a folder in a folder": ({"LocalPath": "/opt/ml/processing/input/x/"},
                             Input("prefix", "s3://bucket/data/", "processing/input/x")),
    "a manifest": ({"S3DataType": "ManifestFile", "S3Uri": "s3://bucket/m.json"},
                   Input("manifest", "s3://bucket/m.json", "processing/data")),
    "shards": ({"S3DataDistributionType": "ShardedByS3Key"},
               Input("prefix", "s3://bucket/data/", "processing/data", sharded=True)),
}  # fmt: skip


@pytest.mark.parametrize(("source", "staged"), INPUTS.values(), ids=INPUTS)
def test_inputs_are_brought_below_their_local_path(source, staged):
    assert launched(a_job(ProcessingInputs=[a_processing_input(**source)])).inputs == (staged,)


@pytest.mark.parametrize("mode", ["EndOfJob", "Continuous"])
def test_outputs_go_where_they_were_asked_for_also_after_a_failure(mode):
    outputs = [a_processing_output(S3UploadMode=mode), a_processing_output("b", S3Uri="s3://bucket/b/")]
    task = launched(a_job(ProcessingOutputConfig={"Outputs": outputs}))
    plain = {"archive": False, "always": True, "links": False}
    assert task.outputs == (
        Output("processing/out", "s3://bucket/out/", continuous=mode == "Continuous", **plain),
        Output("processing/b", "s3://bucket/b/", **plain),
    )


def test_the_platform_moves_nothing_that_the_application_manages():
    task = launched(
        a_job(
            ProcessingInputs=[{**a_processing_input(), "AppManaged": True}],
            ProcessingOutputConfig={"Outputs": [{**a_processing_output(), "AppManaged": True}]},
        )
    )
    assert (task.inputs, task.outputs) == ((), ())


def test_the_configuration_is_the_whole_request_with_its_arn_and_defaults():
    job = a_job(ProcessingInputs=[a_processing_input()], Environment={"A": "{host} /opt/ml ünï"})
    (path, text) = next(iter(launched(job).files.items()))
    assert path == "config/processingjobconfig.json"
    told = json.loads(text)
    assert told == {
        **job.spec,
        "ProcessingJobArn": ARN,
        "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
        "ProcessingInputs": [
            {
                "InputName": "data",
                "AppManaged": False,
                "S3Input": {
                    **a_processing_input()["S3Input"],
                    "S3InputMode": "File",
                    "S3DataDistributionType": "FullyReplicated",
                    "S3CompressionType": "None",
                },
            }
        ],
    }
