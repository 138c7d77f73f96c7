"""Jobs of each family as callers see them: creating, describing, stopping and deleting, and what is refused."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from clary.core.tasks import Phase
from clary.resources.jobs.status import FINISHED, JobStatus
from tests.context import (
    IMAGE,
    ROLE,
    EmptyObjectStore,
    FailingObjectStore,
    a_processing_input,
    a_processing_job,
    a_training_job,
)
from tests.unit.client import Client, refusal

ARN = "arn:aws:sagemaker:us-east-1:000000000000"


@dataclass(frozen=True)
class Family:
    """How one family's operations are called.

    resources   the members that ask for hosts of this type
    data        the members that name s3://bucket/data as an input, and what texts call it
    missing     the text for a job that does not exist, and for one that is to be stopped
    """

    noun: str
    kind: str
    request: Any
    resources: Any
    data: dict[str, Any]
    data_label: str
    missing: str
    missing_to_stop: str

    @property
    def readable_kind(self) -> str:
        return self.kind.replace("-", " ")


TRAINING = Family(
    noun="TrainingJob",
    kind="training-job",
    request=a_training_job,
    resources=lambda instance: {"ResourceConfig": instance},
    data={
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data/"}},
            }
        ]
    },
    data_label="Channel 'train'",
    missing="Requested resource not found.",
    missing_to_stop="Requested resource not found.",
)
PROCESSING = Family(
    noun="ProcessingJob",
    kind="processing-job",
    request=a_processing_job,
    resources=lambda instance: {"ProcessingResources": {"ClusterConfig": instance}},
    data={"ProcessingInputs": [a_processing_input("data")]},
    data_label="Input 'data'",
    missing="Could not find requested job with name: no",
    missing_to_stop="Could not find job to update with name: no",
)


class Jobs:
    """The jobs of one family on a server."""

    def __init__(self, server: Client, family: Family) -> None:
        self.server = server
        self.family = family

    def create(self, name: str = "j", **members: Any) -> dict[str, Any]:
        return self.server.call(f"Create{self.family.noun}", self.family.request(name, **members))

    def call(self, verb: str, name: str = "j") -> dict[str, Any]:
        return self.server.call(f"{verb}{self.family.noun}", {f"{self.family.noun}Name": name})

    def describe(self, name: str = "j") -> dict[str, Any]:
        return self.call("Describe", name)

    def status(self, name: str = "j") -> str:
        return str(self.describe(name)[f"{self.family.noun}Status"])

    def names(self) -> list[str]:
        listed = self.server.call(f"List{self.family.noun}s", {})[f"{self.family.noun}Summaries"]
        return [job[f"{self.family.noun}Name"] for job in listed]

    def run_to(self, phase: Phase, **task: Any) -> None:
        self.server.settle()
        self.server.move("j", phase, **task)


@pytest.fixture(params=[TRAINING, PROCESSING], ids=lambda family: family.kind)
def family(request) -> Family:
    return request.param


@pytest.fixture
def server(tmp_path):
    client = Client(tmp_path)
    yield client
    client.close()


@pytest.fixture
def jobs(server, family) -> Jobs:
    return Jobs(server, family)


# ---- creating and describing ----


def test_a_job_that_was_just_created(jobs):
    arn = f"{ARN}:{jobs.family.kind}/j"
    noun = jobs.family.noun
    assert jobs.create("J") == {f"{noun}Arn": arn}
    job = jobs.describe("J")
    assert (job[f"{noun}Name"], job[f"{noun}Arn"], job[f"{noun}Status"]) == ("J", arn, "InProgress")
    assert job["CreationTime"] == job["LastModifiedTime"] == jobs.server.clock.now()
    times = {member for member in job if member.endswith(("StartTime", "EndTime", "TimeInSeconds"))}
    assert not times
    assert not {"FailureReason", "ExitMessage", "ModelArtifacts"} & set(job)


def test_a_host_of_more_than_this_machine_has_is_named_in_the_history(jobs):
    jobs.create(**jobs.family.resources({"InstanceType": "ml.m5.24xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}))
    record = jobs.server.record(jobs.family.kind, "j")
    (transition,) = jobs.server.run(jobs.server.server.store.history(record))
    assert transition.message == (
        f"Starting the {jobs.family.readable_kind} (of ml.m5.24xlarge this machine gives 2 CPUs and 8.0 GiB)"
    )


@pytest.mark.parametrize("stopping", [{}, {"StoppingCondition": {}}], ids=["absent", "empty"])
def test_a_time_limit_that_was_not_given_is_a_day(jobs, stopping, family):
    if family is PROCESSING and stopping:
        pytest.skip("the model demands MaxRuntimeInSeconds in a processing job's StoppingCondition")
    request = {**family.request("j"), "StoppingCondition": None, **stopping}
    jobs.server.call(f"Create{family.noun}", {name: value for name, value in request.items() if value is not None})
    assert jobs.describe()["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    jobs.server.settle()
    (task,) = jobs.server.backend.tasks.values()
    assert task.max_runtime_s == 86400


def test_last_modified_moves_with_each_change(jobs):
    jobs.create()
    jobs.server.settle()
    times = []
    for phase in (Phase.STAGING, Phase.RUNNING, Phase.EXITED):
        jobs.server.clock.advance(5)
        jobs.server.move("j", phase, exit_code=0)
        times.append(jobs.describe()["LastModifiedTime"])
    assert times == [jobs.server.clock.now() - timedelta(seconds=seconds) for seconds in (10, 5, 0)]


def test_a_failed_job_has_a_reason(jobs):
    jobs.create()
    jobs.run_to(Phase.EXITED, exit_code=1, failure="AlgorithmError: no such column")
    assert (jobs.status(), jobs.describe()["FailureReason"]) == ("Failed", "AlgorithmError: no such column")
    assert "ModelArtifacts" not in jobs.describe()


def test_a_first_describe_waits_for_the_end(tmp_path, family):
    server = Client(tmp_path, describe_wait_s=30.0)
    jobs = Jobs(server, family)
    jobs.create()
    jobs.run_to(Phase.RUNNING)

    async def describe() -> dict[str, Any]:
        call = server.server.call(f"Describe{family.noun}", **{f"{family.noun}Name": "j"})
        described = asyncio.create_task(call)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not described.done()
        (task_id,) = server.backend.alive()
        server.backend.move(task_id, Phase.EXITED, exit_code=0)
        await server.server.settle()
        return await described

    assert server.run(describe())[f"{family.noun}Status"] == "Completed"
    server.close()


# ---- names ----


def test_a_name_that_is_taken(jobs):
    jobs.create()
    jobs.run_to(Phase.EXITED, exit_code=0)
    assert refusal(jobs.create) == (
        "ResourceInUse",
        f"{jobs.family.readable_kind.capitalize()} names must be unique within an AWS account and region, and a "
        f"{jobs.family.readable_kind} with this name already exists ({ARN}:{jobs.family.kind}/j)",
    )


def test_names_that_differ_by_case_are_two(jobs):
    for name in ("job", "Job", "JOB"):
        jobs.create(name)
    assert jobs.names() == ["JOB", "Job", "job"]
    jobs.call("Stop", "Job")
    assert [jobs.status(name) for name in ("job", "Job", "JOB")] == ["InProgress", "Stopping", "InProgress"]


def test_jobs_of_two_families_may_have_the_same_name(server):
    for family in (TRAINING, PROCESSING):
        Jobs(server, family).create()
    server.settle()
    assert len(server.backend.alive()) == 2


@pytest.mark.parametrize("verb", ["Describe", "Stop", "Delete"])
def test_a_job_that_does_not_exist(jobs, verb):
    text = jobs.family.missing_to_stop if verb == "Stop" else jobs.family.missing
    assert refusal(jobs.call, verb=verb, name="no") == ("ValidationException", text)


# ---- stopping and deleting ----


def test_a_stop_is_seen_at_once_and_done_when_the_task_has_ended(jobs):
    jobs.create()
    jobs.run_to(Phase.RUNNING)
    assert jobs.call("Stop") == {}
    assert jobs.status() == "Stopping"
    assert jobs.call("Stop") == {}, "a second Stop changes nothing"
    jobs.run_to(Phase.EXITED, exit_code=0)
    assert jobs.status() == "Stopped"


def test_a_job_stopped_before_it_began_never_runs(jobs):
    jobs.create()
    jobs.call("Stop")
    jobs.server.settle()
    assert jobs.status() == "Stopped"
    assert jobs.server.backend.launched == {}


@pytest.mark.parametrize("status", FINISHED)
def test_what_has_ended_cannot_be_stopped(jobs, status):
    jobs.create()
    jobs.server.force(jobs.family.kind, "j", status=status)
    assert refusal(jobs.call, verb="Stop") == (
        "ValidationException",
        f"The request was rejected because the {jobs.family.readable_kind} is in status {status}.",
    )


@pytest.mark.parametrize("status", FINISHED)
def test_what_has_ended_can_be_deleted_and_frees_its_name(jobs, status):
    jobs.create()
    jobs.server.force(jobs.family.kind, "j", status=status)
    assert jobs.call("Delete") == {}
    jobs.server.settle()
    assert jobs.names() == []
    jobs.create()


@pytest.mark.parametrize("status", [JobStatus.IN_PROGRESS, JobStatus.STOPPING])
def test_what_runs_cannot_be_deleted(jobs, status):
    jobs.create()
    jobs.server.force(jobs.family.kind, "j", status=status)
    code, message = refusal(jobs.call, verb="Delete")
    assert code == "ResourceInUse"
    assert f"in status {status}" in message
    assert jobs.names() == ["j"]


# ---- strict and lenient ----


def test_data_that_does_not_exist_is_refused_at_the_call(jobs):
    jobs.server.use(object_store=EmptyObjectStore())
    assert refusal(jobs.create, **jobs.family.data) == (
        "ValidationException",
        'No S3 objects found under S3 URL "s3://bucket/data/" given in input data source. Please ensure that the '
        "bucket exists in the selected region (us-east-1), that objects exist under that S3 prefix, and that the role "
        f'"{ROLE}" has "s3:ListBucket" permissions on bucket "bucket".',
    )
    assert jobs.names() == []


def test_an_s3_that_does_not_answer_is_named_in_the_refusal(jobs):
    jobs.server.use(object_store=FailingObjectStore())
    assert refusal(jobs.create, **jobs.family.data) == (
        "ValidationException",
        f"{jobs.family.data_label}: S3Uri = 's3://bucket/data/' cannot be read: connection refused",
    )


def test_an_image_that_cannot_be_run_is_refused_at_the_call(jobs):
    jobs.server.use(image_problem=lambda uri: "no engine")
    assert refusal(jobs.create) == (
        "ValidationException",
        f"The image '{IMAGE}' cannot be used with the role {ROLE}: no engine",
    )


def test_lenient_accepts_data_and_images_that_do_not_exist(tmp_path, family):
    server = Client(tmp_path, validation="lenient")
    server.use(image_problem=lambda uri: "no engine", object_store=EmptyObjectStore())
    jobs = Jobs(server, family)
    jobs.create(**family.data)
    assert jobs.names() == ["j"]
    server.close()


@pytest.mark.parametrize(
    "role", [ROLE, "arn:aws:iam::123456789012:role/service-role/Any-Role_1", "arn:aws-cn:iam::000000000000:role/x"]
)
def test_every_well_formed_role_is_accepted(jobs, role):
    jobs.create(RoleArn=role)
    assert jobs.describe()["RoleArn"] == role
