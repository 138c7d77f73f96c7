"""A recipe applied by a processing job: inputs are uploaded, the log is printed, outputs are downloaded."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clary.cli.process import ProcessingFailed
from clary.connection import environment, running_settings

if TYPE_CHECKING:
    from clary.tasks.recipe_job.options import Options

IMAGE = "clary/data:1"
GROUP = "/aws/sagemaker/ProcessingJobs"
_ROOT = "/opt/ml/processing"
_POLL_S = 0.2
_NO_SERVER = "no server answers: start it with `clary up --detach`, or use --here"


@dataclass(frozen=True)
class Job:
    """What the server is asked for. In `options`, recipe, input and output are as the user wrote them."""

    name: str
    instance_type: str
    instances: int
    options: Options


def new_name() -> str:
    return f"process-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"[:-3]


def run(job: Job, home: Path | None, as_json: bool) -> None:
    """Run the job to its end. Raises ProcessingFailed with the job's FailureReason, or where no server answers."""
    server = Server(home)
    try:
        result = server.process(job, quiet=as_json)
    except server.refused as error:
        raise ProcessingFailed(str(error)) from None
    if as_json:
        click.echo(json.dumps(result))
    else:
        click.echo(f"{result['message']}  {result['output']}  (job {job.name})")


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

    def process(self, job: Job, *, quiet: bool) -> dict[str, Any]:
        """{"job", "message", "output", "seconds"}. Raises ProcessingFailed, or one of `refused`."""
        began = time.monotonic()
        output = job.options.output
        local = "://" not in output
        if local:
            _check_folder(Path(output))
        sources = {"recipe": _source(job.options.recipe), "input": _source(job.options.input)}
        self._check_name_is_free(job.name)
        # A prefix of its own: objects of an earlier job of this name would be read, and downloaded, too.
        prefix = f"s3://{self._bucket}/{job.name}/{secrets.token_hex(4)}"
        target = f"{prefix}/output" if local else output
        with self._failing_with(f"S3 does not answer at {self._s3_url}: `clary status` shows whether it runs"):
            inputs = {name: self._in_s3(source, f"{prefix}/{name}/") for name, source in sources.items()}
        try:
            with self._failing_with(_NO_SERVER):
                self._sagemaker.create_processing_job(**_request(job, self._role, inputs, target))
            described = self._until_done(job.name, quiet)
        except KeyboardInterrupt:
            raise ProcessingFailed(f"interrupted. {_goes_on(job.name, target)}") from None
        except self._unreachable:
            raise ProcessingFailed(f"the server does not answer any more. {_goes_on(job.name, target)}") from None
        if described["ProcessingJobStatus"] != "Completed":
            raise ProcessingFailed(f"job {job.name}: {_reason(described)}")
        if local:
            try:
                self._download(target, Path(output))
            except (KeyboardInterrupt, *self._unreachable):
                raise ProcessingFailed(f"the job is done, but not all was downloaded: it is at {target}") from None
        message = described.get("ExitMessage", "").strip()
        return {"job": job.name, "message": message, "output": output, "seconds": round(time.monotonic() - began, 2)}

    @contextlib.contextmanager
    def _failing_with(self, message: str) -> Iterator[None]:
        """Raises ProcessingFailed with the message where no server answers."""
        try:
            yield
        except self._unreachable:
            raise ProcessingFailed(message) from None

    def _check_name_is_free(self, name: str) -> None:
        """Before anything is uploaded for a job that cannot be created."""
        try:
            with self._failing_with(_NO_SERVER):
                self._sagemaker.describe_processing_job(ProcessingJobName=name)
        except self._unknown as error:
            if "Could not find" in str(error):
                return
            raise
        raise ProcessingFailed(f"there is a processing job {name} already: choose another --name")

    def _in_s3(self, source: str | Path, uri: str) -> str:
        """The URI of a source: its own, or this one after an upload of the file, or of all files below the folder."""
        if isinstance(source, str):
            return source
        bucket, _, start = uri.removeprefix("s3://").partition("/")
        for file in [source] if source.is_file() else _files(source):
            self._s3.upload_file(str(file), bucket, start + file.relative_to(source.parent).as_posix())
        return uri

    def _until_done(self, name: str, quiet: bool) -> dict[str, Any]:
        log = Log(self._logs, name)
        while True:
            described: dict[str, Any] = self._sagemaker.describe_processing_job(ProcessingJobName=name)
            for line in log.new_lines():
                if not quiet:
                    click.echo(line)
            if described["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped"):
                return described
            time.sleep(_POLL_S)

    def _download(self, uri: str, folder: Path) -> None:
        """Put a job's output into a folder; features of an earlier job, which would mix with these, are removed."""
        from clary.tasks.recipe_job.features import FEATURES, clear

        clear(folder / FEATURES)
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
            for item in page.get("Contents", ()):
                file = folder / item["Key"].removeprefix(f"{prefix}/")
                file.parent.mkdir(parents=True, exist_ok=True)
                self._s3.download_file(bucket, item["Key"], str(file))


