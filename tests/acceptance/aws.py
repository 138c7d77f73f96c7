"""What a user of AWS has at hand: boto3's clients, made from environment variables alone, and a few habits."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.live import LiveServer, live_server

XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
BUCKET = "sagemaker-us-east-1-000000000000"
ROLE = "arn:aws:iam::000000000000:role/ClaryExecutionRole"


@contextlib.contextmanager
def aws(settings: str = "describe_wait_s = 10") -> Iterator[LiveServer]:
    """A server, and an environment with nothing of AWS in it but what `clary env` prints."""
    with live_server(settings) as server, pytest.MonkeyPatch.context() as patched:
        # What boto3.client() made for another server would be used for this one too.
        patched.setattr(boto3, "DEFAULT_SESSION", None)
        for name in list(os.environ):
            if name.startswith(("AWS_", "SAGEMAKER_", "CLARY_")):
                patched.delenv(name)
        for name, value in server.environment.items():
            patched.setenv(name, value)
        yield server


def client(service: str) -> Any:
    return boto3.Session().client(service)


def put(key: str, content: bytes | str) -> str:
    client("s3").put_object(Bucket=BUCKET, Key=key, Body=content)
    return f"s3://{BUCKET}/{key}"


def read(uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body: bytes = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def keys(prefix: str) -> list[str]:
    found = client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())
    return [item["Key"].removeprefix(prefix) for item in found]


def members(uri: str) -> dict[str, str]:
    """The files of a tar.gz in S3."""
    with tarfile.open(fileobj=io.BytesIO(read(uri))) as archive:
        files = [member for member in archive.getmembers() if member.isfile()]
        return {member.name.removeprefix("./"): archive.extractfile(member).read().decode() for member in files}  # type: ignore[union-attr]


def a_channel(name: str, uri: str, **source: str) -> dict[str, Any]:
    s3 = {"S3DataType": "S3Prefix", "S3Uri": uri, **source}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": s3}}


def start(name: str, script: str = "", **request: Any) -> None:
    """A training job: of XGBoost, or of a shell script in its image."""
    algorithm: dict[str, Any] = {"TrainingImage": XGBOOST, "TrainingInputMode": "File"}
    if script:
        put(f"code/{name}/run.sh", script)
        code = a_channel("code", f"s3://{BUCKET}/code/{name}/")
        request["InputDataConfig"] = [*request.get("InputDataConfig", ()), code]
        algorithm["ContainerEntrypoint"] = ["/bin/sh", "-eu", "/opt/ml/input/data/code/run.sh"]
    client("sagemaker").create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={**algorithm, **request.pop("AlgorithmSpecification", {})},
        RoleArn=ROLE,
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out", **request.pop("OutputDataConfig", {})},
        ResourceConfig={
            "InstanceType": "ml.m5.large",
            "InstanceCount": request.pop("InstanceCount", 1),
            "VolumeSizeInGB": 1,
        },
        StoppingCondition={"MaxRuntimeInSeconds": request.pop("MaxRuntimeInSeconds", 60)},
        **request,
    )


def ended(name: str) -> dict[str, Any]:
    """The job when it is over, as AWS's waiter finds it."""
    sagemaker = client("sagemaker")
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    job: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
    return job


def log(name: str) -> list[str]:
    """What all hosts of a job printed, in the order of time."""
    events = client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/"
    )["events"]
    return [event["message"] for event in events]
