"""A training job as a task: the /opt/ml contract, from the request.

Reference: "How Amazon SageMaker Provides Training Information" (SageMaker Developer Guide).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from clary.core.records import Record
from clary.core.tasks import Input, Output, Task
from clary.resources.jobs.state import read_state
from clary.resources.jobs.task import DEFAULT_MAX_RUNTIME_S, as_folder, distribution, job_task, s3_input
from clary.resources.training.state import TrainingState
from clary.resources.user_code import staged_code, submit_directory

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import CreateTrainingJobRequestTypeDef

CHECKPOINTS = "/opt/ml/checkpoints"


def training_task(job: Record, task_id: str) -> Task:
    spec = cast("CreateTrainingJobRequestTypeDef", job.spec)
    state = read_state(TrainingState, job.state)
    algorithm = spec["AlgorithmSpecification"]
    task = job_task(
        job,
        task_id,
        image=algorithm["TrainingImage"],
        program=algorithm,
        instances=spec["ResourceConfig"],
        log_group="TrainingJobs",
        config="input/config",
        max_runtime_s=spec.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_S),
        isolated=spec.get("EnableNetworkIsolation", False),
    )
    code, code_environment = staged_code(algorithm["TrainingImage"], submit_directory(spec.get("HyperParameters", {})))
    return replace(
        task,
        command="train",
        environment={
            **spec.get("Environment", {}),
            "TRAINING_JOB_NAME": job.name,
            "TRAINING_JOB_ARN": state.arn,
            **code_environment,
        },
        files=_files(spec),
        inputs=_inputs(spec) + code,
        outputs=_outputs(job.name, spec),
        metrics=state.metric_definitions,
        metric_dimensions={"TrainingJobName": job.name},
    )


def _files(spec: CreateTrainingJobRequestTypeDef) -> dict[str, str]:
    """The configuration files. Hyperparameters are kept to the letter: every value a string, as sent."""
    files = {
        "input/config/hyperparameters.json": json.dumps(spec.get("HyperParameters", {}), ensure_ascii=False),
        "input/config/inputdataconfig.json": json.dumps(_input_data_config(spec)),
    }
    if "CheckpointConfig" in spec:
        files["input/config/checkpointconfig.json"] = json.dumps(spec["CheckpointConfig"])
    if "DebugHookConfig" in spec:
        files["input/config/debughookconfig.json"] = json.dumps(spec["DebugHookConfig"])
    if "ProfilerConfig" in spec:
        files["input/config/profilerconfig.json"] = json.dumps(spec["ProfilerConfig"])
    return files


def _input_data_config(spec: CreateTrainingJobRequestTypeDef) -> dict[str, dict[str, str]]:
    """Key names differ from the API's. S3DistributionType must be there, or AWS's XGBoost dies."""
    config = {}
    for channel in spec.get("InputDataConfig", ()):
        entry = {
            "TrainingInputMode": channel.get("InputMode", spec["AlgorithmSpecification"]["TrainingInputMode"]),
            "S3DistributionType": distribution(channel["DataSource"]["S3DataSource"]),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        if "ContentType" in channel:
            entry["ContentType"] = channel["ContentType"]
        config[channel["ChannelName"]] = entry
    return config


def _inputs(spec: CreateTrainingJobRequestTypeDef) -> tuple[Input, ...]:
    inputs = [
        s3_input(
            channel["DataSource"]["S3DataSource"],
            f"input/data/{channel['ChannelName']}",
            channel.get("ShuffleConfig", {}).get("Seed"),
        )
        for channel in spec.get("InputDataConfig", ())
    ]
    if "CheckpointConfig" in spec:
        inputs.append(Input("prefix", as_folder(spec["CheckpointConfig"]["S3Uri"]), "checkpoints", optional=True))
    return tuple(inputs)


def _outputs(name: str, spec: CreateTrainingJobRequestTypeDef) -> tuple[Output, ...]:
    """Model and output data go below the job's name; checkpoints exactly where the request has them."""
    base = f"{spec['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{name}/output"
    plain = spec["OutputDataConfig"].get("CompressionType", "GZIP") == "NONE"
    outputs = [
        Output("model", f"{base}/model/" if plain else f"{base}/model.tar.gz", archive=not plain, empty=True),
        Output("output/data", f"{base}/data/" if plain else f"{base}/output.tar.gz", archive=not plain, always=True),
    ]
    if "CheckpointConfig" in spec:
        outputs.append(Output("checkpoints", as_folder(spec["CheckpointConfig"]["S3Uri"]), archive=False, always=True))
    return tuple(outputs)
