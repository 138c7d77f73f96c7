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
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any

from clary.core.decisions import Decision, Do, Erase, Family, Forget, Launch, Move, Seen, Stop, Wait, Watch
from clary.core.errors import ResourceInUse, ValidationException
from clary.core.records import Record
from clary.core.tasks import Cause, Phase, TaskState
from clary.resources import algorithms, checks
from clary.resources.common import Request, Response, change, create, echo, find, refuse_unbuilt
from clary.resources.context import Context
from clary.resources.first_look import first_look
from clary.resources.listing import list_operation
from clary.resources.training_task import CHECKPOINTS, DEFAULT_MAX_RUNTIME_S, STOP_GRACE_S, training_task

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
FINISHED = (Status.COMPLETED, Status.FAILED, Status.STOPPED)


# ---- what to do next ----


def task_id(job: Record) -> str:
    """The same before and after a restart; a retry is another task."""
    return _task_id(job, job.state.get("attempt", 0))


def _task_id(job: Record, attempt: int) -> str:
    return f"{job.name}-{job.uid}-{attempt}"


def _earlier(job: Record) -> tuple[str, ...]:
    """The task that was lost before this attempt. Those before it were forgotten before it began."""
    attempt = job.state.get("attempt", 0)
    return (_task_id(job, attempt - 1),) if attempt else ()


def watch(job: Record) -> Watch:
    return Watch(tasks=(task_id(job), *_earlier(job)))


def decide(job: Record, seen: Seen, now: datetime) -> Decision:
    for lost in _earlier(job):
        if seen.task(lost).phase is not Phase.ABSENT:  # with it goes what its supervisor left running
            return Do(Forget(lost))
    task = seen.task(task_id(job))
    match job.status:
        case Status.IN_PROGRESS | Status.STOPPING if (stage := _next_stage(job, task)) is not None:
            return stage
        case Status.IN_PROGRESS:
            return _in_progress(job, task, now)
        case Status.STOPPING if task.phase is Phase.ABSENT:
            return _stopped(task, now)  # nothing was launched yet
        case Status.STOPPING if task.phase.over:
            return _stopped(task, now)
        case Status.STOPPING if task.phase is not Phase.COLLECTING:
            return Do(Stop((task_id(job),), STOP_GRACE_S))
        case Status.DELETING if task.phase is Phase.ABSENT:
            return Do(Erase())
        case Status.COMPLETED | Status.FAILED | Status.STOPPED | Status.DELETING if task.phase is not Phase.ABSENT:
            return Do(Forget(task_id(job)))
    return Wait()


def _in_progress(job: Record, task: TaskState, now: datetime) -> Decision:
    match task.phase:
        case Phase.ABSENT if job.detail == "Restarting":
            return Move(Status.IN_PROGRESS, detail="Starting", message="Starting the training job")
        case Phase.ABSENT:
            return Do(Launch(training_task(job, task_id(job))))
        case Phase.LOST:
            return _lost(job, task, now)
        case Phase.EXITED if task.cause is Cause.TIME_LIMIT:
            return Move(
                Status.STOPPED,
                detail="MaxRuntimeExceeded",
                message="Training job runtime exceeded MaxRuntimeInSeconds",
                state=_results(task, now),
            )
        case Phase.EXITED if task.failure:
            return Move(
                Status.FAILED,
                detail="Failed",
                message="Training job failed",
                reason=task.failure,
                state=_results(task, now),
            )
        case Phase.EXITED:
            return Move(
                Status.COMPLETED, detail="Completed", message="Training job completed", state=_results(task, now)
            )
    return Wait()


def _lost(job: Record, task: TaskState, now: datetime) -> Decision:
    """The platform's own failure: tried again where the job says so (RetryStrategy), else it fails."""
    attempt = job.state.get("attempt", 0)
    if attempt < job.spec.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0):
        return Move(
            Status.IN_PROGRESS,
            detail="Restarting",
            message="Restarting the training job",
            state={"attempt": attempt + 1, "told": []},
        )
    reason = task.failure or (
        "InternalServerError: the job's supervisor ended unexpectedly (killed, or the machine was restarted). "
        "Start the job again; with RetryStrategy it would have been started again by itself."
    )
    return Move(Status.FAILED, detail="Failed", message="Training job failed", reason=reason, state=_results(task, now))


def _stopped(task: TaskState, now: datetime) -> Move:
    return Move(Status.STOPPED, detail="Stopped", message="Training job stopped", state=_results(task, now))


# SecondaryStatus -> its message, and when the task came to it. In order.
_STAGES = {
    "Pending": "Training job waiting for capacity",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
}


