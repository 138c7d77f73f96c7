"""Inference pipelines: a model of several containers, as a replica's task.

Containers that are all programs of Clary's own, and run none of the user's code, become one program (*fused*): nothing
goes over HTTP between them. Any others become the hosts of one task, a program or container each, with a port, a log
and an /opt/ml of its own; the gateway takes each request through them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from clary.compute.images import built_in
from clary.core.settings import Settings
from clary.core.tasks import Input, Link, Task
from clary.resources.user_code import staged_code

# A container that names a script runs the user's code in place of the algorithm.
_SCRIPT = "SAGEMAKER_PROGRAM"


def fusible(containers: Sequence[Mapping[str, Any]], settings: Settings) -> bool:
    """Whether the containers of a pipeline can be one program. Each has `image` and `environment`."""
    if settings.backend == "oci":
        return False
    for container in containers:
        image = built_in(container["image"])
        if image is None or not image.algorithm.fusible or container["environment"].get(_SCRIPT):
            return False
        if settings.runtime_versions == "exact" and image.version:
            return False  # it has an environment of packages of its own
    return True


def as_pipeline(task: Task, containers: Sequence[Mapping[str, Any]], *, fused: bool) -> Task:
    """The task of a replica with these containers: name, image, environment, model (an Input, or None)."""
    return _fused(task, containers) if fused else _chained(task, containers)


def _fused(task: Task, containers: Sequence[Mapping[str, Any]]) -> Task:
    said = []
    inputs = []
    for one in containers:
        image = built_in(one["image"])
        assert image is not None
        place = f"pipeline/{one['name']}/model"
        said.append(
            {"name": one["name"], "program": image.name, "environment": dict(one["environment"]), "model": place}
        )
        if one["model"]:
            inputs.append(dataclasses.replace(Input(**one["model"]), path=place))
    return dataclasses.replace(
        task,
        image=containers[0]["image"],
        entrypoint=("python", "-m", "clary.tasks.pipeline"),
        files={"input/config/pipeline.json": json.dumps(said)},
        environment=containers[-1]["environment"],  # the model's own, for what the host itself reads
        inputs=tuple(inputs),
    )


def _chained(task: Task, containers: Sequence[Mapping[str, Any]]) -> Task:
    return dataclasses.replace(
        task,
        image=containers[0]["image"],
        hosts=tuple(one["name"] for one in containers),
        pipeline={one["name"]: link_of(one) for one in containers},
        log_stream=f"{task.log_stream}/{{host}}",
    )


def link_of(container: Mapping[str, Any]) -> Link:
    """What a container is to a replica's task."""
    code, told = staged_code(container["image"], container["environment"].get("SAGEMAKER_SUBMIT_DIRECTORY"))
    model = (Input(**container["model"]),) if container["model"] else ()
    return Link(container["image"], {**container["environment"], **told}, model + code)
