"""Training jobs.

    InProgress ──> Completed | Failed | Stopped (past its time limit)
         └──> Stopping ──> Stopped
    Completed | Failed | Stopped ──> Deleting ──> gone

The finer SecondaryStatus is the record's detail: Starting, (Pending), Downloading, Training, Uploading, and the end.
Reference: CreateTrainingJob, StopTrainingJob, DescribeTrainingJob (SageMaker API Reference).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

from clary.core.decisions import Decision, Family, Seen
from clary.core.errors import ResourceInUse, ValidationException
from clary.core.facts import Facts
from clary.core.instances import resources_for
from clary.core.records import Record
from clary.core.tasks import TaskState
from clary.resources import algorithms, checks, jobs
from clary.resources.common import Request, Response, change, create, echo, find, new_record
from clary.resources.context import Context
from clary.resources.first_look import first_look
from clary.resources.jobs import DEFAULT_MAX_RUNTIME_S, FINISHED, JobKind, task_id, watch
from clary.resources.listing import list_operation
from clary.resources.training_task import CHECKPOINTS, training_task

KIND = "training-job"
MISSING = "Requested resource not found."


class TrainingJobStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    DELETING = "Deleting"


Status = TrainingJobStatus

TRANSITIONS: Mapping[str, Collection[str]] = {
    Status.IN_PROGRESS: {Status.COMPLETED, Status.FAILED, Status.STOPPING, Status.STOPPED},
    Status.STOPPING: {Status.STOPPED},
    Status.COMPLETED: {Status.DELETING},
    Status.FAILED: {Status.DELETING},
    Status.STOPPED: {Status.DELETING},
    Status.DELETING: (),
}


# ---- what to do next ----


def _results(task: TaskState) -> dict[str, Any]:
    results: dict[str, Any] = {"metrics": {name: [metric.value, metric.at] for name, metric in task.metrics.items()}}
    if "model" in task.uploaded:
        results["model_artifacts"] = task.uploaded["model"]
    return results


JOBS = JobKind(
    does="training",
    stages={
        "Pending": "Training job waiting for capacity",
        "Downloading": "Downloading input data",
        "Training": "Training image download completed. Training in progress.",
        "Uploading": "Uploading generated training model",
    },
    task=training_task,
    results=_results,
)


def decide(job: Record, seen: Seen, now: datetime) -> Decision:
    return jobs.decide(JOBS, job, seen, now)


# ---- operations ----

UNBUILT = {
    "AlgorithmSpecification.AlgorithmName": "give TrainingImage",
    "AlgorithmSpecification.TrainingInputMode=Pipe": "use File",
    "AlgorithmSpecification.TrainingInputMode=FastFile": "use File: data on this machine is not copied",
    "InputDataConfig[].InputMode=Pipe": "use File",
    "InputDataConfig[].InputMode=FastFile": "use File: data on this machine is not copied",
    "InputDataConfig[].CompressionType=Gzip": "leave it out, and decompress in the program",
    "InputDataConfig[].RecordWrapperType=RecordIO": "leave it out: it serves Pipe mode",
    "InputDataConfig[].DataSource.FileSystemDataSource": "use S3DataSource",
    "InputDataConfig[].DataSource.DatasetSource": "use S3DataSource",
    "InputDataConfig[].DataSource.S3DataSource.S3DataType=AugmentedManifestFile": "use ManifestFile",
    "InputDataConfig[].DataSource.S3DataSource.S3DataType=Converse": "use S3Prefix",
    "InputDataConfig[].DataSource.S3DataSource.InstanceGroupNames": "leave it out",
    "InputDataConfig[].DataSource.S3DataSource.HubAccessConfig": "copy the data to a bucket of your own",
    "ResourceConfig.InstanceGroups": "give InstanceType and InstanceCount",
    "ResourceConfig.InstancePreferences": "give InstanceType and InstanceCount",
    "ResourceConfig.KeepAlivePeriodInSeconds": "leave it out: jobs start without warm pools",
    "ResourceConfig.TrainingPlanArn": "leave it out",
    "ServerlessJobConfig": "give AlgorithmSpecification and ResourceConfig",
    "MlflowConfig": "leave it out",
    "ModelPackageConfig": "leave it out",
}


async def create_training_job(context: Context, request: Request) -> Response:
    _check(request)
    if context.strict:
        await _check_what_it_needs(context, request)
    arn = await create(
        context,
        KIND,
        request,
        taken=ResourceInUse,
        taken_text="Training job names must be unique within an AWS account and region, and a training job with this "
        "name already exists ({arn})",
    )
    return {"TrainingJobArn": arn}


def new_training_job(request: Mapping[str, Any], facts: Facts) -> Record:
    name = request["TrainingJobName"]
    resources, _ = resources_for(request["ResourceConfig"]["InstanceType"], facts.machine)
    return new_record(
        KIND,
        name,
        request,
        facts,
        status=Status.IN_PROGRESS,
        detail="Starting",
        state={
            "arn": facts.account.arn(KIND, name),
            "resources": asdict(resources),
            "metric_definitions": algorithms.metric_definitions(request["AlgorithmSpecification"]),
        },
    )


def _creation_message(job: Record) -> str:
    return jobs.creation_message(JOBS, job, job.spec["ResourceConfig"]["InstanceType"])


def _check(request: Request) -> None:
    """What the shapes cannot say. Raises ValidationException."""
    if "TrainingImage" not in request.get("AlgorithmSpecification", {}):
        raise ValidationException("AlgorithmSpecification.TrainingImage is missing: give the URI of a training image.")
    jobs.check_instances(JOBS, "ResourceConfig", request.get("ResourceConfig", {}))
    stopping = request.get("StoppingCondition", {})
    if stopping.get("MaxRuntimeInSeconds", 0) > LONGEST_RUNTIME_S:
        raise ValidationException(
            f"StoppingCondition.MaxRuntimeInSeconds = {stopping['MaxRuntimeInSeconds']}: must be at most "
            f"{LONGEST_RUNTIME_S} (28 days)."
        )
    if request.get("EnableManagedSpotTraining"):
        if stopping.get("MaxWaitTimeInSeconds", 0) < stopping.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_S):
            raise ValidationException(
                "StoppingCondition.MaxWaitTimeInSeconds must be given, and be at least MaxRuntimeInSeconds, when "
                "EnableManagedSpotTraining is true."
            )
    elif "MaxWaitTimeInSeconds" in stopping:
        raise ValidationException(
            "StoppingCondition.MaxWaitTimeInSeconds is given without EnableManagedSpotTraining: leave it out."
        )
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", ())]
    if doubles := {name for name in names if names.count(name) > 1}:
        raise ValidationException(f"InputDataConfig names channel {min(doubles)!r} more than once: use distinct names.")
    for channel in request.get("InputDataConfig", ()):
        _check_channel(channel)
    checks.s3_uri("OutputDataConfig.S3OutputPath", request["OutputDataConfig"]["S3OutputPath"])
    if checkpoints := request.get("CheckpointConfig"):
        checks.s3_uri("CheckpointConfig.S3Uri", checkpoints["S3Uri"])
        if (path := checkpoints.get("LocalPath", CHECKPOINTS)).rstrip("/") != CHECKPOINTS:
            raise ValidationException(
                f"CheckpointConfig.LocalPath = {path!r}: Clary keeps checkpoints in {CHECKPOINTS}."
            )


def _check_channel(channel: Request) -> None:
    name = channel["ChannelName"]
    if name in (".", ".."):
        raise ValidationException(f"ChannelName {name!r} cannot be a directory: use letters.")
    if "S3DataSource" not in channel["DataSource"]:
        raise ValidationException(f"Channel {name!r}: DataSource.S3DataSource is missing.")
    checks.s3_uri(f"Channel {name!r}: S3Uri", channel["DataSource"]["S3DataSource"]["S3Uri"])


async def _check_what_it_needs(context: Context, request: Request) -> None:
    role = request["RoleArn"]
    await checks.image(context, request["AlgorithmSpecification"]["TrainingImage"], role)
    for channel in request.get("InputDataConfig", ()):
        source = channel["DataSource"]["S3DataSource"]
        await asyncio.to_thread(
            checks.input_data,
            context,
            f"Channel {channel['ChannelName']!r}: S3Uri",
            source["S3Uri"],
            source["S3DataType"],
            role,
        )


async def stop(context: Context, request: Request) -> Response:
    return await jobs.stop(context, JOBS, KIND, request["TrainingJobName"], MISSING)


async def delete(context: Context, request: Request) -> Response:
    while True:
        job = await find(context, KIND, request["TrainingJobName"], MISSING)
        if job.status == Status.DELETING:
            return {}
        jobs.check_ended(JOBS, job)
        if await change(context, job, replace(job, status=Status.DELETING)):
            return {}


_ECHOED = (
    "HyperParameters",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "ResourceConfig",
    "VpcConfig",
    "CheckpointConfig",
    "DebugHookConfig",
    "ExperimentConfig",
    "DebugRuleConfigurations",
    "TensorBoardOutputConfig",
    "ProfilerConfig",
    "ProfilerRuleConfigurations",
    "Environment",
    "RetryStrategy",
    "RemoteDebugConfig",
    "InfraCheckConfig",
)
LONGEST_RUNTIME_S = 2_419_200
MOST_METRICS = 40  # that a response may hold


async def describe(context: Context, request: Request) -> Response:
    job = await first_look(context, partial(find, context, KIND, request["TrainingJobName"], MISSING), jobs.under_way)
    metrics = job.state.get("metrics")
    if metrics is None:
        seen = (await context.backend.poll(watch(job).tasks)).get(task_id(job))
        metrics = {name: [metric.value, metric.at] for name, metric in seen.metrics.items()} if seen else {}
    response: Response = {
        **echo(job, _ECHOED),
        "TrainingJobName": job.name,
        "TrainingJobArn": job.state["arn"],
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.detail,
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME_S, **job.spec.get("StoppingCondition", {})},
        "SecondaryStatusTransitions": await _transitions(context, job),
        "FinalMetricDataList": [
            {"MetricName": name, "Value": value, "Timestamp": at}
            for name, (value, at) in list(metrics.items())[:MOST_METRICS]
        ],
    }
    response["OutputDataConfig"] = {"KmsKeyId": "", "CompressionType": "GZIP", **job.spec["OutputDataConfig"]}
    response["AlgorithmSpecification"] = {
        "EnableSageMakerMetricsTimeSeries": False,
        **job.spec["AlgorithmSpecification"],
        "MetricDefinitions": _definitions(job, metrics),
    }
    for member in ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining"):
        response[member] = job.spec.get(member, False)
    if job.reason:
        response["FailureReason"] = job.reason
    if "model_artifacts" in job.state:
        response["ModelArtifacts"] = {"S3ModelArtifacts": job.state["model_artifacts"]}
    return response | _times(job)


def _definitions(job: Record, seen: Mapping[str, Any]) -> list[Response]:
    """Those whose metrics were seen come first: the built-in algorithm has more than fit."""
    definitions = sorted(job.state["metric_definitions"], key=lambda definition: definition[0] not in seen)
    return [{"Name": name, "Regex": regex} for name, regex in definitions[:MOST_METRICS]]


async def _transitions(context: Context, job: Record) -> list[Response]:
    history = await context.store.history(job)
    ends = [line.at for line in history[1:]]
    told: list[Response] = []
    for index, line in enumerate(history):
        entry: Response = {"Status": line.status, "StartTime": line.at, "StatusMessage": line.message}
        if index < len(ends):
            entry["EndTime"] = ends[index]
        elif job.status in FINISHED:
            entry["EndTime"] = line.at
        told.append(entry)
    return told


def _times(job: Record) -> Response:
    started, ended = jobs.times(JOBS, job)
    times: Response = {}
    if started:
        times["TrainingStartTime"] = started
    if ended:
        times["TrainingEndTime"] = ended
    if started and ended:
        seconds = max(1, round((ended - started).total_seconds()))  # the model knows no job of zero seconds
        times |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
    return times


def _summary(context: Context, job: Record) -> Response:
    return {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.state["arn"],
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.detail,
        **{key: value for key, value in _times(job).items() if key == "TrainingEndTime"},
    }


async def list_jobs(context: Context, request: Request) -> Response:
    """There are no warm pools and no training plans here, so their filters match no job."""
    if "WarmPoolStatusEquals" in request or "TrainingPlanArnEquals" in request:
        return {"TrainingJobSummaries": []}
    return await _list_jobs(context, request)


_list_jobs = list_operation(KIND, "TrainingJobSummaries", _summary, sort_order="Ascending")

FAMILY = Family(
    kind=KIND,
    status=TrainingJobStatus,
    transitions=TRANSITIONS,
    watch=watch,
    decide=decide,
    terminal=FINISHED,
    new_record=new_training_job,
    creation_message=_creation_message,
    unbuilt={"CreateTrainingJob": UNBUILT},
    operations={
        "CreateTrainingJob": create_training_job,
        "DescribeTrainingJob": describe,
        "ListTrainingJobs": list_jobs,
        "StopTrainingJob": stop,
        "DeleteTrainingJob": delete,
    },
)