def _next_stage(job: Record, task: TaskState) -> Move | None:
    """One stage the task has come to and the record does not tell of yet. A quick task is past several at once."""
    reached = {
        "Pending": task.phase is Phase.PENDING,
        "Downloading": task.staging_at > 0,
        "Training": task.started_at > 0,
        "Uploading": task.ended_at > 0 and (bool(task.uploaded) or task.phase is Phase.COLLECTING),
    }
    times = {"Downloading": task.staging_at, "Training": task.started_at, "Uploading": task.ended_at}
    told: list[str] = job.state.get("told", [])
    names = list(_STAGES)
    done = max((names.index(name) for name in told), default=-1)
    for name in names[done + 1 :]:
        if reached[name]:
            moment = datetime.fromtimestamp(times[name], UTC) if name in times else None
            started = {"training_start": times[name]} if name == "Downloading" else {}
            return Move(
                Status(job.status),
                detail=name,
                message=_STAGES[name],
                state={"told": [*told, name], **started},
                at=moment,
            )
    return None


def _results(task: TaskState, now: datetime) -> dict[str, Any]:
    """What the record keeps of a task that is over."""
    results: dict[str, Any] = {
        "metrics": {name: [metric.value, metric.at] for name, metric in task.metrics.items()},
        "training_end": task.over_at or now.timestamp(),
    }
    if "model" in task.uploaded:
        results["model_artifacts"] = task.uploaded["model"]
    return results


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
    refuse_unbuilt("CreateTrainingJob", request, UNBUILT)
    _check(request)
    if context.strict:
        await _check_what_it_needs(context, request)
    name = request["TrainingJobName"]
    held, told = checks.held_by(context, request["ResourceConfig"]["InstanceType"])
    arn = await create(
        context,
        KIND,
        name,
        request,
        taken=ResourceInUse,
        taken_text="Training job names must be unique within an AWS account and region, and a training job with this "
        "name already exists ({arn})",
        status=Status.IN_PROGRESS,
        detail="Starting",
        message=f"Starting the training job{told}",
        state={
            "arn": context.account.arn(KIND, name),
            "resources": asdict(held),
            "metric_definitions": algorithms.metric_definitions(request["AlgorithmSpecification"]),
        },
    )
    return {"TrainingJobArn": arn}


def _check(request: Request) -> None:
    """What the shapes cannot say. Raises ValidationException."""
    if "TrainingImage" not in request.get("AlgorithmSpecification", {}):
        raise ValidationException("AlgorithmSpecification.TrainingImage is missing: give the URI of a training image.")
    resources = request.get("ResourceConfig", {})
    for member in ("InstanceType", "InstanceCount"):
        if member not in resources:
            raise ValidationException(f"ResourceConfig.{member} is missing: a training job needs it.")
    if resources["InstanceCount"] < 1:
        raise ValidationException("ResourceConfig.InstanceCount = 0: a training job needs at least 1.")
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
    while True:
        job = await find(context, KIND, request["TrainingJobName"], MISSING)
        if job.status == Status.STOPPING:
            return {}
        if job.status != Status.IN_PROGRESS:
            raise ValidationException(f"The request was rejected because the training job is in status {job.status}.")
        stopping = replace(job, status=Status.STOPPING, detail="Stopping")
        if await change(context, job, stopping, "Stopping the training job"):
            return {}


async def delete(context: Context, request: Request) -> Response:
    while True:
        job = await find(context, KIND, request["TrainingJobName"], MISSING)
        if job.status == Status.DELETING:
            return {}
        if job.status not in FINISHED:
            raise ResourceInUse(
                f"The training job is in status {job.status}: stop it, and delete it when it has ended."
            )
        if await change(context, job, replace(job, status=Status.DELETING)):
            return {}


def _under_way(job: Record) -> bool:
    """Whether it may be done any moment; one that waits for room may wait long."""
    return job.status in (Status.IN_PROGRESS, Status.STOPPING) and job.detail != "Pending"


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
    job = await first_look(context, partial(find, context, KIND, request["TrainingJobName"], MISSING), _under_way)
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
    started, ended = job.state.get("training_start"), job.state.get("training_end")
    times: Response = {}
    if started:
        times["TrainingStartTime"] = datetime.fromtimestamp(started, UTC)
    if ended:
        times["TrainingEndTime"] = datetime.fromtimestamp(ended, UTC)
    if started and ended:
        seconds = max(1, round(ended - started))  # the model knows no job of zero seconds
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
    settled=FINISHED,
    operations={
        "CreateTrainingJob": create_training_job,
        "DescribeTrainingJob": describe,
        "ListTrainingJobs": list_jobs,
        "StopTrainingJob": stop,
        "DeleteTrainingJob": delete,
    },
)
