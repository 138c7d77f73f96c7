"""A training job as a task: the /opt/ml contract, from the request.

Reference: "How Amazon SageMaker Provides Training Information" (SageMaker Developer Guide).
"""

from __future__ import annotations

import json
from typing import Any

from clary.core.records import Record
from clary.core.tasks import Input, Output, Resources, Task
from clary.resources.user_code import staged_code, submit_directory

# The interface that NCCL, Gloo and MPI bind to: hosts of a job share this machine.
NETWORK_INTERFACE = "lo"
DEFAULT_MAX_RUNTIME_S = 86400
# StopTrainingJob promises 120 s between SIGTERM and SIGKILL, to save checkpoints.
STOP_GRACE_S = 120
CHECKPOINTS = "/opt/ml/checkpoints"


def training_task(job: Record, task_id: str) -> Task:
    spec = job.spec
    algorithm, resources = spec["AlgorithmSpecification"], spec["ResourceConfig"]
    hosts = tuple(f"algo-{number}" for number in range(1, resources["InstanceCount"] + 1))
    stream_at_ms = int(job.created.timestamp() * 1000)
    code, told = staged_code(algorithm["TrainingImage"], submit_directory(spec.get("HyperParameters", {})))
    return Task(
        id=task_id,
        owner=(job.kind, job.name, job.uid),
        image=algorithm["TrainingImage"],
        command="train",
        entrypoint=tuple(algorithm.get("ContainerEntrypoint", ())),
        arguments=tuple(algorithm.get("ContainerArguments", ())),
        environment={
            **spec.get("Environment", {}),
            "TRAINING_JOB_NAME": job.name,
            "TRAINING_JOB_ARN": job.state["arn"],
            **told,
        },
        hosts=hosts,
        files=_files(spec),
        host_files={"input/config/resourceconfig.json": _resource_config(resources["InstanceType"], hosts)},
        inputs=_inputs(spec) + code,
        outputs=_outputs(job.name, spec),
        resources=Resources(**job.state["resources"]),
        log_group="/aws/sagemaker/TrainingJobs",
        log_stream=f"{job.name}/{{host}}-{stream_at_ms}",
        metrics=tuple((name, regex) for name, regex in job.state["metric_definitions"]),
        max_runtime_s=spec.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_S),
        grace_s=STOP_GRACE_S,
        queued_at=job.created.timestamp(),
        isolated=spec.get("EnableNetworkIsolation", False),
    )


def _files(spec: Any) -> dict[str, str]:
    """The configuration files. Hyperparameters are kept to the letter: every value a string, as sent."""
    files = {
        "input/config/hyperparameters.json": json.dumps(spec.get("HyperParameters", {}), ensure_ascii=False),
        "input/config/inputdataconfig.json": json.dumps(_input_data_config(spec)),
    }
    for member, name in (
        ("CheckpointConfig", "checkpointconfig"),
        ("DebugHookConfig", "debughookconfig"),
        ("ProfilerConfig", "profilerconfig"),
    ):
        if member in spec:
            files[f"input/config/{name}.json"] = json.dumps(spec[member])
    return files


def _input_data_config(spec: Any) -> dict[str, dict[str, str]]:
    """Key names differ from the API's. S3DistributionType must be there, or AWS's XGBoost dies."""
    config = {}
    for channel in spec.get("InputDataConfig", ()):
        entry = {
            "TrainingInputMode": channel.get("InputMode", spec["AlgorithmSpecification"]["TrainingInputMode"]),
            "S3DistributionType": _distribution(channel),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        if "ContentType" in channel:
            entry["ContentType"] = channel["ContentType"]
        config[channel["ChannelName"]] = entry
    return config


def _distribution(channel: Any) -> str:
    return str(channel["DataSource"]["S3DataSource"].get("S3DataDistributionType", "FullyReplicated"))


def _resource_config(instance_type: str, hosts: tuple[str, ...]) -> str:
    group = "homogeneousCluster"
    return json.dumps(
        {
            "current_host": "{host}",
            "current_instance_type": instance_type,
            "current_group_name": group,
            "hosts": sorted(hosts),
            "instance_groups": [{"instance_group_name": group, "instance_type": instance_type, "hosts": sorted(hosts)}],
            "network_interface_name": NETWORK_INTERFACE,
        }
    )


def _inputs(spec: Any) -> tuple[Input, ...]:
    inputs = [
        Input(
            how="manifest" if channel["DataSource"]["S3DataSource"]["S3DataType"] == "ManifestFile" else "prefix",
            uri=channel["DataSource"]["S3DataSource"]["S3Uri"],
            path=f"input/data/{channel['ChannelName']}",
            sharded=_distribution(channel) == "ShardedByS3Key",
            shuffle_seed=channel.get("ShuffleConfig", {}).get("Seed"),
        )
        for channel in spec.get("InputDataConfig", ())
    ]
    if "CheckpointConfig" in spec:
        inputs.append(Input("prefix", _as_folder(spec["CheckpointConfig"]["S3Uri"]), "checkpoints", optional=True))
    return tuple(inputs)


def _outputs(name: str, spec: Any) -> tuple[Output, ...]:
    """Model and output data go below the job's name; checkpoints exactly where they were asked for."""
    base = f"{spec['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{name}/output"
    plain = spec["OutputDataConfig"].get("CompressionType", "GZIP") == "NONE"
    outputs = [
        Output("model", f"{base}/model/" if plain else f"{base}/model.tar.gz", archive=not plain, empty=True),
        Output("output/data", f"{base}/data/" if plain else f"{base}/output.tar.gz", archive=not plain, always=True),
    ]
    if "CheckpointConfig" in spec:
        outputs.append(Output("checkpoints", _as_folder(spec["CheckpointConfig"]["S3Uri"]), archive=False, always=True))
    return tuple(outputs)


def _as_folder(uri: str) -> str:
    return uri if uri.endswith("/") else f"{uri}/"
