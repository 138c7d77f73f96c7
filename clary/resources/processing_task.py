"""A processing job as a task: the contract of a processing container, from the request.

Reference: "Build Your Own Processing Container" (SageMaker Developer Guide), CreateProcessingJob (API Reference).
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

from clary.core.records import Record
from clary.core.tasks import Input, Output, Task
from clary.resources.job_tasks import job_task, s3_input
from clary.resources.jobs import DEFAULT_MAX_RUNTIME_S

OPT_ML = "/opt/ml/"
# Below it, and nowhere else, inputs are brought and outputs are taken from.
PROCESSING = "/opt/ml/processing/"


def processing_task(job: Record, task_id: str) -> Task:
    spec = job.spec
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
        isolated=spec.get("NetworkConfig", {}).get("EnableNetworkIsolation", False),
    )
    return replace(
        task,
        environment=spec.get("Environment", {}),
        files={"config/processingjobconfig.json": json.dumps(_config(job), ensure_ascii=False)},
        inputs=_inputs(spec),
        outputs=_outputs(spec),
        layout="processing",
    )


def stopping_condition(spec: Any) -> dict[str, Any]:
    return {"MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME_S, **spec.get("StoppingCondition", {})}


def completed(spec: Any) -> dict[str, Any]:
    """The members of a request that AWS tells again with what was left to its defaults."""
    told: dict[str, Any] = {"StoppingCondition": stopping_condition(spec)}
    if "ProcessingInputs" in spec:
        told["ProcessingInputs"] = [_completed_input(given) for given in spec["ProcessingInputs"]]
    if "ProcessingOutputConfig" in spec:
        outputs = [{"AppManaged": False, **given} for given in spec["ProcessingOutputConfig"]["Outputs"]]
        told["ProcessingOutputConfig"] = {**spec["ProcessingOutputConfig"], "Outputs": outputs}
    return told


def _completed_input(given: Any) -> dict[str, Any]:
    told = {"AppManaged": False, **copy.deepcopy(given)}
    if "S3Input" in told:
        defaults = {"S3InputMode": "File", "S3DataDistributionType": "FullyReplicated", "S3CompressionType": "None"}
        told["S3Input"] = {**defaults, **told["S3Input"]}
    return told


def _config(job: Record) -> dict[str, Any]:
    """processingjobconfig.json: the whole request, and under which ARN it runs. Programs rely on the latter."""
    return {"ProcessingJobArn": job.state["arn"], **job.spec, **completed(job.spec)}


def _inputs(spec: Any) -> tuple[Input, ...]:
    return tuple(
        s3_input(given["S3Input"], below_opt_ml(given["S3Input"]["LocalPath"]))
        for given in spec.get("ProcessingInputs", ())
        if not given.get("AppManaged")
    )


def _outputs(spec: Any) -> tuple[Output, ...]:
    """Where and how they were asked for: no job name is appended, and a job that failed keeps what it had."""
    return tuple(
        Output(
            path=below_opt_ml(given["S3Output"]["LocalPath"]),
            uri=_as_folder(given["S3Output"]["S3Uri"]),
            archive=False,
            always=True,
            links=False,
            continuous=given["S3Output"]["S3UploadMode"] == "Continuous",
        )
        for given in spec.get("ProcessingOutputConfig", {}).get("Outputs", ())
        if not given.get("AppManaged")
    )


def below_opt_ml(path: str) -> str:
    """/opt/ml/processing/input/ as the task has it: processing/input."""
    return path.removeprefix(OPT_ML).rstrip("/")


def _as_folder(uri: str) -> str:
    return uri if uri.endswith("/") else f"{uri}/"
