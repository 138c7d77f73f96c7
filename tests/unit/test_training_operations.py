"""Training jobs as callers see them, beside what all jobs have in common: refusals, Describe, the task."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from clary.core.tasks import Metric, Phase
from tests.context import IMAGE, EmptyObjectStore, a_training_job
from tests.unit.client import Client, refusal

ARN = "arn:aws:sagemaker:us-east-1:000000000000"
MODEL = {"uploaded": {"model": "s3://bucket/out/j/output/model.tar.gz"}}


@pytest.fixture
def server(tmp_path):
    client = Client(tmp_path)
    yield client
    client.close()


def a_channel(name: str = "train", **source: str) -> dict[str, object]:
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/train", **source}},
    }


def jobs(server: Client) -> list[str]:
    return [job["TrainingJobName"] for job in server.list_training_jobs()["TrainingJobSummaries"]]


# ---- describing ----


def test_a_new_job_has_one_transition_and_no_metrics(server):
    server.create_training_job(**a_training_job("j"))
    job = server.describe_training_job(TrainingJobName="j")
    assert (job["SecondaryStatus"], job["FinalMetricDataList"]) == ("Starting", [])
    (entry,) = job["SecondaryStatusTransitions"]
    assert (entry["Status"], entry["StatusMessage"].partition(" (")[0]) == ("Starting", "Starting the training job")
    assert "EndTime" not in entry


def test_a_stopped_job_shows_the_stop_among_its_stages_and_keeps_its_model(server):
    server.create_training_job(**a_training_job("j"))
    server.settle()
    server.move("j", Phase.RUNNING)
    server.stop_training_job(TrainingJobName="j")
    server.settle()
    server.move("j", Phase.EXITED, exit_code=0, **MODEL)
    job = server.describe_training_job(TrainingJobName="j")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    stages = [entry["Status"] for entry in job["SecondaryStatusTransitions"]]
    assert stages == ["Starting", "Pending", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": MODEL["uploaded"]["model"]}


def test_the_times_of_a_job_that_ran(server):
    server.create_training_job(**a_training_job("j"))
    server.settle()
    server.clock.advance(100)
    server.move("j", Phase.STAGING)
    began = server.clock.now()
    server.clock.advance(20)
    server.move("j", Phase.RUNNING)
    server.clock.advance(30)
    server.move("j", Phase.EXITED, exit_code=0, **MODEL)
    job = server.describe_training_job(TrainingJobName="j")
    assert job["TrainingStartTime"] == began, "waiting for room is not training"
    assert job["TrainingEndTime"] == began + timedelta(seconds=50)
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] == 50
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": "s3://bucket/out/j/output/model.tar.gz"}
    (summary,) = server.list_training_jobs()["TrainingJobSummaries"]
    assert summary["TrainingEndTime"] == job["TrainingEndTime"]
    assert server.backend.states == {}, "the task left nothing on the machine"


def test_a_job_that_took_no_time_is_described_with_a_second(server):
    server.create_training_job(**a_training_job("j"))
    server.settle()
    server.move("j", Phase.EXITED, exit_code=0)
    assert server.describe_training_job(TrainingJobName="j")["TrainingTimeInSeconds"] == 1


def test_a_running_jobs_metrics_are_described_as_they_come(server):
    server.create_training_job(**a_training_job("j"))
    server.settle()
    at = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    server.move("j", Phase.RUNNING, metrics={"train:auc": Metric(0.9, at.timestamp())})
    job = server.describe_training_job(TrainingJobName="j")
    assert job["FinalMetricDataList"] == [{"MetricName": "train:auc", "Value": 0.9, "Timestamp": at}]


def test_the_built_in_algorithm_defines_its_own_metrics(server):
    """It has more than a response may hold: those that were printed come first."""
    server.create_training_job(**a_training_job("j"))
    server.settle()
    server.move("j", Phase.EXITED, exit_code=0, metrics={"validation:tweedie-nloglik": Metric(1.0, 1.0)})
    definitions = server.describe_training_job(TrainingJobName="j")["AlgorithmSpecification"]["MetricDefinitions"]
    assert len(definitions) == 40
    assert definitions[0]["Name"] == "validation:tweedie-nloglik"


def test_a_requests_metric_definitions_replace_the_algorithms(server):
    algorithm = {
        "TrainingImage": IMAGE,
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "m", "Regex": "m=(.*)"}],
    }
    server.create_training_job(**a_training_job("j", AlgorithmSpecification=algorithm))
    algorithm = server.describe_training_job(TrainingJobName="j")["AlgorithmSpecification"]
    assert algorithm["MetricDefinitions"] == [{"Name": "m", "Regex": "m=(.*)"}]


# ---- requests that the shapes allow and the operation refuses ----

BAD_JOBS = {
    "no image": (
        {"AlgorithmSpecification": {"TrainingInputMode": "File"}},
        "AlgorithmSpecification.TrainingImage is missing",
    ),
    "no instance type": ({"ResourceConfig": {"InstanceCount": 1}}, "ResourceConfig.InstanceType is missing"),
    "no instance count": (
        {"ResourceConfig": {"InstanceType": "ml.m5.large"}},
        "ResourceConfig.InstanceCount is missing",
    ),
    "no instance": (
        {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 0}},
        "ResourceConfig.InstanceCount = 0: a training job needs at least 1",
    ),
    "a limit beyond four weeks": (
        {"StoppingCondition": {"MaxRuntimeInSeconds": 2_419_201}},
        "StoppingCondition.MaxRuntimeInSeconds = 2419201: must be at most 2419200",
    ),
    "spot without a wait": (
        {"EnableManagedSpotTraining": True},
        "StoppingCondition.MaxWaitTimeInSeconds must be given, and be at least MaxRuntimeInSeconds",
    ),
    "spot with too short a wait": (
        {
            "EnableManagedSpotTraining": True,
            "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59},
        },
        "StoppingCondition.MaxWaitTimeInSeconds must be given, and be at least MaxRuntimeInSeconds",
    ),
    "a wait without spot": (
        {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}},
        "MaxWaitTimeInSeconds is given without EnableManagedSpotTraining",
    ),
    "a channel twice": (
        {"InputDataConfig": [a_channel(), a_channel("b"), a_channel()]},
        "InputDataConfig names channel 'train' more than once",
    ),
    "a channel called ..": ({"InputDataConfig": [a_channel("..")]}, "ChannelName '..' cannot be a directory"),
    "a channel without a source": (
        {"InputDataConfig": [{"ChannelName": "train", "DataSource": {}}]},
        "Channel 'train': DataSource.S3DataSource is missing",
    ),
    "data that is not in S3": (
        {"InputDataConfig": [a_channel(S3Uri="https://example.com/x")]},
        "Channel 'train': S3Uri = 'https://example.com/x' is not an S3 URI",
    ),
    "output that is not in S3": (
        {"OutputDataConfig": {"S3OutputPath": "https://example.com/x"}},
        "OutputDataConfig.S3OutputPath = 'https://example.com/x' is not an S3 URI",
    ),
    "checkpoints that are not in S3": (
        {"CheckpointConfig": {"S3Uri": "https://example.com/x"}},
        "CheckpointConfig.S3Uri = 'https://example.com/x' is not an S3 URI",
    ),
    "checkpoints elsewhere": (
        {"CheckpointConfig": {"S3Uri": "s3://bucket/c", "LocalPath": "/etc"}},
        "CheckpointConfig.LocalPath = '/etc': Clary keeps checkpoints in /opt/ml/checkpoints",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("members", "text"), BAD_JOBS.values(), ids=BAD_JOBS)
def test_a_contradictory_request_is_refused(server, members, text):
    code, message = refusal(server.create_training_job, **a_training_job("j", **members))
    assert code == "ValidationException"
    assert text in message
    assert jobs(server) == []


def test_a_manifest_that_does_not_exist_is_refused_at_the_call(server):
    server.use(object_store=EmptyObjectStore())
    manifest = a_channel(S3DataType="ManifestFile", S3Uri="s3://bucket/list")
    _, message = refusal(server.create_training_job, **a_training_job("j", InputDataConfig=[manifest]))
    assert 'under S3 URL "s3://bucket/list"' in message
    assert jobs(server) == []


# ---- the task ----


def task_of(server: Client, **members: object):
    server.create_training_job(**a_training_job("j", **members))
    server.settle()
    (task,) = server.backend.tasks.values()
    return task


def test_hyperparameters_are_kept_to_the_letter(server):
    hyperparameters = {
        "sagemaker_program": '"train.py"',
        "layers": "[1, 2]",
        "empty": "",
        "words": "ключ\t\"'\\",
        "eta": "0.10",
    }
    task = task_of(server, HyperParameters=hyperparameters)
    assert json.loads(task.files["input/config/hyperparameters.json"]) == hyperparameters


def test_a_channels_configuration_has_the_keys_that_containers_read(server):
    channels = [a_channel(), {**a_channel("b", S3DataDistributionType="ShardedByS3Key"), "ContentType": "text/csv"}]
    task = task_of(server, InputDataConfig=channels)
    common = {"TrainingInputMode": "File", "RecordWrapperType": "None"}
    assert json.loads(task.files["input/config/inputdataconfig.json"]) == {
        "train": {**common, "S3DistributionType": "FullyReplicated"},
        "b": {**common, "S3DistributionType": "ShardedByS3Key", "ContentType": "text/csv"},
    }


def test_without_channels_and_hyperparameters_the_files_are_there(server):
    task = task_of(server)
    assert task.files["input/config/hyperparameters.json"] == task.files["input/config/inputdataconfig.json"] == "{}"


def test_hosts_are_sorted_as_text(server):
    task = task_of(server, ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 11, "VolumeSizeInGB": 1})
    assert task.hosts == tuple(f"algo-{number}" for number in range(1, 12))
    config = json.loads(task.host_files["input/config/resourceconfig.json"].replace("{host}", "algo-2"))
    assert config["hosts"][:4] == ["algo-1", "algo-10", "algo-11", "algo-2"]
    assert config["current_host"] == "algo-2"
    assert config["network_interface_name"] == "{network_interface}"  # the backend's to fill in


def test_model_and_data_go_below_the_jobs_name_and_checkpoints_do_not(server):
    task = task_of(
        server, OutputDataConfig={"S3OutputPath": "s3://b/out/"}, CheckpointConfig={"S3Uri": "s3://b/checkpoints"}
    )
    assert [output.uri for output in task.outputs] == [
        "s3://b/out/j/output/model.tar.gz",
        "s3://b/out/j/output/output.tar.gz",
        "s3://b/checkpoints/",
    ]
    assert [item.uri for item in task.inputs] == ["s3://b/checkpoints/"]


def test_without_compression_the_files_lie_below_a_prefix(server):
    task = task_of(server, OutputDataConfig={"S3OutputPath": "s3://b/out", "CompressionType": "NONE"})
    assert [(output.uri, output.archive) for output in task.outputs] == [
        ("s3://b/out/j/output/model/", False),
        ("s3://b/out/j/output/data/", False),
    ]


@pytest.mark.parametrize(
    ("members", "entrypoint", "arguments"),
    [
        ({}, (), ()),
        ({"ContainerEntrypoint": ["/bin/bash"]}, ("/bin/bash",), ()),
        ({"ContainerArguments": ["-c", "true"]}, (), ("-c", "true")),
    ],
)
def test_entrypoint_and_arguments_go_to_the_task_as_given(server, members, entrypoint, arguments):
    algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": "File", **members}
    task = task_of(server, AlgorithmSpecification=algorithm)
    assert (task.command, task.entrypoint, task.arguments) == ("train", entrypoint, arguments)


def test_a_task_has_its_jobs_name_whatever_the_request_sets(server):
    task = task_of(server, Environment={"A": "b", "TRAINING_JOB_NAME": "another"})
    assert task.environment["A"] == "b"
    assert task.environment["TRAINING_JOB_NAME"] == "j"
    assert task.environment["TRAINING_JOB_ARN"] == f"{ARN}:training-job/j"
