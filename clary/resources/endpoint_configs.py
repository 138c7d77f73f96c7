"""Endpoint configurations: which models an endpoint serves, on what, and how the traffic is shared.

Reference: CreateEndpointConfig, DescribeEndpointConfig, ListEndpointConfigs, DeleteEndpointConfig.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clary.core.decisions import Family, NoStatus
from clary.core.errors import ValidationException
from clary.core.facts import Facts
from clary.core.records import Record, Ref
from clary.resources import models
from clary.resources.context import Context
from clary.resources.listing import list_operation
from clary.resources.operations import Request, Response, create, echo, find, new_record, remove

KIND = "endpoint-config"
MISSING = 'Could not find endpoint configuration "{arn}".'

UNBUILT = {
    "ProductionVariants[].ServerlessConfig": "give InstanceType and InitialInstanceCount",
    "ProductionVariants[].ManagedInstanceScaling": "give InitialInstanceCount",
    "ProductionVariants[].InstancePools": "give InstanceType",
    "ProductionVariants[].CoreDumpConfig": "leave it out: logs are in CloudWatch's place, see `clary logs`",
    "ProductionVariants[].CapacityReservationConfig": "leave it out",
    "ProductionVariants[].AcceleratorPartitionLayouts": "leave it out",
    "ShadowProductionVariants": "give a production variant of small weight",
    "DataCaptureConfig.EnableCapture": "set it to false",
    "AsyncInferenceConfig": "leave it out, and use InvokeEndpoint",
    "ExplainerConfig": "leave it out",
    "CrossRegionTrafficConfig": "leave it out",
}
_ECHOED = ("ProductionVariants", "DataCaptureConfig", "KmsKeyId", "ExecutionRoleArn", "VpcConfig", "MetricsConfig")


async def create_endpoint_config(context: Context, request: Request) -> Response:
    variants = request["ProductionVariants"]
    names = [variant["VariantName"] for variant in variants]
    check_names(names)
    for variant in variants:
        await _check_variant(context, variant)
    check_weights("InitialVariantWeight", map(weight_of, variants))
    arn = await create(
        context,
        KIND,
        request,
        taken=ValidationException,
        taken_text='Cannot create already existing endpoint configuration "{arn}". '
        "An endpoint configuration with this name already exists.",
    )
    return {"EndpointConfigArn": arn}


def new_endpoint_config(request: Mapping[str, Any], facts: Facts) -> Record:
    return new_record(KIND, request["EndpointConfigName"], request, facts)


async def _check_variant(context: Context, variant: dict[str, Any]) -> None:
    name = variant["VariantName"]
    for member in ("ModelName", "InstanceType", "InitialInstanceCount"):
        if member not in variant:
            raise ValidationException(f"ProductionVariant {name!r}: {member} is missing.")
    await find(context, Ref(models.KIND, variant["ModelName"]), models.MISSING)


def check_names(names: Sequence[str]) -> None:
    """Raise ValidationException where a variant is named twice."""
    if doubles := {name for name in names if names.count(name) > 1}:
        raise ValidationException(f"Variant name {min(doubles)!r} is given more than once: use distinct names.")


def check_weights(member: str, weights: Iterable[float]) -> None:
    """Raise ValidationException where these weights cannot be shares of the traffic."""
    total = sum(weights)
    if not total:
        raise ValidationException(f"Every {member} is 0: at least one variant must take traffic.")
    if not math.isfinite(total):
        raise ValidationException(f"The sum of {member} is too large for a number: give smaller ones.")


def weight_of(variant: Mapping[str, Any]) -> float:
    """AWS's default weight is 1.0."""
    return float(variant.get("InitialVariantWeight", 1.0))


async def describe(context: Context, request: Request) -> Response:
    config = await find(context, Ref(KIND, request["EndpointConfigName"]), MISSING)
    return _summary(context, config) | {
        **echo(config, _ECHOED),
        "ProductionVariants": [
            {"InitialVariantWeight": 1.0, **variant} for variant in config.spec["ProductionVariants"]
        ],
        "EnableNetworkIsolation": config.spec.get("EnableNetworkIsolation", False),
    }


async def delete(context: Context, request: Request) -> Response:
    """An endpoint that was made from it keeps its copy."""
    await remove(context, Ref(KIND, request["EndpointConfigName"]), MISSING)
    return {}


def _summary(context: Context, config: Record) -> Response:
    return {
        "EndpointConfigName": config.name,
        "EndpointConfigArn": context.account.arn(KIND, config.name),
        "CreationTime": config.created,
    }


FAMILY = Family(
    kind=KIND,
    status=NoStatus,
    transitions={},
    new_record=new_endpoint_config,
    unbuilt={"CreateEndpointConfig": UNBUILT},
    operations={
        "CreateEndpointConfig": create_endpoint_config,
        "DescribeEndpointConfig": describe,
        "ListEndpointConfigs": list_operation(KIND, "EndpointConfigs", _summary),
        "DeleteEndpointConfig": delete,
    },
)
