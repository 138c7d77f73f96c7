"""The task that a processing job is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from clary.core.decisions import Do, Launch, Seen
from clary.core.records import Record
from clary.core.tasks import Input, Output, Task
from clary.resources.processing.family import FAMILY
from tests.context import a_processing_input, a_processing_job, a_processing_output

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ARN = "arn:aws:sagemaker:us-east-1:000000000000:processing-job/p"


def a_job(**members: Any) -> Record:
    return Record(
        kind="processing-job",
        name="p",
        uid="0123456789ab",
        status="InProgress",
        detail="Starting",
        spec=a_processing_job("p", **members),
        created=NOW,
        modified=NOW,
        state={"version": 2, "arn": ARN, "resources": {"cpus": 2.0, "memory_mib": 8192, "gpus": 0}},
    )


def launched(job: Record) -> Task:
    match FAMILY.decide(job, Seen(), NOW):
        case Do(Launch(task)):
            return task
        case other:
            pytest.fail(f"decided {other}")


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
    config = json.loads(text)
    assert config == {
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
