"""A processing job as a task: the contract of a processing container, from the request.

Reference: "Build Your Own Processing Container" (SageMaker Developer Guide), CreateProcessingJob (API Reference).
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from clary.core.records import Record
from clary.core.tasks import Input, Output, Task
from clary.resources.jobs.state import read_state
from clary.resources.jobs.task import DEFAULT_MAX_RUNTIME_S, as_folder, job_task, s3_input
from clary.resources.processing.state import ProcessingState

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateProcessingJobRequestTypeDef

OPT_ML = "/opt/ml/"
# Below it, and nowhere else, inputs are brought and outputs are taken from.
PROCESSING_FOLDER = "/opt/ml/processing/"


def processing_task(job: Record, task_id: str) -> Task:
    spec = request_of(job)
    network = spec.get("NetworkConfig")
    application = spec["AppSpecification"]
    task = job_task(
        job,
        task_id,
        image=application["ImageUri"],
        program=application,
        instances=spec["ProcessingResources"]["ClusterConfig"],
        log_group="ProcessingJobs",
        config="config",
        max_runtime_s=stopping_condition(spec)["MaxRuntimeInSeconds"],
        isolated=bool(network and network.get("EnableNetworkIsolation")),
    )
    return replace(
        task,
        environment=spec.get("Environment", {}),
        files={"config/processingjobconfig.json": json.dumps(_config(job), ensure_ascii=False)},
        inputs=_inputs(spec),
        outputs=_outputs(spec),
        layout="processing",
    )


def request_of(job: Record) -> CreateProcessingJobRequestTypeDef:
    """The spec with the types of AWS's service model, against which it was checked."""
    return cast("CreateProcessingJobRequestTypeDef", job.spec)


def stopping_condition(spec: CreateProcessingJobRequestTypeDef) -> dict[str, Any]:
    return {"MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME_S, **spec.get("StoppingCondition", {})}


def with_defaults(spec: CreateProcessingJobRequestTypeDef) -> dict[str, Any]:
    """The members of a request that AWS returns with its defaults filled in."""
    members: dict[str, Any] = {"StoppingCondition": stopping_condition(spec)}
    if "ProcessingInputs" in spec:
        members["ProcessingInputs"] = [_input_with_defaults(item) for item in spec["ProcessingInputs"]]
    if "ProcessingOutputConfig" in spec:
        outputs = [{"AppManaged": False, **item} for item in spec["ProcessingOutputConfig"]["Outputs"]]
        members["ProcessingOutputConfig"] = {**spec["ProcessingOutputConfig"], "Outputs": outputs}
    return members


def _input_with_defaults(item: Any) -> dict[str, Any]:
    completed = {"AppManaged": False, **copy.deepcopy(item)}
    if "S3Input" in completed:
        defaults = {"S3InputMode": "File", "S3DataDistributionType": "FullyReplicated", "S3CompressionType": "None"}
        completed["S3Input"] = {**defaults, **completed["S3Input"]}
    return completed


def _config(job: Record) -> dict[str, Any]:
    """processingjobconfig.json: the whole request, and under which ARN it runs. Programs rely on the latter."""
    return {
        "ProcessingJobArn": read_state(ProcessingState, job.state).arn,
        **job.spec,
        **with_defaults(request_of(job)),
    }


def _inputs(spec: CreateProcessingJobRequestTypeDef) -> tuple[Input, ...]:
    return tuple(
        s3_input(item["S3Input"], below_opt_ml(item["S3Input"]["LocalPath"]))
        for item in spec.get("ProcessingInputs", ())
        if not item.get("AppManaged")
    )


def _outputs(spec: CreateProcessingJobRequestTypeDef) -> tuple[Output, ...]:
    """As the request has them: no job name is appended to the URI, and outputs of a failed job are uploaded too."""
    config = spec.get("ProcessingOutputConfig")
    return tuple(
        Output(
            path=below_opt_ml(item["S3Output"]["LocalPath"]),
            uri=as_folder(item["S3Output"]["S3Uri"]),
            archive=False,
            always=True,
            links=False,
            continuous=item["S3Output"]["S3UploadMode"] == "Continuous",
        )
        for item in (config["Outputs"] if config else ())
        if not item.get("AppManaged")
    )


def below_opt_ml(path: str) -> str:
    """/opt/ml/processing/input/ as the task has it: processing/input."""
    return path.removeprefix(OPT_ML).rstrip("/")