def _source(text: str) -> str | Path:
    """An s3:// URI, or the path of a file or folder that exists on this machine. Raises ProcessingFailed."""
    if text.startswith("s3://"):
        return text
    if "://" in text:
        raise ProcessingFailed(f"{text}: give a path or an s3:// URI; with --here also the URL of a database")
    path = Path(text).expanduser().absolute()
    if not path.exists():
        raise ProcessingFailed(f"there is no {text}")
    # Without "..": names below it become keys. A file that is a link keeps its name, whose ending shows its format.
    path = path.resolve() if path.is_dir() else path.parent.resolve() / path.name
    if path.is_dir() and not any(_files(path)):
        raise ProcessingFailed(f"{text} is a folder without a file to read")
    return path


def _files(folder: Path) -> Iterator[Path]:
    """The files of a folder that readers take: none whose name, or whose folder's, begins with a dot or an _."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part[0] in "._" for part in path.relative_to(folder).parts):
            yield path


def _check_folder(folder: Path) -> None:
    """Raises ProcessingFailed, before the job, where its results could not be written."""
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
    """What a job prints, as it comes."""

    def __init__(self, logs: Any, job: str) -> None:
        self._logs = logs
        self._job = job
        self._tokens: dict[str, str] = {}

    def new_lines(self) -> Iterator[str]:
        """The lines since the last call."""
        try:
            found = self._logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{self._job}/")
        except self._logs.exceptions.ResourceNotFoundException:
            return
        for stream in (item["logStreamName"] for item in found["logStreams"]):
            while True:
                token = {"nextToken": self._tokens[stream]} if stream in self._tokens else {}
                page = self._logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True, **token)
                yield from (event["message"] for event in page["events"])
                if page["nextForwardToken"] == self._tokens.get(stream):
                    break
                self._tokens[stream] = page["nextForwardToken"]


def _request(job: Job, role: str, inputs: dict[str, str], target: str) -> dict[str, Any]:
    def processing_input(name: str, uri: str) -> dict[str, Any]:
        source = {"S3Uri": uri, "LocalPath": f"{_ROOT}/{name}", "S3DataType": "S3Prefix", "S3InputMode": "File"}
        return {"InputName": name, "S3Input": source}

    output = {"S3Uri": target, "LocalPath": f"{_ROOT}/output", "S3UploadMode": "EndOfJob"}
    cluster = {"InstanceType": job.instance_type, "InstanceCount": job.instances, "VolumeSizeInGB": 30}
    return {
        "ProcessingJobName": job.name,
        "RoleArn": role,
        "AppSpecification": {"ImageUri": IMAGE, "ContainerArguments": job.options.to_arguments()},
        "ProcessingInputs": [processing_input(name, uri) for name, uri in inputs.items()],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "output", "S3Output": output}]},
        "ProcessingResources": {"ClusterConfig": cluster},
    }


def _reason(described: dict[str, Any]) -> str:
    reason = described.get("FailureReason") or described["ProcessingJobStatus"]
    message = described.get("ExitMessage")
    return f"{message} ({reason})" if message else str(reason)
