"""Processing jobs as callers see them: what is refused and how, what Describe and List tell."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from clary.core.tasks import Phase
from clary.resources.jobs.status import FINISHED
from clary.resources.processing import Status
from tests.context import IMAGE, ROLE, a_processing_input, a_processing_job, a_processing_output
from tests.unit.asking import Asked, refusal
from tests.unit.test_operations import EmptyStore

ARN = "arn:aws:sagemaker:us-east-1:000000000000"


@pytest.fixture
def server(tmp_path):
    asked = Asked(tmp_path)
    yield asked
    asked.close()


def jobs(server: Asked) -> list[str]:
    return [job["ProcessingJobName"] for job in server.list_processing_jobs()["ProcessingJobSummaries"]]


# ---- describing ----


def test_a_job_that_was_just_asked_for(server):
    assert server.create_processing_job(**a_processing_job("J")) == {"ProcessingJobArn": f"{ARN}:processing-job/j"}
    job = server.describe_processing_job(ProcessingJobName="J")
    assert (job["ProcessingJobName"], job["ProcessingJobArn"]) == ("J", f"{ARN}:processing-job/j")
    assert job["ProcessingJobStatus"] == "InProgress"
    assert job["CreationTime"] == job["LastModifiedTime"] == server.clock.now()
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    absent = {"ExitMessage", "FailureReason", "ProcessingStartTime", "ProcessingEndTime", "ProcessingInputs"}
    assert not absent & set(job)


def test_what_was_left_out_is_told_with_its_default(server):
    given = {"ProcessingInputs": [a_processing_input()], "ProcessingOutputConfig": {"Outputs": [a_processing_output()]}}
    server.create_processing_job(**a_processing_job("j", **given))
    job = server.describe_processing_job(ProcessingJobName="j")
    (told,) = job["ProcessingInputs"]
    assert told["AppManaged"] is False
    assert {member: told["S3Input"][member] for member in told["S3Input"] if member.startswith("S3")} == {
        "S3Uri": "s3://bucket/data/",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
        "S3CompressionType": "None",
    }
    assert job["ProcessingOutputConfig"]["Outputs"][0]["AppManaged"] is False


def test_a_job_that_ran(server):
    server.create_processing_job(**a_processing_job("j"))
    server.settle()
    server.clock.advance(100)
    server.move("j", Phase.STAGING)
    began = server.clock.now()
    server.clock.advance(50)
    server.move("j", Phase.EXITED, exit_code=0, message="all is well")
    job = server.describe_processing_job(ProcessingJobName="j")
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Completed", "all is well")
    assert (job["ProcessingStartTime"], job["ProcessingEndTime"]) == (began, server.clock.now())
    (summary,) = server.list_processing_jobs()["ProcessingJobSummaries"]
    assert summary == {member: job[member] for member in summary}
    assert {"ProcessingEndTime", "ExitMessage"} <= set(summary)
    assert server.backend.states == {}, "what the task left on the machine is gone"


def test_a_failed_job_says_why_and_keeps_its_message(server):
    server.create_processing_job(**a_processing_job("j"))
    server.settle()
    server.move("j", Phase.EXITED, exit_code=1, failure="AlgorithmError: no such column", message="row 7")
    job = server.describe_processing_job(ProcessingJobName="j")
    assert (job["ProcessingJobStatus"], job["FailureReason"]) == ("Failed", "AlgorithmError: no such column")
    assert job["ExitMessage"] == "row 7"


def test_a_first_describe_waits_for_the_end(tmp_path):
    server = Asked(tmp_path, describe_wait_s=30.0)
    server.create_processing_job(**a_processing_job("j"))
    server.settle()
    server.move("j", Phase.RUNNING)

    async def look() -> dict[str, Any]:
        asked = asyncio.create_task(server.server.call("DescribeProcessingJob", ProcessingJobName="j"))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not asked.done()
        (task_id,) = server.backend.alive()
        server.backend.move(task_id, Phase.EXITED, exit_code=0)
        server.server.loop.changes = server.server.context.changes
        await server.server.settle()
        return await asked

    assert server.run(look())["ProcessingJobStatus"] == "Completed"
    server.close()


# ---- names ----


def test_a_name_that_is_taken(server):
    server.create_processing_job(**a_processing_job("j"))
    server.settle()
    server.move("j", Phase.EXITED, exit_code=0)
    code, message = refusal(server.create_processing_job, **a_processing_job("j"))
    assert code == "ResourceInUse"
    assert f"already exists ({ARN}:processing-job/j)" in message


def test_a_training_job_may_have_the_same_name(server):
    from tests.context import a_training_job

    server.create_training_job(**a_training_job("j"))
    server.create_processing_job(**a_processing_job("j"))
    server.settle()
    assert len(server.backend.alive()) == 2


@pytest.mark.parametrize(
    ("verb", "says"),
    [
        ("describe_processing_job", "Could not find requested job with name: no"),
        ("stop_processing_job", "Could not find job to update with name: no"),
        ("delete_processing_job", "Could not find requested job with name: no"),
    ],
)
def test_a_job_that_is_not_there(server, verb, says):
    assert refusal(getattr(server, verb), ProcessingJobName="no") == ("ValidationException", says)


# ---- stopping and deleting ----


def test_a_stop_is_seen_at_once_and_done_when_the_task_has_ended(server):
    server.create_processing_job(**a_processing_job("j"))
    server.settle()
    server.move("j", Phase.RUNNING)
    assert server.stop_processing_job(ProcessingJobName="j") == {}
    assert server.describe_processing_job(ProcessingJobName="j")["ProcessingJobStatus"] == "Stopping"
    assert server.stop_processing_job(ProcessingJobName="j") == {}, "asked twice is asked once"
    server.settle()
    server.move("j", Phase.EXITED, exit_code=0, message="half")
    job = server.describe_processing_job(ProcessingJobName="j")
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Stopped", "half")


def test_a_job_stopped_before_it_began_never_runs(server):
    server.create_processing_job(**a_processing_job("j"))
    server.stop_processing_job(ProcessingJobName="j")
    server.settle()
    assert server.describe_processing_job(ProcessingJobName="j")["ProcessingJobStatus"] == "Stopped"
    assert server.backend.launched == {}


@pytest.mark.parametrize("status", FINISHED)
def test_what_has_ended_cannot_be_stopped(server, status):
    server.create_processing_job(**a_processing_job("j"))
    server.force("processing-job", "j", status=status)
    code, message = refusal(server.stop_processing_job, ProcessingJobName="j")
    assert code == "ValidationException"
    assert message == f"The request was rejected because the processing job is in status {status}."


@pytest.mark.parametrize("status", FINISHED)
def test_what_has_ended_can_be_deleted_and_frees_its_name(server, status):
    server.create_processing_job(**a_processing_job("j"))
    server.force("processing-job", "j", status=status)
    assert server.delete_processing_job(ProcessingJobName="j") == {}
    assert jobs(server) == []
    server.create_processing_job(**a_processing_job("j"))


@pytest.mark.parametrize("status", [Status.IN_PROGRESS, Status.STOPPING])
def test_what_runs_cannot_be_deleted(server, status):
    server.create_processing_job(**a_processing_job("j"))
    server.force("processing-job", "j", status=status)
    code, message = refusal(server.delete_processing_job, ProcessingJobName="j")
    assert code == "ResourceInUse"
    assert f"in status {status}" in message
    assert jobs(server) == ["j"]


# ---- requests that the shapes allow and that make no sense ----


def inputs(*given: dict[str, Any]) -> dict[str, Any]:
    return {"ProcessingInputs": list(given)}


def outputs(*given: dict[str, Any]) -> dict[str, Any]:
    return {"ProcessingOutputConfig": {"Outputs": list(given)}}


def cluster(**members: Any) -> dict[str, Any]:
    return {"ProcessingResources": {"ClusterConfig": {"VolumeSizeInGB": 1, **members}}}


def without(member: str, data: dict[str, Any]) -> dict[str, Any]:
    """An input or an output whose S3 part lacks a member."""
    return {
        name: {key: inner for key, inner in value.items() if key != member} if isinstance(value, dict) else value
        for name, value in data.items()
    }


MUST_BEGIN = "must begin with /opt/ml/processing/, and name a folder there"
BAD_JOBS = {
    "no instance type": (cluster(InstanceCount=1), "ProcessingResources.ClusterConfig.InstanceType is missing"),
    "no instance count": (
        cluster(InstanceType="ml.m5.large"), "ProcessingResources.ClusterConfig.InstanceCount is missing",
    ),
    "an input twice": (
        inputs(a_processing_input("a"), a_processing_input("a", LocalPath="/opt/ml/processing/b")),
        "ProcessingInputs: InputName = 'a' is given more than once",
    ),
    "two inputs in one folder": (
        inputs(a_processing_input("a"), a_processing_input("b", LocalPath="/opt/ml/processing/a/")),
        "ProcessingInputs: LocalPath = '/opt/ml/processing/a' is given more than once",
    ),
    "an output twice": (
        outputs(a_processing_output("a"), a_processing_output("a", LocalPath="/opt/ml/processing/b")),
        "ProcessingOutputConfig.Outputs: OutputName = 'a' is given more than once",
    ),
    "two outputs of one folder": (
        outputs(a_processing_output("a"), a_processing_output("b", LocalPath="/opt/ml/processing/a")),
        "ProcessingOutputConfig.Outputs: LocalPath = '/opt/ml/processing/a' is given more than once",
    ),
    "an input without a source": (inputs({"InputName": "a"}), "Input 'a': S3Input is missing"),
    "an output without a target": (outputs({"OutputName": "a"}), "Output 'a': S3Output is missing"),
    "an input without a path": (
        inputs(without("LocalPath", a_processing_input("a"))), "Input 'a': LocalPath is missing: give a folder below",
    ),
    "an output without a path": (
        outputs(without("LocalPath", a_processing_output("a"))),
        "Output 'a': LocalPath is missing: give a folder below",
    ),
    "an input elsewhere": (
        inputs(a_processing_input("a", LocalPath="/opt/ml/input/data")),
        f"Input 'a': LocalPath = '/opt/ml/input/data' {MUST_BEGIN}",
    ),
    "an input everywhere": (
        inputs(a_processing_input("a", LocalPath="/opt/ml/processing/")),
        f"Input 'a': LocalPath = '/opt/ml/processing/' {MUST_BEGIN}",
    ),
    "an input beside": (
        inputs(a_processing_input("a", LocalPath="/opt/ml/processing-b/c")),
        f"Input 'a': LocalPath = '/opt/ml/processing-b/c' {MUST_BEGIN}",
    ),
    "an output elsewhere": (
        outputs(a_processing_output("a", LocalPath="/etc")), f"Output 'a': LocalPath = '/etc' {MUST_BEGIN}",
    ),
    "a path that leads out": (
        inputs(a_processing_input("a", LocalPath="/opt/ml/processing/../../etc")), "cannot be a folder: a part of it",
    ),
    "a path with an empty part": (
        outputs(a_processing_output("a", LocalPath="/opt/ml/processing//x")), "cannot be a folder: a part of it",
    ),
    "an input that is not in S3": (
        inputs(a_processing_input("a", S3Uri="https://example.com/x")),
        "Input 'a': S3Uri = 'https://example.com/x' is not an S3 URI",
    ),
    "an output that is not in S3": (
        outputs(a_processing_output("a", S3Uri="https://example.com/x")),
        "Output 'a': S3Uri = 'https://example.com/x' is not an S3 URI",
    ),
    "Gzip without Pipe": (
        inputs(a_processing_input("a", S3CompressionType="Gzip")),
        "Input 'a': S3CompressionType = Gzip is possible with S3InputMode = Pipe only",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("members", "says"), BAD_JOBS.values(), ids=BAD_JOBS)
def test_a_job_that_makes_no_sense(server, members, says):
    code, message = refusal(server.create_processing_job, **a_processing_job("j", **members))
    assert code == "ValidationException"
    assert says in message
    assert jobs(server) == []


LIMITS = {
    "too long": ({"StoppingCondition": {"MaxRuntimeInSeconds": 777_601}}, "less than or equal to 777600"),
    "no time": ({"StoppingCondition": {"MaxRuntimeInSeconds": 0}}, "greater than or equal to 1"),
    "eleven inputs": (inputs(*(a_processing_input(f"i{n}") for n in range(11))), "length less than or equal to 10"),
    "eleven outputs": (outputs(*(a_processing_output(f"o{n}") for n in range(11))), "length less than or equal to 10"),
    "101 variables": ({"Environment": {f"v{n}": "" for n in range(101)}}, "length less than or equal to 100"),
    "a long variable": ({"Environment": {"a": "b" * 257}}, "length less than or equal to 256"),
    "a variable that is none": ({"Environment": {"a-b": "c"}}, "regular expression pattern"),
    "no instance": (cluster(InstanceType="ml.m5.large", InstanceCount=0), "greater than or equal to 1"),
    "an unknown type": (cluster(InstanceType="ml.x1.huge", InstanceCount=1), "enum value set"),
    "an unknown mode": (outputs(a_processing_output(S3UploadMode="Never")), "enum value set"),
}


@pytest.mark.parametrize(("members", "says"), LIMITS.values(), ids=LIMITS)
def test_the_models_limits_are_kept(server, members, says):
    code, message = refusal(server.create_processing_job, **a_processing_job("j", **members))
    assert code == "ValidationException"
    assert says in message


def test_an_output_may_be_the_folder_of_an_input(server):
    given = {**inputs(a_processing_input("a")), **outputs(a_processing_output("a"))}
    server.create_processing_job(**a_processing_job("j", **given))
    server.settle()
    (task,) = server.backend.tasks.values()
    assert task.inputs[0].path == task.outputs[0].path == "processing/a"


def test_what_the_application_manages_needs_no_path_of_its_own(server):
    own = {**without("LocalPath", a_processing_input("b")), "AppManaged": True}
    same = {**a_processing_input("c", LocalPath="/opt/ml/processing/a"), "AppManaged": True}
    server.create_processing_job(**a_processing_job("j", **inputs(a_processing_input("a"), own, same)))
    server.settle()
    (task,) = server.backend.tasks.values()
    assert [item.path for item in task.inputs] == ["processing/a"]


# ---- strict and lenient ----


def test_data_that_is_not_there_is_refused_at_the_call(server):
    server.server.context = replace(server.server.context, object_store=EmptyStore())
    code, message = refusal(server.create_processing_job, **a_processing_job("j", **inputs(a_processing_input())))
    assert code == "ValidationException"
    assert message.startswith('No S3 objects found under S3 URL "s3://bucket/data/" given in input data source.')
    assert ROLE in message
    own = {**a_processing_input(), "AppManaged": True}
    server.create_processing_job(**a_processing_job("own", **inputs(own)))
    assert jobs(server) == ["own"]


def test_an_image_that_cannot_be_run_is_refused_at_the_call(server):
    server.server.context = replace(server.server.context, image_problem=lambda uri: "it is not there")
    code, message = refusal(server.create_processing_job, **a_processing_job("j"))
    assert (code, message) == (
        "ValidationException",
        f"The image {IMAGE!r} cannot be used with the role {ROLE}: it is not there",
    )


def test_lenient_takes_all_of_it(tmp_path):
    server = Asked(tmp_path, validation="lenient")
    server.server.context = replace(
        server.server.context, object_store=EmptyStore(), image_problem=lambda uri: "not there"
    )
    server.create_processing_job(**a_processing_job("j", **inputs(a_processing_input())))
    assert jobs(server) == ["j"]
    server.close()
