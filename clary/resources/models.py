"""Models: an image, model data and an environment under a name, or several that requests go through in a row.

They have no life of their own.
Reference: CreateModel, DescribeModel, ListModels, DeleteModel (SageMaker API Reference).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from clary.core.decisions import Family, NoStatus
from clary.core.errors import ValidationException
from clary.core.facts import Facts
from clary.core.records import Record, Ref
from clary.resources import checks
from clary.resources.context import Context
from clary.resources.listing import list_operation
from clary.resources.operations import Request, Response, create, echo, find, new_record, remove

KIND = "model"
MISSING = 'Could not find model "{arn}".'

_ECHOED = (
    "PrimaryContainer",
    "Containers",
    "InferenceExecutionConfig",
    "ExecutionRoleArn",
    "VpcConfig",
)
_CONTAINER_UNBUILT = {
    "Mode=MultiModel": "make one model for each artefact, or use one endpoint with several variants",
    "ModelPackageName": "give Image and ModelDataUrl",
    "AdditionalModelDataSources": "put the data into the model's own archive",
    "MultiModelConfig": "leave it out",
    "ModelDataSource.S3DataSource.HubAccessConfig": "give the S3 URI of the model itself",
    "ModelDataSource.S3DataSource.ManifestS3Uri": "give the S3 URI of the model itself",
}
UNBUILT = {
    "InferenceExecutionConfig.Mode=Direct": "use Serial, or one variant for each container",
    **{f"PrimaryContainer.{member}": instead for member, instead in _CONTAINER_UNBUILT.items()},
    **{f"Containers[].{member}": instead for member, instead in _CONTAINER_UNBUILT.items()},
}


async def create_model(context: Context, request: Request) -> Response:
    containers = _containers(request)
    for path, container in containers.items():
        _check(path, container)
    _hostnames(list(containers.values()))
    if context.strict:
        role = request.get("ExecutionRoleArn", "none")
        for container in containers.values():
            await checks.image(context, container["Image"], role)
            await asyncio.to_thread(checks.model_data, context, container, role)
    arn = await create(
        context,
        KIND,
        request,
        taken=ValidationException,
        taken_text='Cannot create already existing model "{arn}". A model with this name already exists.',
    )
    return {"ModelArn": arn}


def new_model(request: Mapping[str, Any], facts: Facts) -> Record:
    return new_record(KIND, request["ModelName"], request, facts)


def _containers(request: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Path in the request -> the container there, in order. Raises ValidationException for none, and for both forms."""
    primary, several = request.get("PrimaryContainer"), request.get("Containers")
    if primary and several:
        raise ValidationException("Both PrimaryContainer and Containers are given: keep one of them.")
    if not primary and not several:
        raise ValidationException("Neither PrimaryContainer nor Containers is given: a model needs a container.")
    if primary:
        return {"PrimaryContainer": dict(primary)}
    return {f"Containers[{index}]": dict(container) for index, container in enumerate(several or ())}


def _check(path: str, container: Mapping[str, Any]) -> None:
    if not container.get("Image"):
        raise ValidationException(f"{path}.Image is missing: give the URI of an inference image.")
    if "ModelDataUrl" in container and "ModelDataSource" in container:
        raise ValidationException(f"Both ModelDataUrl and ModelDataSource are given in {path}: keep one of them.")


def _hostnames(containers: Sequence[Mapping[str, Any]]) -> list[str]:
    """The containers' names: the request's, for all of them or for none."""
    given = [container["ContainerHostname"] for container in containers if container.get("ContainerHostname")]
    if not given:
        return [f"container-{number}" for number in range(1, len(containers) + 1)]
    if len(given) < len(containers):
        raise ValidationException("ContainerHostname is given for some containers: give it for all, or for none.")
    if twice := [name for name in given if given.count(name) > 1]:
        raise ValidationException(f"ContainerHostname {twice[0]!r} is given twice: each container needs its own.")
    return given


def containers_of(model: Record) -> dict[str, dict[str, Any]]:
    """Name -> container definition, in the order in which requests go through them, of a model that was created."""
    containers = list(_containers(model.spec).values())
    return dict(zip(_hostnames(containers), containers, strict=True))


async def describe(context: Context, request: Request) -> Response:
    model = await find(context, Ref(KIND, request["ModelName"]), MISSING)
    return {
        "ModelName": model.name,
        "ModelArn": context.account.arn(KIND, model.name),
        "CreationTime": model.created,
        "EnableNetworkIsolation": model.spec.get("EnableNetworkIsolation", False),
        **echo(model, _ECHOED),
    }


async def delete(context: Context, request: Request) -> Response:
    """Endpoints that serve the model keep their copy of it."""
    await remove(context, Ref(KIND, request["ModelName"]), MISSING)
    return {}


def _summary(context: Context, model: Record) -> Response:
    return {
        "ModelName": model.name,
        "ModelArn": context.account.arn(KIND, model.name),
        "CreationTime": model.created,
    }


FAMILY = Family(
    kind=KIND,
    status=NoStatus,
    transitions={},
    new_record=new_model,
    unbuilt={"CreateModel": UNBUILT},
    operations={
        "CreateModel": create_model,
        "DescribeModel": describe,
        "ListModels": list_operation(KIND, "Models", _summary),
        "DeleteModel": delete,
    },
)
