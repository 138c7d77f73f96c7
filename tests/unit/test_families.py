"""For every family: its statuses are AWS's, and in every status a caller gets answers that fit their shapes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from clary.core.decisions import ERASED, NoStatus
from clary.core.tasks import Cause, Metric, Phase
from clary.resources import FAMILIES
from clary.resources.jobs.status import FINISHED
from tests.context import (
    IMAGE,
    ROLE,
    a_config,
    a_model,
    a_processing_input,
    a_processing_job,
    a_processing_output,
    a_training_job,
)
from tests.unit.client import SAGEMAKER, Client

NAME = "a-Thing-1"
VPC = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
CAPTURE = {
    "EnableCapture": False,
    "InitialSamplingPercentage": 10,
    "DestinationS3Uri": "s3://b/c",
    "CaptureOptions": [{"CaptureMode": "Input"}],
}
RULE = {"RuleConfigurationName": "r", "RuleEvaluatorImage": IMAGE}


def a_full_training_job() -> dict[str, Any]:
    """Every member that is kept and described."""
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://b/train", "S3DataDistributionType": "ShardedByS3Key"}
    return a_training_job(
        NAME,
        HyperParameters={"num_round": "5"},
        AlgorithmSpecification={
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "m", "Regex": "m=(.*)"}],
            "ContainerEntrypoint": ["/bin/bash"],
            "ContainerArguments": ["-c", "true"],
        },
        InputDataConfig=[
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": source},
                "ContentType": "text/csv",
                "CompressionType": "None",
                "ShuffleConfig": {"Seed": 1},
            }
        ],
        OutputDataConfig={"S3OutputPath": "s3://b/out", "KmsKeyId": "k"},
        VpcConfig=VPC,
        StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120},
        Tags=[{"Key": "k", "Value": "v"}],
        EnableNetworkIsolation=True,
        EnableInterContainerTrafficEncryption=True,
        EnableManagedSpotTraining=True,
        CheckpointConfig={"S3Uri": "s3://b/checkpoints"},
        DebugHookConfig={"S3OutputPath": "s3://b/debug"},
        DebugRuleConfigurations=[RULE],
        TensorBoardOutputConfig={"S3OutputPath": "s3://b/board"},
        ExperimentConfig={"TrialName": "t"},
        ProfilerConfig={"S3OutputPath": "s3://b/profile"},
        ProfilerRuleConfigurations=[RULE],
        Environment={"A": "b"},
        RetryStrategy={"MaximumRetryAttempts": 1},
        RemoteDebugConfig={"EnableRemoteDebug": False},
        InfraCheckConfig={"EnableInfraCheck": False},
    )


def a_full_processing_job() -> dict[str, Any]:
    """Every member that is kept and described."""
    source = {"S3InputMode": "File", "S3DataDistributionType": "ShardedByS3Key", "S3CompressionType": "None"}
    return a_processing_job(
        NAME,
        ProcessingInputs=[
            {**a_processing_input("data", **source), "AppManaged": False},
            {**a_processing_input("own"), "AppManaged": True},
        ],
        ProcessingOutputConfig={"Outputs": [a_processing_output(S3UploadMode="Continuous")], "KmsKeyId": "k"},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
        AppSpecification={"ImageUri": IMAGE, "ContainerEntrypoint": ["/bin/sh"], "ContainerArguments": ["-c", "true"]},
        Environment={"A": "b"},
        NetworkConfig={
            "EnableInterContainerTrafficEncryption": True,
            "EnableNetworkIsolation": True,
            "VpcConfig": VPC,
        },
        ExperimentConfig={"ExperimentName": "e", "TrialName": "t", "TrialComponentDisplayName": "d", "RunName": "r"},
        Tags=[{"Key": "k", "Value": "v"}],
    )


def create_job(server: Client) -> None:
    server.create_training_job(**a_full_training_job())


def create_processing_job(server: Client) -> None:
    server.create_processing_job(**a_full_processing_job())


def create_model(server: Client) -> None:
    server.create_model(**a_model(NAME, VpcConfig=VPC, EnableNetworkIsolation=True, Tags=[{"Key": "k", "Value": "v"}]))


def create_config(server: Client) -> None:
    create_model(server)
    more = {"DataCaptureConfig": CAPTURE, "KmsKeyId": "k", "ExecutionRoleArn": ROLE, "VpcConfig": VPC}
    server.create_endpoint_config(**a_config(NAME, NAME, count=2, weights=(0.0, 0.5)), **more)


def create_endpoint(server: Client) -> None:
    create_config(server)
    server.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)


# kind -> the function that creates a resource of it, and its noun in the names of operations
SAMPLES: dict[str, tuple[Callable[[Client], None], str]] = {
    "training-job": (create_job, "TrainingJob"),
    "processing-job": (create_processing_job, "ProcessingJob"),
    "model": (create_model, "Model"),
    "endpoint-config": (create_config, "EndpointConfig"),
    "endpoint": (create_endpoint, "Endpoint"),
}

EACH = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.kind)
IN_EACH_STATUS = pytest.mark.parametrize(
    ("family", "status"),
    [(family, status) for family in FAMILIES for status in (list(family.status) or [""])],
    ids=lambda value: getattr(value, "kind", value),
)


@pytest.fixture
def server(tmp_path):
    client = Client(tmp_path)
    yield client
    client.close()


def test_each_family_has_a_sample():
    assert set(SAMPLES) == {family.kind for family in FAMILIES}


@EACH
def test_statuses_are_those_of_awss_model(family):
    if family.status is not NoStatus:
        assert set(family.status) <= set(SAGEMAKER.shapes[family.status.__name__]["enum"])


@EACH
def test_transitions_lead_from_each_status_to_statuses(family):
    assert set(family.transitions) == set(family.status)
    assert {target for targets in family.transitions.values() for target in targets} <= {*family.status, ERASED}


@EACH
def test_a_new_record_has_the_first_status(family, server):
    create, _ = SAMPLES[family.kind]
    create(server)
    assert server.record(family.kind, NAME).status == next(iter(family.transitions), "")


@EACH
def test_operations_are_of_the_model(family):
    assert set(family.operations) <= set(SAGEMAKER.operations)


@EACH
def test_what_can_be_created_can_be_described_listed_and_deleted(family):
    _, noun = SAMPLES[family.kind]
    assert {f"Create{noun}", f"Describe{noun}", f"List{noun}s", f"Delete{noun}"} <= set(family.operations)


@EACH
def test_its_arn_is_one_that_tags_go_to(family, server):
    create, noun = SAMPLES[family.kind]
    create(server)
    arn = server.call(f"Describe{noun}", {f"{noun}Name": NAME})[f"{noun}Arn"]
    assert arn == f"arn:aws:sagemaker:us-east-1:000000000000:{family.kind}/{NAME.lower()}"
    server.add_tags(ResourceArn=arn, Tags=[{"Key": "new", "Value": ""}])
    assert {"Key": "new", "Value": ""} in server.list_tags(ResourceArn=arn)["Tags"]


@IN_EACH_STATUS
def test_answers_fit_their_shapes_in_every_status(family, status, server):
    create, noun = SAMPLES[family.kind]
    create(server)
    server.force(family.kind, NAME, status=status, reason="why" if status == "Failed" else "")
    described = server.call(f"Describe{noun}", {f"{noun}Name": NAME})
    assert described[f"{noun}Name"] == NAME
    assert described.get(f"{noun}Status", "") == status
    assert described.get("FailureReason", "") == ("why" if status == "Failed" else "")
    listed = server.call(f"List{noun}s", {})
    (summary,) = next(value for value in listed.values() if isinstance(value, list))
    assert summary == {member: described[member] for member in summary}


@EACH
def test_a_request_is_described_as_it_was_sent(family, server):
    """But for tags, every member of a Create that Describe has too is as it was sent."""
    create, noun = SAMPLES[family.kind]
    sent = {}
    call = server.call
    server.call = lambda operation, request: (sent.update({operation: request}), call(operation, request))[1]
    create(server)
    described = call(f"Describe{noun}", {f"{noun}Name": NAME})
    members = SAGEMAKER.shapes[SAGEMAKER.operations[f"Describe{noun}"].output]["members"]
    for member, value in sent[f"Create{noun}"].items():
        if member in members:
            assert _within(value, described[member]), member


def _within(sent: Any, described: Any) -> bool:
    """Whether all that was sent is there; defaults may have joined it."""
    if isinstance(sent, dict):
        return all(key in described and _within(value, described[key]) for key, value in sent.items())
    if isinstance(sent, list):
        return len(sent) == len(described) and all(map(_within, sent, described))
    return bool(sent == described)


# ---- the history of a training job, as its SecondaryStatusTransitions show it ----

MODEL = {"uploaded": {"model": "s3://b/out/model.tar.gz"}}
HISTORIES = {
    "normal": (
        [(Phase.STAGING, {}), (Phase.RUNNING, {}), (Phase.COLLECTING, {}), (Phase.EXITED, {"exit_code": 0, **MODEL})],
        ["Starting", "Pending", "Downloading", "Training", "Uploading", "Completed"],
    ),
    "bad exit": (
        [(Phase.STAGING, {}), (Phase.RUNNING, {}), (Phase.EXITED, {"exit_code": 1, "failure": "AlgorithmError: "})],
        ["Starting", "Pending", "Downloading", "Training", "Failed"],
    ),
    "past its time": (
        [(Phase.RUNNING, {}), (Phase.EXITED, {"cause": Cause.TIME_LIMIT, "exit_code": 143, **MODEL})],
        ["Starting", "Pending", "Downloading", "Training", "Uploading", "MaxRuntimeExceeded"],
    ),
    "lost and tried again": (
        [(Phase.RUNNING, {}), (Phase.LOST, {}), (Phase.RUNNING, {}), (Phase.EXITED, {"exit_code": 0, **MODEL})],
        [
            *("Starting", "Pending", "Downloading", "Training", "Restarting"),
            *("Starting", "Pending", "Downloading", "Training", "Uploading", "Completed"),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("steps", "statuses"), HISTORIES.values(), ids=HISTORIES)
def test_a_training_jobs_secondary_statuses_are_those_of_awss_model(steps, statuses, server):
    create_job(server)
    server.settle()
    for phase, changes in steps:
        server.clock.advance(10)
        server.move(NAME, phase, metrics={"m": Metric(0.5, server.clock.now().timestamp())}, **changes)
        entries = server.describe_training_job(TrainingJobName=NAME)["SecondaryStatusTransitions"]
        assert all(entry["StatusMessage"] for entry in entries)
        for entry, following in itertools.pairwise(entries):
            assert entry["EndTime"] == following["StartTime"] >= entry["StartTime"]
    assert [entry["Status"] for entry in entries] == statuses
    assert set(statuses) <= set(SAGEMAKER.shapes["SecondaryStatus"]["enum"])
    job = server.describe_training_job(TrainingJobName=NAME)
    assert job["SecondaryStatus"] == statuses[-1]
    if job["TrainingJobStatus"] in FINISHED:
        assert "EndTime" in entries[-1]
        assert job["TrainingEndTime"] > job["TrainingStartTime"]
