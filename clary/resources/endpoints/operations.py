"""What callers may ask of endpoints: each operation checks, writes what is wanted, and leaves the rest to the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from clary.core.errors import ValidationException
from clary.core.facts import Facts
from clary.core.records import Record, Ref
from clary.core.tasks import Phase
from clary.resources import endpoint_configs
from clary.resources.context import Context
from clary.resources.endpoints import KIND, Status
from clary.resources.endpoints.deployment import new_deployment, records_of
from clary.resources.endpoints.state import Deployment, EndpointState, Variant
from clary.resources.listing import list_operation
from clary.resources.long_poll import long_poll
from clary.resources.operations import Request, Response, edit, facts_for, find, new_record
from clary.resources.operations import create as create_record

MISSING = 'Could not find endpoint "{arn}".'

_CHANGING = (Status.CREATING, Status.UPDATING, Status.SYSTEM_UPDATING, Status.ROLLING_BACK, Status.DELETING)
_ALL_AT_ONCE = {"DeploymentConfig": "leave it out: all traffic moves at once when the new replicas answer"}
UNBUILT = {
    "CreateEndpoint": _ALL_AT_ONCE,
    "UpdateEndpoint": _ALL_AT_ONCE,
    "UpdateEndpointWeightsAndCapacities": {
        "DesiredWeightsAndCapacities[].ServerlessUpdateConfig": "give DesiredInstanceCount"
    },
}


async def create(context: Context, request: Request) -> Response:
    arn = await create_record(
        context,
        KIND,
        request,
        records=await records_of(context, request["EndpointConfigName"]),
        taken=ValidationException,
        taken_text='Cannot create already existing endpoint "{arn}". An endpoint with this name already exists.',
    )
    return {"EndpointArn": arn}


def new_endpoint(request: Mapping[str, Any], facts: Facts) -> Record:
    """`facts.records` are those that `deployment.records_of` finds."""
    state = EndpointState(current=new_deployment(request["EndpointConfigName"], 1, facts))
    return new_record(KIND, request["EndpointName"], request, facts, status=Status.CREATING, state=state.to_json())


async def update(context: Context, request: Request) -> Response:
    """Blue/green, all at once: the new fleet comes up beside the old and takes over when all of it answers."""
    excluded = [item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", ())]
    retain = request.get("RetainAllVariantProperties", False)
    if excluded and not retain:
        raise ValidationException(
            "ExcludeRetainedVariantProperties is given without RetainAllVariantProperties: set that to true, or leave "
            "the exclusions out."
        )
    ref = Ref(KIND, request["EndpointName"])
    endpoint = await find(context, ref, MISSING)
    _check_changeable(context, endpoint)
    config_name = request["EndpointConfigName"]
    facts = facts_for(context, endpoint.uid, await records_of(context, config_name))

    def with_incoming(state: EndpointState) -> EndpointState:
        number = state.deployments + 1
        incoming = new_deployment(config_name, number, facts)
        if retain:
            incoming = _retaining(incoming, state.current, excluded)
            weights = [variant.weight for variant in incoming.variants]
            endpoint_configs.check_weights("weight that is retained", weights)
        return replace(state, incoming=incoming, deployments=number, failures={})

    return await _start_update(context, ref, with_incoming)


def _retaining(incoming: Deployment, current: Deployment, excluded: list[str]) -> Deployment:
    """The incoming deployment with the live counts and weights of variants of the same name."""
    live = {variant.name: variant for variant in current.variants}

    def retained(variant: Variant) -> Variant:
        old = live.get(variant.name, variant)
        return replace(
            variant,
            count=variant.count if "DesiredInstanceCount" in excluded else old.count,
            weight=variant.weight if "DesiredWeight" in excluded else old.weight,
        )

    return replace(incoming, variants=tuple(map(retained, incoming.variants)))


async def update_weights_and_capacities(context: Context, request: Request) -> Response:
    """Weights move at once; counts as replicas come and go."""
    endpoint_configs.check_names([item["VariantName"] for item in request["DesiredWeightsAndCapacities"]])
    desired = {item["VariantName"]: item for item in request["DesiredWeightsAndCapacities"]}
    ref = Ref(KIND, request["EndpointName"])

    def with_desired(state: EndpointState) -> EndpointState:
        known = [variant.name for variant in state.current.variants]
        if unknown := [name for name in desired if name not in known]:
            raise ValidationException(
                f"The variant(s) {', '.join(unknown)} do not exist on endpoint {ref.name!r}; it has {', '.join(known)}."
            )
        variants = tuple(_as_desired(variant, desired.get(variant.name, {})) for variant in state.current.variants)
        endpoint_configs.check_weights("DesiredWeight", [variant.weight for variant in variants])
        return replace(state, current=replace(state.current, variants=variants), failures={})

    return await _start_update(context, ref, with_desired)


def _as_desired(variant: Variant, desired: Mapping[str, Any]) -> Variant:
    return replace(
        variant,
        weight=desired.get("DesiredWeight", variant.weight),
        count=desired.get("DesiredInstanceCount", variant.count),
    )


async def _start_update(context: Context, ref: Ref, change: Callable[[EndpointState], EndpointState]) -> Response:
    """Write the changed state of an endpoint that is in service, for the control loop to bring about."""

    def updating(endpoint: Record) -> Record:
        _check_changeable(context, endpoint)
        state = change(EndpointState.of(endpoint))
        return replace(endpoint, status=Status.UPDATING, reason="", state=state.to_json())

    await edit(context, ref, MISSING, updating)
    return {"EndpointArn": context.account.arn(KIND, ref.name)}


async def delete(context: Context, request: Request) -> Response:
    def deleting(endpoint: Record) -> Record:
        _check_changeable(context, endpoint, Status.IN_SERVICE, Status.FAILED)
        return replace(endpoint, status=Status.DELETING)

    await edit(context, Ref(KIND, request["EndpointName"]), MISSING, deleting)
    return {}


def _check_changeable(context: Context, endpoint: Record, *statuses: str) -> None:
    """Raise ValidationException where the endpoint's status is none of these (InService, where none is given)."""
    arn = context.account.arn(KIND, endpoint.name)
    if endpoint.status in _CHANGING:
        raise ValidationException(
            f'Cannot update in-progress endpoint "{arn}". It is in status {endpoint.status}: wait for InService or '
            "Failed, and try again."
        )
    if endpoint.status not in (statuses or (Status.IN_SERVICE,)):
        raise ValidationException(f'Endpoint "{arn}" is in status {endpoint.status}: only DeleteEndpoint is accepted.')


