"""Processing jobs as callers see them, beside what all jobs have in common: requests that are refused, Describe."""

from __future__ import annotations

from typing import Any

import pytest

from clary.core.tasks import Phase
from tests.context import EmptyObjectStore, a_processing_input, a_processing_job, a_processing_output
from tests.unit.client import Client, refusal


@pytest.fixture
def server(tmp_path):
    client = Client(tmp_path)
    yield client
    client.close()


def jobs(server: Client) -> list[str]:
    return [job["ProcessingJobName"] for job in server.list_processing_jobs()["ProcessingJobSummaries"]]


# ---- describing ----


def test_omitted_members_are_described_with_their_defaults(server):
    server.create_processing_job(
        **a_processing_job("j", **inputs(a_processing_input()), **outputs(a_processing_output()))
    )
    job = server.describe_processing_job(ProcessingJobName="j")
    (described,) = job["ProcessingInputs"]
    source = described["S3Input"]
    assert described["AppManaged"] is False
    assert {member: source[member] for member in source if member.startswith("S3")} == {
        "S3Uri": "s3://bucket/data/",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
        "S3CompressionType": "None",
    }
    assert job["ProcessingOutputConfig"]["Outputs"][0]["AppManaged"] is False


def test_a_job_without_inputs_has_none(server):
    server.create_processing_job(**a_processing_job("j"))
    assert "ProcessingInputs" not in server.describe_processing_job(ProcessingJobName="j")


@pytest.mark.parametrize("stopped", [False, True], ids=["failed", "stopped"])
def test_a_job_that_did_not_complete_keeps_its_message(server, stopped):
    server.create_processing_job(**a_processing_job("j"))
    server.settle()
    server.move("j", Phase.RUNNING)
    if stopped:
        server.stop_processing_job(ProcessingJobName="j")
        server.settle()
    server.move("j", Phase.EXITED, exit_code=1, failure="AlgorithmError: no such column", message="row 7")
    job = server.describe_processing_job(ProcessingJobName="j")
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Stopped" if stopped else "Failed", "row 7")


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
    assert server.backend.states == {}, "the task left nothing on the machine"


# ---- requests that the shapes allow and the operation refuses ----


def inputs(*items: dict[str, Any]) -> dict[str, Any]:
    return {"ProcessingInputs": list(items)}


def outputs(*items: dict[str, Any]) -> dict[str, Any]:
    return {"ProcessingOutputConfig": {"Outputs": list(items)}}


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


@pytest.mark.parametrize(("members", "text"), BAD_JOBS.values(), ids=BAD_JOBS)
def test_a_contradictory_request_is_refused(server, members, text):
    code, message = refusal(server.create_processing_job, **a_processing_job("j", **members))
    assert code == "ValidationException"
    assert text in message
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


@pytest.mark.parametrize(("members", "text"), LIMITS.values(), ids=LIMITS)
def test_the_models_limits_are_kept(server, members, text):
    code, message = refusal(server.create_processing_job, **a_processing_job("j", **members))
    assert code == "ValidationException"
    assert text in message


def test_an_output_may_be_the_folder_of_an_input(server):
    server.create_processing_job(
        **a_processing_job("j", **inputs(a_processing_input("a")), **outputs(a_processing_output("a")))
    )
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


def test_data_that_the_application_manages_need_not_exist(server):
    server.use(object_store=EmptyObjectStore())
    managed = {**a_processing_input(), "AppManaged": True}
    server.create_processing_job(**a_processing_job("j", **inputs(managed)))
    assert jobs(server) == ["j"]
