"""What callers may ask of endpoints: each operation checks, writes what is wanted, and leaves the rest to the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from clary.core.errors import ValidationException
from clary.core.facts import Facts
from clary.core.records import JSON, Record
from clary.core.tasks import Phase
from clary.resources import endpoint_configs
from clary.resources.common import Request, Response, change, create, facts_for, find, new_record
from clary.resources.context import Context
from clary.resources.deployments import new_deployment, records_of
from clary.resources.first_look import first_look
from clary.resources.listing import list_operation

KIND = "endpoint"
MISSING = 'Could not find endpoint "{arn}".'

_BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
_ALL_AT_ONCE = {"DeploymentConfig": "leave it out: all traffic moves at once when the new replicas answer"}
UNBUILT = {
    "CreateEndpoint": _ALL_AT_ONCE,
    "UpdateEndpoint": _ALL_AT_ONCE,
    "UpdateEndpointWeightsAndCapacities": {
        "DesiredWeightsAndCapacities[].ServerlessUpdateConfig": "give DesiredInstanceCount"
    },
}


async def create_endpoint(context: Context, request: Request) -> Response:
    arn = await create(
        context,
        KIND,
        request,
        records=await records_of(context, request["EndpointConfigName"]),
        taken=ValidationException,
        taken_text='Cannot create already existing endpoint "{arn}". An endpoint with this name already exists.',
    )
    return {"EndpointArn": arn}


def new_endpoint(request: Mapping[str, Any], facts: Facts) -> Record:
    deployment = new_deployment(request["EndpointConfigName"], 1, facts)
    return new_record(
        KIND,
        request["EndpointName"],
        request,
        facts,
        status="Creating",
        state={"config": deployment, "next": None, "deployments": 1, "replicas": [], "serial": 0, "failures": {}},
    )


async def update_endpoint(context: Context, request: Request) -> Response:
    """Blue/green, all at once: the new fleet comes up beside the old and takes over when all of it answers."""
    excluded = [item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", ())]
    retain = request.get("RetainAllVariantProperties", False)
    if excluded and not retain:
        raise ValidationException(
            "ExcludeRetainedVariantProperties is given without RetainAllVariantProperties: set that to true, or leave "
            "the exclusions out."
        )
    while True:
        endpoint = await _changeable(context, request["EndpointName"])
        number = endpoint.state["deployments"] + 1
        facts = facts_for(context, endpoint.uid, await records_of(context, request["EndpointConfigName"]))
        coming = new_deployment(request["EndpointConfigName"], number, facts)
        if retain:
            _retain(coming, endpoint.state["config"], excluded)
            endpoint_configs.check_weights("weight that is retained", [v["weight"] for v in coming["variants"]])
        new = replace(endpoint, status="Updating", reason="").with_state(next=coming, deployments=number, failures={})
        if await change(context, endpoint, new):
            return {"EndpointArn": context.account.arn(KIND, endpoint.name)}


def _retain(coming: dict[str, Any], current: Mapping[str, Any], excluded: list[str]) -> None:
    """Keep the live counts and weights of variants of the same name."""
    live = {variant["name"]: variant for variant in current["variants"]}
    for variant in coming["variants"]:
        if old := live.get(variant["name"]):
            if "DesiredInstanceCount" not in excluded:
                variant["count"] = old["count"]
            if "DesiredWeight" not in excluded:
                variant["weight"] = old["weight"]


async def update_weights_and_capacities(context: Context, request: Request) -> Response:
    """Weights move at once; counts as replicas come and go."""
    endpoint_configs.check_names([item["VariantName"] for item in request["DesiredWeightsAndCapacities"]])
    wanted = {item["VariantName"]: item for item in request["DesiredWeightsAndCapacities"]}
    while True:
        endpoint = await _changeable(context, request["EndpointName"])
        config = endpoint.state["config"]
        known = [variant["name"] for variant in config["variants"]]
        if unknown := [name for name in wanted if name not in known]:
            raise ValidationException(
                f"The variant(s) {', '.join(unknown)} do not exist on endpoint {endpoint.name!r}; it has "
                f"{', '.join(known)}."
            )
        variants = [_wanted(variant, wanted.get(variant["name"], {})) for variant in config["variants"]]
        endpoint_configs.check_weights("DesiredWeight", [variant["weight"] for variant in variants])
        new = replace(endpoint, status="Updating", reason="").with_state(
            config={**config, "variants": variants}, failures={}
        )
        if await change(context, endpoint, new):
            return {"EndpointArn": context.account.arn(KIND, endpoint.name)}


def _wanted(variant: Mapping[str, JSON], change_: Mapping[str, Any]) -> dict[str, JSON]:
    return {
        **variant,
        "weight": change_.get("DesiredWeight", variant["weight"]),
        "count": change_.get("DesiredInstanceCount", variant["count"]),
    }


async def delete_endpoint(context: Context, request: Request) -> Response:
    while True:
        endpoint = await _changeable(context, request["EndpointName"], also="Failed")
        if await change(context, endpoint, replace(endpoint, status="Deleting")):
            return {}


async def _changeable(context: Context, name: str, also: str = "InService") -> Record:
    """The endpoint. Raises ValidationException where it is missing, or in a status that allows no change."""
    endpoint = await find(context, KIND, name, MISSING)
    arn = context.account.arn(KIND, name)
    if endpoint.status in _BUSY:
        raise ValidationException(
            f'Cannot update in-progress endpoint "{arn}". It is in status {endpoint.status}: wait for InService or '
            "Failed, and try again."
        )
    if endpoint.status not in ("InService", also):
        raise ValidationException(f'Endpoint "{arn}" is in status {endpoint.status}: only DeleteEndpoint is accepted.')
    return endpoint


async def describe(context: Context, request: Request) -> Response:
    look = partial(find, context, KIND, request["EndpointName"], MISSING)
    endpoint = await first_look(context, look, lambda endpoint: endpoint.status in _BUSY)
    states = await context.backend.poll([replica["task"] for replica in endpoint.state["replicas"]])
    ready = {task_id for task_id, state in states.items() if state.phase is Phase.READY}
    config, coming = endpoint.state["config"], endpoint.state["next"]
    response: Response = {
        **_summary(context, endpoint),
        "EndpointConfigName": config["name"],
        "ProductionVariants": [_variant(endpoint, config, variant, ready) for variant in config["variants"]],
    }
    if endpoint.reason:
        response["FailureReason"] = endpoint.reason
    pending = coming or (config if endpoint.status == "Creating" else None)
    if pending:
        response["PendingDeploymentSummary"] = {
            "EndpointConfigName": pending["name"],
            "StartTime": datetime.fromtimestamp(pending["started"], UTC),
            "ProductionVariants": [_variant(endpoint, pending, variant, ready) for variant in pending["variants"]],
        }
    return response


def _variant(endpoint: Record, deployment: Mapping[str, Any], variant: Mapping[str, Any], ready: set[str]) -> Response:
    running = [
        replica
        for replica in endpoint.state["replicas"]
        if (replica["deployment"], replica["variant"]) == (deployment["number"], variant["name"])
        and not replica["retiring"]
        and replica["task"] in ready
    ]
    started = datetime.fromtimestamp(deployment["started"], UTC)
    summary: Response = {
        "VariantName": variant["name"],
        "DeployedImages": [
            {"SpecifiedImage": one["image"], "ResolvedImage": one["image"], "ResolutionTime": started}
            for one in variant.get("containers") or (variant,)
        ],
        "CurrentWeight": variant["weight"],
        "DesiredWeight": variant["weight"],
        "CurrentInstanceCount": len(running),
        "DesiredInstanceCount": variant["count"],
    }
    if len(running) < variant["count"] and endpoint.status in ("Creating", "Updating"):
        summary["VariantStatus"] = [{"Status": endpoint.status, "StartTime": started}]
    return summary


def _summary(context: Context, endpoint: Record) -> Response:
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": context.account.arn(KIND, endpoint.name),
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.modified,
        "EndpointStatus": endpoint.status,
    }


OPERATIONS = {
    "CreateEndpoint": create_endpoint,
    "DescribeEndpoint": describe,
    "ListEndpoints": list_operation(KIND, "Endpoints", _summary),
    "UpdateEndpoint": update_endpoint,
    "UpdateEndpointWeightsAndCapacities": update_weights_and_capacities,
    "DeleteEndpoint": delete_endpoint,
}