async def describe(context: Context, request: Request) -> Response:
    ref = Ref(KIND, request["EndpointName"])
    endpoint = await long_poll(context, partial(find, context, ref, MISSING), lambda found: found.status in _CHANGING)
    state = EndpointState.of(endpoint)
    tasks = await context.backend.poll([replica.task_id for replica in state.replicas])
    ready = {task_id for task_id, task in tasks.items() if task.phase is Phase.READY}
    response: Response = {
        **_summary(context, endpoint),
        "EndpointConfigName": state.current.config_name,
        "ProductionVariants": _variants(endpoint, state, state.current, ready),
    }
    if endpoint.reason:
        response["FailureReason"] = endpoint.reason
    pending = state.incoming or (state.current if endpoint.status == Status.CREATING else None)
    if pending:
        response["PendingDeploymentSummary"] = {
            "EndpointConfigName": pending.config_name,
            "StartTime": datetime.fromtimestamp(pending.started_at, UTC),
            "ProductionVariants": _variants(endpoint, state, pending, ready),
        }
    return response


def _variants(endpoint: Record, state: EndpointState, deployment: Deployment, ready: set[str]) -> list[Response]:
    return [_variant(endpoint, state, deployment, variant, ready) for variant in deployment.variants]


def _variant(
    endpoint: Record, state: EndpointState, deployment: Deployment, variant: Variant, ready: set[str]
) -> Response:
    running = [
        replica
        for replica in state.replicas
        if (replica.deployment, replica.variant) == (deployment.number, variant.name)
        and not replica.retiring
        and replica.task_id in ready
    ]
    started = datetime.fromtimestamp(deployment.started_at, UTC)
    summary: Response = {
        "VariantName": variant.name,
        "DeployedImages": [
            {"SpecifiedImage": container.image, "ResolvedImage": container.image, "ResolutionTime": started}
            for container in variant.containers
        ],
        "CurrentWeight": variant.weight,
        "DesiredWeight": variant.weight,
        "CurrentInstanceCount": len(running),
        "DesiredInstanceCount": variant.count,
    }
    if len(running) < variant.count and endpoint.status in (Status.CREATING, Status.UPDATING):
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


list_endpoints = list_operation(KIND, "Endpoints", _summary)
