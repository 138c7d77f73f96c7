"""Models: an image, model data and an environment under a name. They have no life of their own.

Reference: CreateModel, DescribeModel, ListModels, DeleteModel (SageMaker API Reference).
"""

from __future__ import annotations

import asyncio
from typing import Any

from clary.core.decisions import Family, Stateless
from clary.core.errors import ValidationException
from clary.core.records import Record
from clary.resources import checks
from clary.resources.common import Request, Response, create, echo, find, refuse_unbuilt
from clary.resources.context import Context
from clary.resources.listing import list_operation

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
    **{f"PrimaryContainer.{member}": instead for member, instead in _CONTAINER_UNBUILT.items()},
    **{f"Containers[].{member}": instead for member, instead in _CONTAINER_UNBUILT.items()},
}


async def create_model(context: Context, request: Request) -> Response:
    refuse_unbuilt("CreateModel", request, UNBUILT)
    container = _only_container(request)
    if not container.get("Image"):
        raise ValidationException("PrimaryContainer.Image is missing: give the URI of an inference image.")
    if "ModelDataUrl" in container and "ModelDataSource" in container:
        raise ValidationException("Both ModelDataUrl and ModelDataSource are given: keep one of them.")
    if context.strict:
        role = request.get("ExecutionRoleArn", "none")
        await checks.image(context, container["Image"], role)
        await asyncio.to_thread(checks.model_data, context, container, role)
    arn = await create(
        context,
        KIND,
        request["ModelName"],
        request,
        taken=ValidationException,
        taken_text='Cannot create already existing model "{arn}". A model with this name already exists.',
    )
    return {"ModelArn": arn}


def _only_container(request: Request) -> dict[str, Any]:
    """The model's one container. Raises for none, for both forms, and for pipelines."""
    primary, several = request.get("PrimaryContainer"), request.get("Containers")
    if primary and several:
        raise ValidationException("Both PrimaryContainer and Containers are given: keep one of them.")
    if not primary and not several:
        raise ValidationException("Neither PrimaryContainer nor Containers is given: a model needs a container.")
    refuse_unbuilt(
        "CreateModel",
        {"Containers with more than one container (an inference pipeline)": several and several[1:]},
        {"Containers with more than one container (an inference pipeline)": "give one container"},
    )
    return dict(primary or (several or [{}])[0])


def container_of(model: Record) -> dict[str, Any]:
    """The container definition of a model that was created."""
    return _only_container(dict(model.spec))


async def describe(context: Context, request: Request) -> Response:
    model = await find(context, KIND, request["ModelName"], MISSING)
    return {
        "ModelName": model.name,
        "ModelArn": context.account.arn(KIND, model.name),
        "CreationTime": model.created,
        "EnableNetworkIsolation": model.spec.get("EnableNetworkIsolation", False),
        **echo(model, _ECHOED),
    }


async def delete(context: Context, request: Request) -> Response:
    """Endpoints that serve the model keep their copy of it."""
    await context.store.delete(await find(context, KIND, request["ModelName"], MISSING))
    return {}


def _summary(context: Context, model: Record) -> Response:
    return {
        "ModelName": model.name,
        "ModelArn": context.account.arn(KIND, model.name),
        "CreationTime": model.created,
    }


FAMILY = Family(
    kind=KIND,
    status=Stateless,
    transitions={},
    operations={
        "CreateModel": create_model,
        "DescribeModel": describe,
        "ListModels": list_operation(KIND, "Models", _summary),
        "DeleteModel": delete,
    },
)
