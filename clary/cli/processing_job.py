"""A recipe as a processing job: what lies here is brought to S3, what was made is brought back, the log is shown."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from clary.cli.process import ProcessingFailed
from clary.connection import environment, running_settings

IMAGE = "clary/data:1"
GROUP = "/aws/sagemaker/ProcessingJobs"
_ROOT = "/opt/ml/processing"
_LOOK_AGAIN_S = 0.2


@dataclass(frozen=True)
class Job:
    """What is asked of the server; arguments are those of clary.data.job."""

    name: str
    instance_type: str
    instances: int
    arguments: tuple[str, ...]


def new_name() -> str:
    return f"process-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"[:-3]


def run(job: Job, recipe: str, table: str, output: str, home: Path | None, as_json: bool) -> None:
    """Until the job is done. Raises ProcessingFailed with the job's reason, or where no server answers."""
    server = Server(home)
    try:
        made = server.process(job, recipe, table, output, quiet=as_json)
    except server.unreachable:
        raise ProcessingFailed("no server answers: start it with `clary up --detach`, or use --here") from None
    except server.refused as error:
        raise ProcessingFailed(str(error)) from None
    if as_json:
        click.echo(json.dumps(made))
    else:
        click.echo(f"{made['message']}  {made['output']}  (job {job.name})")


class Server:
    """Clients of the server of a home."""

    def __init__(self, home: Path | None) -> None:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

        settings = running_settings(home)
        variables = environment(settings)
        session = boto3.Session(
            variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"], region_name=settings.region
        )
        checksums: Any = {
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
        verify = variables.get("AWS_CA_BUNDLE")

        def client(service: str, url: str) -> Any:
            config = Config(retries={"total_max_attempts": 2}, **checksums)
            return session.client(service, endpoint_url=url, verify=verify, config=config)

        self.unreachable = EndpointConnectionError
        self.refused = (ClientError, ParamValidationError)
        self._sagemaker = client("sagemaker", variables["AWS_ENDPOINT_URL"])
        self._logs = client("logs", variables["AWS_ENDPOINT_URL"])
        self._s3 = client("s3", variables["AWS_ENDPOINT_URL_S3"])
        self._bucket = variables["SAGEMAKER_DEFAULT_BUCKET"]
        self._role = variables["SAGEMAKER_ROLE_ARN"]

    def process(self, job: Job, recipe: str, table: str, output: str, *, quiet: bool) -> dict[str, Any]:
        """{"job", "message", "output", "seconds"}. Raises ProcessingFailed."""
        began = time.monotonic()
        target = output if "://" in output else f"s3://{self._bucket}/{job.name}/output"
        sources = {"recipe": self._in_s3(recipe, job, "recipe"), "input": self._in_s3(table, job, "input")}
        self._sagemaker.create_processing_job(**_request(job, self._role, sources, target))
        described = self._until_done(job.name, quiet)
        if described["ProcessingJobStatus"] != "Completed":
            raise ProcessingFailed(f"job {job.name}: {_reason(described)}")
        if target != output:
            self._bring(target, Path(output))
        message = described.get("ExitMessage", "")
        return {"job": job.name, "message": message, "output": output, "seconds": round(time.monotonic() - began, 2)}

    def _in_s3(self, given: str, job: Job, what: str) -> str:
        """The URI of something that is in S3, or has been brought there: a file's, or a folder's with all below it."""
        if "://" in given:
            return given
        path = Path(given)
        if not path.exists():
            raise ProcessingFailed(f"there is no {given}")
        start = f"{job.name}/{what}/"
        for file in [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file()):
            self._s3.upload_file(str(file), self._bucket, start + str(file.relative_to(path.parent)))
        return f"s3://{self._bucket}/{start}"

    def _until_done(self, name: str, quiet: bool) -> dict[str, Any]:
        log = Log(self._logs, name)
        while True:
            described: dict[str, Any] = self._sagemaker.describe_processing_job(ProcessingJobName=name)
            for line in log.more():
                if not quiet:
                    click.echo(line)
            if described["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped"):
                return described
            time.sleep(_LOOK_AGAIN_S)

    def _bring(self, uri: str, folder: Path) -> None:
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
            for found in page.get("Contents", ()):
                file = folder / found["Key"].removeprefix(f"{prefix}/")
                file.parent.mkdir(parents=True, exist_ok=True)
                self._s3.download_file(bucket, found["Key"], str(file))


class Log:
    """What a job prints, a piece at a time."""

    def __init__(self, logs: Any, job: str) -> None:
        self._logs = logs
        self._job = job
        self._tokens: dict[str, str] = {}

    def more(self) -> Iterator[str]:
        """The lines that are new."""
        try:
            found = self._logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{self._job}/")
        except self._logs.exceptions.ResourceNotFoundException:
            return
        for stream in (one["logStreamName"] for one in found["logStreams"]):
            while True:
                token = {"nextToken": self._tokens[stream]} if stream in self._tokens else {}
                page = self._logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True, **token)
                yield from (event["message"] for event in page["events"])
                if page["nextForwardToken"] == self._tokens.get(stream):
                    break
                self._tokens[stream] = page["nextForwardToken"]


def _request(job: Job, role: str, sources: dict[str, str], target: str) -> dict[str, Any]:
    def brought(name: str, uri: str) -> dict[str, Any]:
        where = {"S3Uri": uri, "LocalPath": f"{_ROOT}/{name}", "S3DataType": "S3Prefix", "S3InputMode": "File"}
        return {"InputName": name, "S3Input": where}

    made = {"S3Uri": target, "LocalPath": f"{_ROOT}/output", "S3UploadMode": "EndOfJob"}
    cluster = {"InstanceType": job.instance_type, "InstanceCount": job.instances, "VolumeSizeInGB": 30}
    return {
        "ProcessingJobName": job.name,
        "RoleArn": role,
        "AppSpecification": {"ImageUri": IMAGE, "ContainerArguments": list(job.arguments)},
        "ProcessingInputs": [brought(name, uri) for name, uri in sources.items()],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "output", "S3Output": made}]},
        "ProcessingResources": {"ClusterConfig": cluster},
    }


def _reason(described: dict[str, Any]) -> str:
    reason = described.get("FailureReason") or described["ProcessingJobStatus"]
    said = described.get("ExitMessage")
    return f"{said} ({reason})" if said else str(reason)
