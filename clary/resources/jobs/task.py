"""Jobs as tasks: what every family's task has in common.

Reference: "How Amazon SageMaker Provides Training Information", "How Amazon SageMaker Processing Configures Input and
Output For Your Processing Container" (SageMaker Developer Guide).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from clary.core.records import Record
from clary.core.tasks import Input, Task
from clary.resources.jobs.state import JobState, read_state

# Every Stop promises 120 s between SIGTERM and SIGKILL, to save checkpoints.
STOP_GRACE_S = 120
DEFAULT_MAX_RUNTIME_S = 86400


def job_task(
    job: Record,
    task_id: str,
    *,
    image: str,
    program: Mapping[str, Any],
    instances: Mapping[str, Any],
    log_group: str,
    config: str,
    max_runtime_s: float,
    isolated: bool,
) -> Task:
    """The task of a job, but for its environment, data and configuration files.

    program     where ContainerEntrypoint and ContainerArguments stand
    instances   where InstanceType and InstanceCount stand
    log_group   "TrainingJobs" for /aws/sagemaker/TrainingJobs
    config      the folder of its configuration files, relative to /opt/ml
    """
    hosts = tuple(f"algo-{number}" for number in range(1, instances["InstanceCount"] + 1))
    return Task(
        id=task_id,
        owner=(job.kind, job.name, job.uid),
        image=image,
        command="",
        entrypoint=tuple(program.get("ContainerEntrypoint", ())),
        arguments=tuple(program.get("ContainerArguments", ())),
        hosts=hosts,
        host_files={f"{config}/resourceconfig.json": _resource_config(instances["InstanceType"], hosts)},
        resources=read_state(JobState, job.state).resources,
        log_group=f"/aws/sagemaker/{log_group}",
        log_stream=f"{job.name}/{{host}}-{int(job.created.timestamp() * 1000)}",
        max_runtime_s=max_runtime_s,
        grace_s=STOP_GRACE_S,
        queued_at=job.created.timestamp(),
        isolated=isolated,
    )


def s3_input(source: Mapping[str, Any], path: str, shuffle_seed: int | None = None) -> Input:
    """The objects that an S3DataSource or a ProcessingS3Input names, brought to a path relative to /opt/ml."""
    return Input(
        kind="manifest" if source["S3DataType"] == "ManifestFile" else "prefix",
        uri=source["S3Uri"],
        path=path,
        sharded=distribution(source) == "ShardedByS3Key",
        shuffle_seed=shuffle_seed,
    )


def distribution(source: Mapping[str, Any]) -> str:
    return str(source.get("S3DataDistributionType", "FullyReplicated"))


def as_folder(uri: str) -> str:
    return uri if uri.endswith("/") else f"{uri}/"


def _resource_config(instance_type: str, hosts: tuple[str, ...]) -> str:
    group = "homogeneousCluster"
    return json.dumps(
        {
            "current_host": "{host}",
            "current_instance_type": instance_type,
            "current_group_name": group,
            "hosts": sorted(hosts),
            "instance_groups": [{"instance_group_name": group, "instance_type": instance_type, "hosts": sorted(hosts)}],
            "network_interface_name": "{network_interface}",  # the backend knows it
        }
    )
