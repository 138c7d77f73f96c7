"""A recipe as a processing job: what lies here is brought to S3, what was made is brought back, the log is shown."""

from __future__ import annotations

import contextlib
import json
import secrets
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
_NO_SERVER = "no server answers: start it with `clary up --detach`, or use --here"


@dataclass(frozen=True)
class Job:
    """What is asked of the server; arguments are those of clary.tasks.recipe_job."""

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
        from boto3.exceptions import S3UploadFailedError
        from botocore import exceptions
        from botocore.config import Config

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

        self.refused = (exceptions.ClientError, exceptions.ParamValidationError, S3UploadFailedError)
        self._unknown = exceptions.ClientError
        self._unreachable = (exceptions.ConnectionError, exceptions.HTTPClientError)
        self._sagemaker = client("sagemaker", variables["AWS_ENDPOINT_URL"])
        self._logs = client("logs", variables["AWS_ENDPOINT_URL"])
        self._s3 = client("s3", variables["AWS_ENDPOINT_URL_S3"])
        self._s3_url = variables["AWS_ENDPOINT_URL_S3"]
        self._bucket = variables["SAGEMAKER_DEFAULT_BUCKET"]
        self._role = variables["SAGEMAKER_ROLE_ARN"]

    def process(self, job: Job, recipe: str, table: str, output: str, *, quiet: bool) -> dict[str, Any]:
        """{"job", "message", "output", "seconds"}. Raises ProcessingFailed, or one of `refused`."""
        began = time.monotonic()
        local = "://" not in output
        if local:
            _check_folder(Path(output))
        given = {"recipe": _given(recipe), "input": _given(table)}
        self._check_free(job.name)
        # A place of its own: what an earlier job of this name has left would be read, and brought back, too.
        place = f"s3://{self._bucket}/{job.name}/{secrets.token_hex(4)}"
        target = f"{place}/output" if local else output
        with self._told(f"S3 does not answer at {self._s3_url}: `clary status` tells whether it runs"):
            sources = {name: self._in_s3(one, f"{place}/{name}/") for name, one in given.items()}
        try:
            with self._told(_NO_SERVER):
                self._sagemaker.create_processing_job(**_request(job, self._role, sources, target))
            described = self._until_done(job.name, quiet)
        except KeyboardInterrupt:
            raise ProcessingFailed(f"the wait is over. {_goes_on(job.name, target)}") from None
        except self._unreachable:
            raise ProcessingFailed(f"the server does not answer any more. {_goes_on(job.name, target)}") from None
        if described["ProcessingJobStatus"] != "Completed":
            raise ProcessingFailed(f"job {job.name}: {_reason(described)}")
        if local:
            try:
                self._bring(target, Path(output))
            except (KeyboardInterrupt, *self._unreachable):
                raise ProcessingFailed(f"the job is done, but not all was brought: it lies at {target}") from None
        message = described.get("ExitMessage", "").strip()
        return {"job": job.name, "message": message, "output": output, "seconds": round(time.monotonic() - began, 2)}

    @contextlib.contextmanager
    def _told(self, sentence: str) -> Iterator[None]:
        """Raises ProcessingFailed with the sentence where nobody answers."""
        try:
            yield
        except self._unreachable:
            raise ProcessingFailed(sentence) from None

    def _check_free(self, name: str) -> None:
        """Before anything is brought to S3 for a job that cannot be."""
        try:
            with self._told(_NO_SERVER):
                self._sagemaker.describe_processing_job(ProcessingJobName=name)
        except self._unknown as error:
            if "Could not find" in str(error):
                return
            raise
        raise ProcessingFailed(f"there is a processing job {name} already: choose another --name")

    def _in_s3(self, given: str | Path, uri: str) -> str:
        """The URI of something that is in S3, or is brought to this one: a file, or a folder with all below it."""
        if isinstance(given, str):
            return given
        bucket, _, start = uri.removeprefix("s3://").partition("/")
        for file in [given] if given.is_file() else _files(given):
            self._s3.upload_file(str(file), bucket, start + file.relative_to(given.parent).as_posix())
        return uri

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
        """What a job has made into a folder; features of an earlier one, which would mix with these, are taken away."""
        from clary.tasks.recipe_job.features import FEATURES, clear

        clear(folder / FEATURES)
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
            for found in page.get("Contents", ()):
                file = folder / found["Key"].removeprefix(f"{prefix}/")
                file.parent.mkdir(parents=True, exist_ok=True)
                self._s3.download_file(bucket, found["Key"], str(file))


def _given(text: str) -> str | Path:
    """An s3:// URI, or what is there on this machine. Raises ProcessingFailed."""
    if text.startswith("s3://"):
        return text
    if "://" in text:
        raise ProcessingFailed(f"{text}: give a path or an s3:// URI; with --here also the URL of a database")
    path = Path(text).expanduser().absolute()
    if not path.exists():
        raise ProcessingFailed(f"there is no {text}")
    # Without "..": names below it become keys. A file that is a link keeps its name, whose ending tells what it is.
    path = path.resolve() if path.is_dir() else path.parent.resolve() / path.name
    if path.is_dir() and not any(_files(path)):
        raise ProcessingFailed(f"{text} is a folder without a file to read")
    return path


def _files(folder: Path) -> Iterator[Path]:
    """Of a folder, those that are read of one: nothing whose name, or whose folder's, begins with a dot or an _."""
    for one in sorted(folder.rglob("*")):
        if one.is_file() and not any(part[0] in "._" for part in one.relative_to(folder).parts):
            yield one


def _check_folder(folder: Path) -> None:
    """Raises ProcessingFailed, before the work, where its results could not be put."""
    from clary.data.errors import DataError
    from clary.tasks.recipe_job.features import FEATURES, check_replaceable

    if folder.exists() and not folder.is_dir():
        raise ProcessingFailed(f"OUTPUT {folder} is a file; name a folder, or an s3:// URI")
    try:
        check_replaceable(folder / FEATURES)
    except DataError as error:
        raise ProcessingFailed(str(error)) from None


def _goes_on(name: str, target: str) -> str:
    return (
        f"The job {name} goes on, and writes to {target}. Follow it: clary logs {name} --follow. "
        f"Stop it: aws sagemaker stop-processing-job --processing-job-name {name}"
    )


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
