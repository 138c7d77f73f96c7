"""Processing jobs: any program of any image, with data in and data out.

    InProgress ──> Completed | Failed | Stopped (past its time limit)
         └──> Stopping ──> Stopped

There are no secondary statuses. One that has ended can be deleted, and its record goes at once: AWS has no word for a
job that is being deleted, and a task without a record is swept.
Reference: CreateProcessingJob, DescribeProcessingJob, ListProcessingJobs, StopProcessingJob, DeleteProcessingJob.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

from clary.core.decisions import Decision, Family, Seen
from clary.core.errors import ResourceInUse, StaleWrite, ValidationException
from clary.core.facts import Facts
from clary.core.instances import resources_for
from clary.core.records import Record
from clary.core.tasks import TaskState
from clary.resources import checks, jobs
from clary.resources.common import Request, Response, create, echo, find, new_record
from clary.resources.context import Context
from clary.resources.first_look import first_look
from clary.resources.jobs import FINISHED, JobKind, watch
from clary.resources.listing import list_operation
from clary.resources.processing_task import PROCESSING, completed, processing_task, stopping_condition

KIND = "processing-job"
MISSING = "Could not find requested job with name: {name}"
MISSING_TO_STOP = "Could not find job to update with name: {name}"


class ProcessingJobStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


Status = ProcessingJobStatus

TRANSITIONS: Mapping[str, Collection[str]] = {
    Status.IN_PROGRESS: {Status.COMPLETED, Status.FAILED, Status.STOPPING, Status.STOPPED},
    Status.STOPPING: {Status.STOPPED},
    Status.COMPLETED: (),
    Status.FAILED: (),
    Status.STOPPED: (),
}


# ---- what to do next ----


def _results(task: TaskState) -> dict[str, Any]:
    return {"exit_message": task.message} if task.message else {}


def _late(job: Record) -> str:
    """AWS says nothing; whoever finds a job stopped that nobody stopped wants to know why."""
    return (
        "MaxRuntimeExceeded: The job ran longer than StoppingCondition.MaxRuntimeInSeconds = "
        f"{stopping_condition(job.spec)['MaxRuntimeInSeconds']}."
    )


JOBS = JobKind(
    does="processing",
    stages={
        "Pending": "Processing job waiting for capacity",
        "Downloading": "Downloading input data",
        "Processing": "Processing in progress",
        "Uploading": "Uploading output data",
    },
    task=processing_task,
    results=_results,
    late=_late,
)


def decide(job: Record, seen: Seen, now: datetime) -> Decision:
    return jobs.decide(JOBS, job, seen, now)


# ---- operations ----

UNBUILT = {
    "ProcessingInputs[].DatasetDefinition": "put the query's result into S3, and use S3Input",
    "ProcessingInputs[].S3Input.S3InputMode=Pipe": "use File",
    "ProcessingOutputConfig.Outputs[].FeatureStoreOutput": "use S3Output",
    "ProcessingResources.ClusterConfig.InstancePreferences": "give InstanceType and InstanceCount",
}


async def create_processing_job(context: Context, request: Request) -> Response:
    _check(request)
    if context.strict:
        await _check_what_it_needs(context, request)
    arn = await create(
        context,
        KIND,
        request,
        taken=ResourceInUse,
        taken_text="Processing job names must be unique within an AWS account and region, and a processing job with "
        "this name already exists ({arn})",
    )
    return {"ProcessingJobArn": arn}


def new_processing_job(request: Mapping[str, Any], facts: Facts) -> Record:
    name = request["ProcessingJobName"]
    resources, _ = resources_for(request["ProcessingResources"]["ClusterConfig"]["InstanceType"], facts.machine)
    return new_record(
        KIND,
        name,
        request,
        facts,
        status=Status.IN_PROGRESS,
        detail="Starting",
        state={"arn": facts.account.arn(KIND, name), "resources": asdict(resources)},
    )


def _creation_message(job: Record) -> str:
    return jobs.creation_message(JOBS, job, job.spec["ProcessingResources"]["ClusterConfig"]["InstanceType"])


def _check(request: Request) -> None:
    """What the shapes cannot say. Raises ValidationException."""
    where = "ProcessingResources.ClusterConfig"
    jobs.check_instances(JOBS, where, request["ProcessingResources"]["ClusterConfig"])
    inputs = request.get("ProcessingInputs", [])
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    _check_distinct("ProcessingInputs", "InputName", (given["InputName"] for given in inputs))
    _check_distinct("ProcessingOutputConfig.Outputs", "OutputName", (given["OutputName"] for given in outputs))
    for given in inputs:
        _check_input(f"Input {given['InputName']!r}", given)
    for given in outputs:
        _check_data(f"Output {given['OutputName']!r}", given, "S3Output")
    _check_distinct("ProcessingInputs", "LocalPath", _local_paths(inputs, "S3Input"))
    _check_distinct("ProcessingOutputConfig.Outputs", "LocalPath", _local_paths(outputs, "S3Output"))


def _check_input(what: str, given: Request) -> None:
    _check_data(what, given, "S3Input")
    if given["S3Input"].get("S3CompressionType") == "Gzip":  # Pipe itself is not built
        raise ValidationException(
            f"{what}: S3CompressionType = Gzip is possible with S3InputMode = Pipe only: leave it out, and decompress "
            "in the program."
        )


def _check_data(what: str, given: Request, member: str) -> None:
    if member not in given:
        raise ValidationException(f"{what}: {member} is missing: say where in S3 its data is.")
    checks.s3_uri(f"{what}: S3Uri", given[member]["S3Uri"])
    path = given[member].get("LocalPath")
    if path is None and not given.get("AppManaged"):
        raise ValidationException(f"{what}: LocalPath is missing: give a folder below {PROCESSING}")
    if path is not None:
        _check_local_path(what, path)


def _check_local_path(what: str, path: str) -> None:
    inside = path.removeprefix(PROCESSING).rstrip("/")
    if inside == path.rstrip("/") or not inside:
        raise ValidationException(
            f"{what}: LocalPath = {path!r} must begin with {PROCESSING}, and name a folder there."
        )
    parts = inside.split("/")
    if any(part in ("", ".", "..") or "\0" in part or len(part.encode()) > 255 for part in parts):
        raise ValidationException(
            f"{what}: LocalPath = {path!r} cannot be a folder: a part of it is empty, '.', '..', or longer than 255 "
            "bytes."
        )


def _local_paths(given: Iterable[Request], member: str) -> list[str]:
    """Those that the platform fills or empties."""
    return [one[member]["LocalPath"].rstrip("/") for one in given if not one.get("AppManaged")]


def _check_distinct(where: str, member: str, values: Iterable[str]) -> None:
    values = list(values)
    if doubles := {value for value in values if values.count(value) > 1}:
        raise ValidationException(f"{where}: {member} = {min(doubles)!r} is given more than once: each needs its own.")


async def _check_what_it_needs(context: Context, request: Request) -> None:
    role = request["RoleArn"]
    await checks.image(context, request["AppSpecification"]["ImageUri"], role)
    for given in request.get("ProcessingInputs", ()):
        if given.get("AppManaged"):
            continue
        source, field = given["S3Input"], f"Input {given['InputName']!r}: S3Uri"
        await asyncio.to_thread(checks.input_data, context, field, source["S3Uri"], source["S3DataType"], role)


async def stop(context: Context, request: Request) -> Response:
    return await jobs.stop(context, JOBS, KIND, request["ProcessingJobName"], MISSING_TO_STOP)


async def delete(context: Context, request: Request) -> Response:
    while True:
        job = await find(context, KIND, request["ProcessingJobName"], MISSING)
        jobs.check_ended(JOBS, job)
        try:
            await context.store.delete(job)
        except StaleWrite:
            continue  # it moved, or somebody else was faster: look again
        return {}


_ECHOED = ("ProcessingResources", "AppSpecification", "Environment", "NetworkConfig", "RoleArn", "ExperimentConfig")


async def describe(context: Context, request: Request) -> Response:
    look = partial(find, context, KIND, request["ProcessingJobName"], MISSING)
    job = await first_look(context, look, jobs.under_way)
    started, _ = jobs.times(JOBS, job)
    response = {**echo(job, _ECHOED), **completed(job.spec), **_summary(context, job)}
    return response | ({"ProcessingStartTime": started} if started else {})


def _summary(context: Context, job: Record) -> Response:
    _, ended = jobs.times(JOBS, job)
    told: Response = {
        "ProcessingJobName": job.name,
        "ProcessingJobArn": job.state["arn"],
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "ProcessingJobStatus": job.status,
    }
    if ended:
        told["ProcessingEndTime"] = ended
    if job.reason:
        told["FailureReason"] = job.reason
    if "exit_message" in job.state:
        told["ExitMessage"] = job.state["exit_message"]
    return told


FAMILY = Family(
    kind=KIND,
    status=ProcessingJobStatus,
    transitions=TRANSITIONS,
    watch=watch,
    decide=decide,
    terminal=FINISHED,
    new_record=new_processing_job,
    creation_message=_creation_message,
    unbuilt={"CreateProcessingJob": UNBUILT},
    operations={
        "CreateProcessingJob": create_processing_job,
        "DescribeProcessingJob": describe,
        "ListProcessingJobs": list_operation(KIND, "ProcessingJobSummaries", _summary, sort_order="Ascending"),
        "StopProcessingJob": stop,
        "DeleteProcessingJob": delete,
    },
)
