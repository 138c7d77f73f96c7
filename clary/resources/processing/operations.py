"""What callers may ask of processing jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from clary.core.errors import ValidationException
from clary.core.facts import Facts
from clary.core.instances import resources_for
from clary.core.records import Record, Ref
from clary.resources import checks
from clary.resources.context import Context
from clary.resources.jobs import operations as jobs
from clary.resources.listing import list_operation
from clary.resources.operations import Request, Response, echo, remove
from clary.resources.processing import KIND
from clary.resources.processing.kind import PROCESSING
from clary.resources.processing.state import ProcessingState
from clary.resources.processing.task import PROCESSING_FOLDER, request_of, with_defaults

MISSING = "Could not find requested job with name: {name}"
MISSING_TO_STOP = "Could not find job to update with name: {name}"

UNBUILT = {
    "ProcessingInputs[].DatasetDefinition": "put the query's result into S3, and use S3Input",
    "ProcessingInputs[].S3Input.S3InputMode=Pipe": "use File",
    "ProcessingOutputConfig.Outputs[].FeatureStoreOutput": "use S3Output",
    "ProcessingResources.ClusterConfig.InstancePreferences": "give InstanceType and InstanceCount",
}


async def create(context: Context, request: Request) -> Response:
    _check(request)
    if context.strict:
        await _check_image_and_data(context, request)
    return {"ProcessingJobArn": await jobs.create(context, PROCESSING, request)}


def new_processing_job(request: Mapping[str, Any], facts: Facts) -> Record:
    name = request["ProcessingJobName"]
    resources, _ = resources_for(request["ProcessingResources"]["ClusterConfig"]["InstanceType"], facts.machine)
    state = ProcessingState(arn=facts.account.arn(KIND, name), resources=resources)
    return jobs.new_job(KIND, name, request, facts, state)


def creation_message(job: Record) -> str:
    return jobs.creation_message(PROCESSING, job.spec["ProcessingResources"]["ClusterConfig"]["InstanceType"], job)


def _check(request: Request) -> None:
    """Checks beyond those of the shapes. Raises ValidationException."""
    path = "ProcessingResources.ClusterConfig"
    jobs.check_instances(PROCESSING, path, request["ProcessingResources"]["ClusterConfig"])
    inputs = request.get("ProcessingInputs", [])
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    _check_distinct("ProcessingInputs", "InputName", (item["InputName"] for item in inputs))
    _check_distinct("ProcessingOutputConfig.Outputs", "OutputName", (item["OutputName"] for item in outputs))
    for item in inputs:
        _check_input(f"Input {item['InputName']!r}", item)
    for item in outputs:
        _check_data(f"Output {item['OutputName']!r}", item, "S3Output")
    _check_distinct("ProcessingInputs", "LocalPath", _local_paths(inputs, "S3Input"))
    _check_distinct("ProcessingOutputConfig.Outputs", "LocalPath", _local_paths(outputs, "S3Output"))


def _check_input(label: str, item: Request) -> None:
    _check_data(label, item, "S3Input")
    if item["S3Input"].get("S3CompressionType") == "Gzip":  # Pipe itself is not built
        raise ValidationException(
            f"{label}: S3CompressionType = Gzip is possible with S3InputMode = Pipe only: leave it out, and decompress "
            "in the program."
        )


def _check_data(label: str, item: Request, member: str) -> None:
    if member not in item:
        raise ValidationException(f"{label}: {member} is missing: give the place of its data in S3.")
    checks.s3_uri(f"{label}: S3Uri", item[member]["S3Uri"])
    path = item[member].get("LocalPath")
    if path is None and not item.get("AppManaged"):
        raise ValidationException(f"{label}: LocalPath is missing: give a folder below {PROCESSING_FOLDER}")
    if path is not None:
        _check_local_path(label, path)


def _check_local_path(label: str, path: str) -> None:
    inside = path.removeprefix(PROCESSING_FOLDER).rstrip("/")
    if inside == path.rstrip("/") or not inside:
        raise ValidationException(
            f"{label}: LocalPath = {path!r} must begin with {PROCESSING_FOLDER}, and name a folder there."
        )
    parts = inside.split("/")
    if any(part in ("", ".", "..") or "\0" in part or len(part.encode()) > 255 for part in parts):
        raise ValidationException(
            f"{label}: LocalPath = {path!r} cannot be a folder: a part of it is empty, '.', '..', or longer than 255 "
            "bytes."
        )


def _local_paths(items: Iterable[Request], member: str) -> list[str]:
    """Those that the platform fills or uploads."""
    return [item[member]["LocalPath"].rstrip("/") for item in items if not item.get("AppManaged")]


def _check_distinct(path: str, member: str, values: Iterable[str]) -> None:
    values = list(values)
    if doubles := {value for value in values if values.count(value) > 1}:
        raise ValidationException(f"{path}: {member} = {min(doubles)!r} is given more than once: each needs its own.")


async def _check_image_and_data(context: Context, request: Request) -> None:
    role = request["RoleArn"]
    await checks.image(context, request["AppSpecification"]["ImageUri"], role)
    for item in request.get("ProcessingInputs", ()):
        if item.get("AppManaged"):
            continue
        source, field = item["S3Input"], f"Input {item['InputName']!r}: S3Uri"
        await asyncio.to_thread(checks.input_data, context, field, source["S3Uri"], source["S3DataType"], role)


async def stop(context: Context, request: Request) -> Response:
    return await jobs.stop(context, PROCESSING, request["ProcessingJobName"], MISSING_TO_STOP)


async def delete(context: Context, request: Request) -> Response:
    def check_ended(job: Record) -> None:
        jobs.check_ended(PROCESSING, job)

    await remove(context, Ref(KIND, request["ProcessingJobName"]), MISSING, check_ended)
    return {}


_ECHOED = ("ProcessingResources", "AppSpecification", "Environment", "NetworkConfig", "RoleArn", "ExperimentConfig")


async def describe(context: Context, request: Request) -> Response:
    job = await jobs.find_for_describe(context, Ref(KIND, request["ProcessingJobName"]), MISSING)
    started, _ = jobs.times(PROCESSING.read(job.state))
    response = {**echo(job, _ECHOED), **with_defaults(request_of(job)), **_summary(context, job)}
    return response | ({"ProcessingStartTime": started} if started else {})


def _summary(context: Context, job: Record) -> Response:
    state = PROCESSING.read(job.state)
    _, ended = jobs.times(state)
    summary: Response = {
        "ProcessingJobName": job.name,
        "ProcessingJobArn": state.arn,
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "ProcessingJobStatus": job.status,
    }
    if ended:
        summary["ProcessingEndTime"] = ended
    if job.reason:
        summary["FailureReason"] = job.reason
    if state.exit_message is not None:
        summary["ExitMessage"] = state.exit_message
    return summary


list_jobs = list_operation(KIND, "ProcessingJobSummaries", _summary, sort_order="Ascending")
