"""Inference pipelines: a model of several containers, as a replica's task.

Containers that are all programs of Clary's own, and run none of the user's code, become one program (*fused*): nothing
goes over HTTP between them. Any others become the hosts of one task, a program or container each, with a port, a log
and an /opt/ml of its own; the gateway takes each request through them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from clary.compute.images import built_in
from clary.core.settings import Settings
from clary.core.tasks import Input, PipelineContainer, Task
from clary.resources.endpoints.state import Container, ModelData, Variant
from clary.resources.user_code import staged_code

# A container that names a script runs the user's code in place of the algorithm.
_SCRIPT = "SAGEMAKER_PROGRAM"


def fusible(containers: Sequence[Container], settings: Settings) -> bool:
    """Whether the containers of a pipeline can be one program."""
    if settings.backend == "oci":
        return False
    for container in containers:
        image = built_in(container.image)
        if image is None or not image.algorithm.fusible or container.environment.get(_SCRIPT):
            return False
        if settings.runtime_versions == "exact" and image.version:
            return False  # it has an environment of packages of its own
    return True


def as_pipeline(task: Task, variant: Variant) -> Task:
    """The task of a replica with all containers of its variant."""
    return _fused(task, variant.containers) if variant.fused else _chained(task, variant.containers)


def _fused(task: Task, containers: Sequence[Container]) -> Task:
    programs = []
    inputs = []
    for container in containers:
        image = built_in(container.image)
        assert image is not None
        path = f"pipeline/{container.name}/model"
        programs.append(
            {
                "name": container.name,
                "program": image.name,
                "environment": dict(container.environment),
                "model": path,
            }
        )
        if container.model:
            inputs.append(_model_input(container.model, path))
    return dataclasses.replace(
        task,
        image=containers[0].image,
        entrypoint=("python", "-m", "clary.tasks.pipeline"),
        files={"input/config/pipeline.json": json.dumps(programs)},
        environment=containers[-1].environment,  # the model's own, for what the host itself reads
        inputs=tuple(inputs),
    )


def _chained(task: Task, containers: Sequence[Container]) -> Task:
    return dataclasses.replace(
        task,
        image=containers[0].image,
        hosts=tuple(container.name for container in containers),
        pipeline={container.name: pipeline_container(container) for container in containers},
        log_stream=f"{task.log_stream}/{{host}}",
    )


def pipeline_container(container: Container) -> PipelineContainer:
    """What a container is to a replica's task."""
    code, code_environment = staged_code(container.image, container.environment.get("SAGEMAKER_SUBMIT_DIRECTORY"))
    model = (_model_input(container.model, "model"),) if container.model else ()
    return PipelineContainer(container.image, {**container.environment, **code_environment}, model + code)


def _model_input(model: ModelData, path: str) -> Input:
    return Input("archive" if model.is_archive else "prefix", model.uri, path, writable=False)
