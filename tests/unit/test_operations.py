"""Training jobs and models as callers see them: what is refused and how, what Describe tells, what a task is given."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pytest

from clary.core.errors import ObjectStoreError
from clary.core.tasks import Metric, Phase
from clary.resources.jobs.status import FINISHED
from clary.resources.training import Status
from clary.testing.doubles import EverythingStore
from tests.context import IMAGE, ROLE, a_model, a_training_job
from tests.unit.asking import Asked, refusal

ARN = "arn:aws:sagemaker:us-east-1:000000000000"
MODEL = {"uploaded": {"model": "s3://bucket/out/j/output/model.tar.gz"}}


@pytest.fixture
def server(tmp_path):
    asked = Asked(tmp_path)
    yield asked
    asked.close()


def a_channel(name: str = "train", **source: str) -> dict[str, object]:
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/train", **source}},
    }


def jobs(server: Asked) -> list[str]:
    return [job["TrainingJobName"] for job in server.list_training_jobs()["TrainingJobSummaries"]]


# ---- describing ----


def test_a_job_that_was_just_asked_for(server):
    assert server.create_training_job(**a_training_job("J")) == {"TrainingJobArn": f"{ARN}:training-job/j"}
    job = server.describe_training_job(TrainingJobName="J")
    assert (job["TrainingJobName"], job["TrainingJobArn"]) == ("J", f"{ARN}:training-job/j")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("InProgress", "Starting")
    assert job["CreationTime"] == job["LastModifiedTime"] == server.clock.now()
    assert job["FinalMetricDataList"] == []
    (entry,) = job["SecondaryStatusTransitions"]
    # This machine has less than the type: Describe tells.
    assert entry["StatusMessage"].startswith("Starting the training job")
    assert "EndTime" not in entry
    absent = {"ModelArtifacts", "FailureReason", "TrainingStartTime", "TrainingEndTime", "TrainingTimeInSeconds"}
    assert not absent & set(job)


def test_an_instance_type_of_more_than_this_machine_has_is_told_so(server):
    resources = {"InstanceType": "ml.m5.24xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
    server.create_training_job(**a_training_job("j", ResourceConfig=resources))
    job = server.describe_training_job(TrainingJobName="j")
    message = job["SecondaryStatusTransitions"][0]["StatusMessage"]
    assert message == "Starting the training job (of ml.m5.24xlarge this machine gives 2 CPUs and 8.0 GiB)"


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
    assert server.backend.states == {}, "what the task left on the machine is gone"


def test_a_job_of_an_instant_took_a_second(server):
    server.create_training_job(**a_training_job("j"))
    server.settle()
    server.move("j", Phase.EXITED, exit_code=0)
    assert server.describe_training_job(TrainingJobName="j")["TrainingTimeInSeconds"] == 1


def test_last_modified_moves_with_each_change(server):
    server.create_training_job(**a_training_job("j"))
    server.settle()
    times = []
    for phase in (Phase.STAGING, Phase.RUNNING, Phase.EXITED):
        server.clock.advance(5)
        server.move("j", phase, exit_code=0)
        times.append(server.describe_training_job(TrainingJobName="j")["LastModifiedTime"])
    assert times == [server.clock.now() - timedelta(seconds=seconds) for seconds in (10, 5, 0)]


@pytest.mark.parametrize("stopping", [{}, {"StoppingCondition": {}}], ids=["absent", "empty"])
def test_a_time_limit_that_was_not_given_is_a_day(server, stopping):
    request = a_training_job("j")
    del request["StoppingCondition"]
    server.create_training_job(**request, **stopping)
    assert server.describe_training_job(TrainingJobName="j")["StoppingCondition"] == {"MaxRuntimeInSeconds": 86400}
    server.settle()
    (task,) = server.backend.tasks.values()
    assert task.max_runtime_s == 86400


def test_a_running_jobs_metrics_are_told_as_they_come(server):
    server.create_training_job(**a_training_job("j"))
    server.settle()
    at = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    server.move("j", Phase.RUNNING, metrics={"train:auc": Metric(0.9, at.timestamp())})
    job = server.describe_training_job(TrainingJobName="j")
    assert job["FinalMetricDataList"] == [{"MetricName": "train:auc", "Value": 0.9, "Timestamp": at}]


def test_the_built_in_algorithm_defines_its_own_metrics(server):
    """It has more than a response may hold: those that were seen come first."""
    server.create_training_job(**a_training_job("j"))
    server.settle()
    server.move("j", Phase.EXITED, exit_code=0, metrics={"validation:tweedie-nloglik": Metric(1.0, 1.0)})
    definitions = server.describe_training_job(TrainingJobName="j")["AlgorithmSpecification"]["MetricDefinitions"]
    assert len(definitions) == 40
    assert definitions[0]["Name"] == "validation:tweedie-nloglik"


def test_metric_definitions_of_ones_own_take_the_place_of_the_algorithms(server):
    algorithm = {
        "TrainingImage": IMAGE,
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "m", "Regex": "m=(.*)"}],
    }
    server.create_training_job(**a_training_job("j", AlgorithmSpecification=algorithm))
    told = server.describe_training_job(TrainingJobName="j")["AlgorithmSpecification"]
    assert told["MetricDefinitions"] == [{"Name": "m", "Regex": "m=(.*)"}]


def test_a_failed_job_says_why(server):
    server.create_training_job(**a_training_job("j"))
    server.settle()
    server.move("j", Phase.EXITED, exit_code=1, failure="AlgorithmError: no such column")
    job = server.describe_training_job(TrainingJobName="j")
    assert (job["TrainingJobStatus"], job["FailureReason"]) == ("Failed", "AlgorithmError: no such column")
    assert "ModelArtifacts" not in job


# ---- names ----


def test_a_name_that_is_taken(server):
    server.create_training_job(**a_training_job("j"))
    server.settle()
    server.move("j", Phase.EXITED, exit_code=0)
    assert refusal(server.create_training_job, **a_training_job("j")) == (
        "ResourceInUse",
        "Training job names must be unique within an AWS account and region, and a training job with this name "
        f"already exists ({ARN}:training-job/j)",
    )


def test_names_that_differ_by_case_are_two(server):
    for name in ("job", "Job", "JOB"):
        server.create_training_job(**a_training_job(name))
    assert jobs(server) == ["JOB", "Job", "job"]
    server.stop_training_job(TrainingJobName="Job")
    statuses = [
        server.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] for name in ("job", "Job", "JOB")
    ]
    assert statuses == ["InProgress", "Stopping", "InProgress"]


@pytest.mark.parametrize("verb", ["describe_training_job", "stop_training_job", "delete_training_job"])
def test_a_job_that_is_not_there(server, verb):
    assert refusal(getattr(server, verb), TrainingJobName="no") == (
        "ValidationException",
        "Requested resource not found.",
    )


# ---- stopping and deleting ----


def test_a_stop_is_seen_at_once_and_done_when_the_task_has_ended(server):
    server.create_training_job(**a_training_job("j"))
    server.settle()
    server.move("j", Phase.RUNNING)
    assert server.stop_training_job(TrainingJobName="j") == {}
    assert server.describe_training_job(TrainingJobName="j")["TrainingJobStatus"] == "Stopping"
    assert server.stop_training_job(TrainingJobName="j") == {}, "asked twice is asked once"
    server.settle()
    server.move("j", Phase.EXITED, exit_code=0, **MODEL)
    job = server.describe_training_job(TrainingJobName="j")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    told = [entry["Status"] for entry in job["SecondaryStatusTransitions"]]
    assert told == ["Starting", "Pending", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": MODEL["uploaded"]["model"]}, "what it had is kept"


def test_a_job_stopped_before_it_began_never_runs(server):
    server.create_training_job(**a_training_job("j"))
    server.stop_training_job(TrainingJobName="j")
    server.settle()
    assert server.describe_training_job(TrainingJobName="j")["TrainingJobStatus"] == "Stopped"
    assert server.backend.launched == {}


@pytest.mark.parametrize("status", FINISHED)
def test_what_has_ended_cannot_be_stopped(server, status):
    server.create_training_job(**a_training_job("j"))
    server.force("training-job", "j", status=status)
    code, message = refusal(server.stop_training_job, TrainingJobName="j")
    assert code == "ValidationException"
    assert message == f"The request was rejected because the training job is in status {status}."


@pytest.mark.parametrize("status", FINISHED)
def test_what_has_ended_can_be_deleted_and_frees_its_name(server, status):
    server.create_training_job(**a_training_job("j"))
    server.force("training-job", "j", status=status)
    assert server.delete_training_job(TrainingJobName="j") == {}
    server.settle()
    assert jobs(server) == []
    server.create_training_job(**a_training_job("j"))


@pytest.mark.parametrize("status", [Status.IN_PROGRESS, Status.STOPPING])
def test_what_runs_cannot_be_deleted(server, status):
    server.create_training_job(**a_training_job("j"))
    server.force("training-job", "j", status=status)
    code, message = refusal(server.delete_training_job, TrainingJobName="j")
    assert code == "ResourceInUse"
    assert f"in status {status}" in message
    assert jobs(server) == ["j"]


# ---- requests that the shapes allow and that make no sense ----

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


@pytest.mark.parametrize(("members", "says"), BAD_JOBS.values(), ids=BAD_JOBS)
def test_a_job_that_makes_no_sense(server, members, says):
    code, message = refusal(server.create_training_job, **a_training_job("j", **members))
    assert code == "ValidationException"
    assert says in message
    assert jobs(server) == []


# ---- strict and lenient ----


class EmptyStore(EverythingStore):
    def exists(self, uri):
        return False

    def list(self, prefix):
        return iter(())


class BrokenStore(EverythingStore):
    def exists(self, uri):
        raise ObjectStoreError("connection refused")

    def list(self, prefix):
        raise ObjectStoreError("connection refused")


def with_objects(server: Asked, objects: EverythingStore) -> None:
    server.server.context = dataclasses.replace(server.server.context, object_store=objects)


def test_data_that_is_not_there_is_refused_at_the_call(server):
    with_objects(server, EmptyStore())
    code, message = refusal(server.create_training_job, **a_training_job("j", InputDataConfig=[a_channel()]))
    assert code == "ValidationException"
    assert message == (
        'No S3 objects found under S3 URL "s3://bucket/train" given in input data source. Please ensure that the '
        "bucket exists in the selected region (us-east-1), that objects exist under that S3 prefix, and that the role "
        f'"{ROLE}" has "s3:ListBucket" permissions on bucket "bucket".'
    )
    manifest = a_channel(S3DataType="ManifestFile", S3Uri="s3://bucket/list")
    assert (
        'under S3 URL "s3://bucket/list"'
        in refusal(server.create_training_job, **a_training_job("j", InputDataConfig=[manifest]))[1]
    )
    assert jobs(server) == []


def test_model_data_that_is_not_there_is_refused_at_the_call(server):
    with_objects(server, EmptyStore())
    assert refusal(server.create_model, **a_model("m")) == (
        "ValidationException",
        "Could not find model data at s3://bucket/model.tar.gz.",
    )
    assert server.list_models() == {"Models": []}


def test_an_s3_that_does_not_answer_is_told_as_such(server):
    with_objects(server, BrokenStore())
    code, message = refusal(server.create_training_job, **a_training_job("j", InputDataConfig=[a_channel()]))
    assert (code, message) == (
        "ValidationException",
        "Channel 'train': S3Uri = 's3://bucket/train' cannot be read: connection refused",
    )
    code, message = refusal(server.create_model, **a_model("m"))
    assert message.startswith("Could not access model data at s3://bucket/model.tar.gz. Please ensure that the role")


def test_an_image_that_cannot_be_run_is_refused_at_the_call(server):
    server.server.context = dataclasses.replace(server.server.context, image_problem=lambda uri: "no engine")
    for refused in (
        refusal(server.create_training_job, **a_training_job("j")),
        refusal(server.create_model, **a_model("m")),
    ):
        assert refused == ("ValidationException", f"The image '{IMAGE}' cannot be used with the role {ROLE}: no engine")


def test_lenient_takes_what_is_not_there(tmp_path):
    server = Asked(tmp_path, validation="lenient")
    server.server.context = dataclasses.replace(
        server.server.context, image_problem=lambda uri: "no engine", object_store=EmptyStore()
    )
    server.create_training_job(**a_training_job("j", InputDataConfig=[a_channel()]))
    server.create_model(**a_model("m"))
    assert (jobs(server), len(server.list_models()["Models"])) == (["j"], 1)
    server.close()


@pytest.mark.parametrize(
    "role", [ROLE, "arn:aws:iam::123456789012:role/service-role/Any-Role_1", "arn:aws-cn:iam::000000000000:role/x"]
)
def test_every_well_formed_role_is_accepted(server, role):
    server.create_training_job(**a_training_job("j", RoleArn=role))
    assert server.describe_training_job(TrainingJobName="j")["RoleArn"] == role


# ---- what a task is given ----


def task_of(server: Asked, **members: object):
    server.create_training_job(**a_training_job("j", **members))
    server.settle()
    (task,) = server.backend.tasks.values()
    return task


def test_hyperparameters_are_kept_to_the_letter(server):
    given = {"sagemaker_program": '"train.py"', "layers": "[1, 2]", "empty": "", "words": "ключ\t\"'\\", "eta": "0.10"}
    task = task_of(server, HyperParameters=given)
    assert json.loads(task.files["input/config/hyperparameters.json"]) == given


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
    assert [given.uri for given in task.inputs] == ["s3://b/checkpoints/"]


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


def test_a_task_knows_whose_it_is_whatever_the_request_says(server):
    task = task_of(server, Environment={"A": "b", "TRAINING_JOB_NAME": "another"})
    assert task.environment["A"] == "b"
    assert task.environment["TRAINING_JOB_NAME"] == "j"
    assert task.environment["TRAINING_JOB_ARN"] == f"{ARN}:training-job/j"


# ---- models ----


def test_a_model_that_is_taken(server):
    server.create_model(**a_model("M"))
    code, message = refusal(server.create_model, **a_model("M"))
    assert code == "ValidationException"
    # The SDKs look for either phrase.
    assert f'Cannot create already existing model "{ARN}:model/m".' in message
    assert "already exists" in message


@pytest.mark.parametrize("verb", ["describe_model", "delete_model"])
def test_a_model_that_is_not_there(server, verb):
    assert refusal(getattr(server, verb), ModelName="No") == (
        "ValidationException",
        f'Could not find model "{ARN}:model/no".',
    )


CONTAINER = {"Image": IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz"}
SOURCE = {"S3DataSource": {"S3Uri": "s3://b/m/", "S3DataType": "S3Prefix", "CompressionType": "None"}}
BAD_MODELS = {
    "no container": ({"PrimaryContainer": None}, "Neither PrimaryContainer nor Containers is given"),
    "both forms": ({"Containers": [CONTAINER]}, "Both PrimaryContainer and Containers are given"),
    "no image": ({"PrimaryContainer": {"ModelDataUrl": "s3://b/m"}}, "PrimaryContainer.Image is missing"),
    "data twice": (
        {"PrimaryContainer": {**CONTAINER, "ModelDataSource": SOURCE}},
        "Both ModelDataUrl and ModelDataSource are given",
    ),
    "data that is not in S3": (
        {"PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "https://example.com/m"}},
        "ModelDataUrl = 'https://example.com/m' is not an S3 URI",
    ),
    "no image in a pipeline": (
        {"PrimaryContainer": None, "Containers": [CONTAINER, {"ModelDataUrl": "s3://b/m"}]},
        "Containers[1].Image is missing",
    ),
    "data twice in a pipeline": (
        {"PrimaryContainer": None, "Containers": [{**CONTAINER, "ModelDataSource": SOURCE}, CONTAINER]},
        "Both ModelDataUrl and ModelDataSource are given in Containers[0]",
    ),
    "a name for one of two": (
        {"PrimaryContainer": None, "Containers": [{**CONTAINER, "ContainerHostname": "a"}, CONTAINER]},
        "ContainerHostname is given for some containers",
    ),
    "one name twice": (
        {"PrimaryContainer": None, "Containers": [{**CONTAINER, "ContainerHostname": "a"}] * 2},
        "ContainerHostname 'a' is given twice",
    ),
    "data of the second that is not in S3": (
        {"PrimaryContainer": None, "Containers": [CONTAINER, {"Image": IMAGE, "ModelDataUrl": "https://e.com/m"}]},
        "ModelDataUrl = 'https://e.com/m' is not an S3 URI",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("members", "says"), BAD_MODELS.values(), ids=BAD_MODELS)
def test_a_model_that_makes_no_sense(server, members, says):
    request = {key: value for key, value in a_model("m", **members).items() if value is not None}
    code, message = refusal(server.create_model, **request)
    assert code == "ValidationException"
    assert says in message
    assert server.list_models() == {"Models": []}


def test_a_models_name_is_free_again_when_it_is_deleted(server):
    server.create_model(**a_model("m"))
    assert server.delete_model(ModelName="m") == {}
    server.create_model(**a_model("m"))


def test_a_list_of_one_container_is_a_model_too(server):
    server.create_model(ModelName="m", Containers=[CONTAINER])
    assert server.describe_model(ModelName="m")["Containers"] == [CONTAINER]
