"""What callers may ask of training jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clary.core.errors import ValidationException
from clary.core.facts import Facts
from clary.core.instances import resources_for
from clary.core.records import Record, Ref
from clary.resources import algorithms, checks
from clary.resources.context import Context
from clary.resources.jobs import operations as jobs
from clary.resources.jobs.decide import task_id
from clary.resources.jobs.state import JobState, read_state
from clary.resources.jobs.status import FINISHED
from clary.resources.jobs.task import DEFAULT_MAX_RUNTIME_S
from clary.resources.listing import list_operation
from clary.resources.operations import Request, Response, echo, edit
from clary.resources.training import KIND, Status
from clary.resources.training.kind import TRAINING
from clary.resources.training.state import TrainingState
from clary.resources.training.task import CHECKPOINTS

MISSING = "Requested resource not found."
MAX_RUNTIME_S = 2_419_200
MAX_METRICS = 40  # that a response may hold

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


async def create(context: Context, request: Request) -> Response:
    _check(request)
    if context.strict:
        await _check_image_and_data(context, request)
    return {"TrainingJobArn": await jobs.create(context, TRAINING, request)}


def new_training_job(request: Mapping[str, Any], facts: Facts) -> Record:
    name = request["TrainingJobName"]
    resources, _ = resources_for(request["ResourceConfig"]["InstanceType"], facts.machine)
    state = TrainingState(
        arn=facts.account.arn(KIND, name),
        resources=resources,
        metric_definitions=tuple(
            (metric, regex) for metric, regex in algorithms.metric_definitions(request["AlgorithmSpecification"])
        ),
    )
    return jobs.new_job(KIND, name, request, facts, state)


def creation_message(job: Record) -> str:
    return jobs.creation_message(TRAINING, job.spec["ResourceConfig"]["InstanceType"], job)


def _check(request: Request) -> None:
    """Checks beyond those of the shapes. Raises ValidationException."""
    if "TrainingImage" not in request.get("AlgorithmSpecification", {}):
        raise ValidationException("AlgorithmSpecification.TrainingImage is missing: give the URI of a training image.")
    jobs.check_instances(TRAINING, "ResourceConfig", request.get("ResourceConfig", {}))
    stopping = request.get("StoppingCondition", {})
    if stopping.get("MaxRuntimeInSeconds", 0) > MAX_RUNTIME_S:
        raise ValidationException(
            f"StoppingCondition.MaxRuntimeInSeconds = {stopping['MaxRuntimeInSeconds']}: must be at most "
            f"{MAX_RUNTIME_S} (28 days)."
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


async def _check_image_and_data(context: Context, request: Request) -> None:
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
    return await jobs.stop(context, TRAINING, request["TrainingJobName"], MISSING)


async def delete(context: Context, request: Request) -> Response:
    def deleting(job: Record) -> Record | None:
        if job.status == Status.DELETING:
            return None
        jobs.check_ended(TRAINING, job)
        return replace(job, status=Status.DELETING)

    await edit(context, Ref(KIND, request["TrainingJobName"]), MISSING, deleting)
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


async def describe(context: Context, request: Request) -> Response:
    job = await jobs.find_for_describe(context, Ref(KIND, request["TrainingJobName"]), MISSING)
    state = TRAINING.read(job.state)
    metrics = await _current_metrics(context, job) if state.metrics is None else state.metrics
    response: Response = {
        **echo(job, _ECHOED),
        "TrainingJobName": job.name,
        "TrainingJobArn": state.arn,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.detail,
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME_S, **job.spec.get("StoppingCondition", {})},
        "SecondaryStatusTransitions": await _transitions(context, job),
        "FinalMetricDataList": [
            {"MetricName": name, "Value": value, "Timestamp": at}
            for name, (value, at) in list(metrics.items())[:MAX_METRICS]
        ],
    }
    response["OutputDataConfig"] = {"KmsKeyId": "", "CompressionType": "GZIP", **job.spec["OutputDataConfig"]}
    response["AlgorithmSpecification"] = {
        "EnableSageMakerMetricsTimeSeries": False,
        **job.spec["AlgorithmSpecification"],
        "MetricDefinitions": _metric_definitions(state, metrics),
    }
    for member in ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining"):
        response[member] = job.spec.get(member, False)
    if job.reason:
        response["FailureReason"] = job.reason
    if state.model_artifacts is not None:
        response["ModelArtifacts"] = {"S3ModelArtifacts": state.model_artifacts}
    return response | _times(state)


async def _current_metrics(context: Context, job: Record) -> Mapping[str, tuple[float, float]]:
    """Those that the job's task has printed so far."""
    task = (await context.backend.poll([task_id(job)])).get(task_id(job))
    return {name: (metric.value, metric.at) for name, metric in task.metrics.items()} if task else {}


def _metric_definitions(state: TrainingState, printed: Mapping[str, Any]) -> list[Response]:
    """Those whose metrics were printed come first: the built-in algorithm has more than fit."""
    definitions = sorted(state.metric_definitions, key=lambda definition: definition[0] not in printed)
    return [{"Name": name, "Regex": regex} for name, regex in definitions[:MAX_METRICS]]


async def _transitions(context: Context, job: Record) -> list[Response]:
    history = await context.store.history(job)
    ends = [transition.at for transition in history[1:]]
    entries: list[Response] = []
    for index, transition in enumerate(history):
        entry: Response = {
            "Status": transition.status,
            "StartTime": transition.at,
            "StatusMessage": transition.message,
        }
        if index < len(ends):
            entry["EndTime"] = ends[index]
        elif job.status in FINISHED:
            entry["EndTime"] = transition.at
        entries.append(entry)
    return entries


def _times(state: TrainingState) -> Response:
    started, ended = jobs.times(state)
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
    state = read_state(JobState, job.state)  # its metrics are not in a summary, and a page has many
    _, ended = jobs.times(state)
    return {
        "TrainingJobName": job.name,
        "TrainingJobArn": state.arn,
        "CreationTime": job.created,
        "LastModifiedTime": job.modified,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.detail,
    } | ({"TrainingEndTime": ended} if ended else {})


async def list_jobs(context: Context, request: Request) -> Response:
    """There are no warm pools and no training plans here, so their filters match no job."""
    if "WarmPoolStatusEquals" in request or "TrainingPlanArnEquals" in request:
        return {"TrainingJobSummaries": []}
    return await _list_jobs(context, request)


_list_jobs = list_operation(KIND, "TrainingJobSummaries", _summary, sort_order="Ascending")
