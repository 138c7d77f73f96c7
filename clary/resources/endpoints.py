"""Endpoints: fleets of replicas behind a route.

    Creating ──> InService | Failed         InService ──> Updating ──> InService (the new, or on failure the old)
    InService | Failed ──> Deleting ──> gone

An endpoint keeps its own copy of its configuration and models (a *deployment*), so that what they were made from may
be deleted. A replica's task id is written into the record before the task is launched; a replica that has died or is
no longer wanted *retires*: out of the route first, then stopped, then forgotten.
Reference: CreateEndpoint, UpdateEndpoint, UpdateEndpointWeightsAndCapacities, DescribeEndpoint, DeleteEndpoint.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from clary.core.decisions import (
    Decision,
    Do,
    Erase,
    Family,
    Forget,
    Launch,
    Move,
    Publish,
    Seen,
    Stop,
    Wait,
    Watch,
    Withdraw,
)
from clary.core.records import JSON, Record
from clary.core.routes import Replica, Route, Variant
from clary.core.tasks import Cause, Phase, TaskState
from clary.resources import endpoint_operations as operations
from clary.resources.deployments import STOP_GRACE_S, replica_task

KIND = operations.KIND

# Before a replica is told to end, its requests have so long to finish.
DRAIN_S = 60
# A replica that dies again and again is replaced after 0, 1, 3, 7 … seconds, at most this; a quiet spell forgives.
LONGEST_BACKOFF_S = 60
FORGIVEN_AFTER_S = 300
TRIES_BEFORE_TELLING = 3


class EndpointStatus(StrEnum):
    OUT_OF_SERVICE = "OutOfService"
    CREATING = "Creating"
    UPDATING = "Updating"
    SYSTEM_UPDATING = "SystemUpdating"
    ROLLING_BACK = "RollingBack"
    IN_SERVICE = "InService"
    DELETING = "Deleting"
    FAILED = "Failed"
    UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"


Status = EndpointStatus

# A final status would mean that the loop never looks again: no status of an endpoint is final.
TRANSITIONS: Mapping[str, Collection[str]] = {
    Status.CREATING: {Status.IN_SERVICE, Status.FAILED},
    Status.IN_SERVICE: {Status.UPDATING, Status.DELETING},
    Status.UPDATING: {Status.IN_SERVICE},
    Status.FAILED: {Status.DELETING},
    Status.DELETING: {Status.DELETING},
    Status.OUT_OF_SERVICE: (),
    Status.SYSTEM_UPDATING: (),
    Status.ROLLING_BACK: (),
    Status.UPDATE_ROLLBACK_FAILED: (),
}


@dataclass(frozen=True, slots=True)
class Member:
    """One replica as the record knows it."""

    task: str
    variant: str
    deployment: int
    retiring: bool = False


def members(endpoint: Record) -> list[Member]:
    return [Member(**replica) for replica in endpoint.state["replicas"]]


def _as_state(fleet: Iterable[Member]) -> list[JSON]:
    return [asdict(member) for member in fleet]


def watch(endpoint: Record) -> Watch:
    return Watch(tasks=[member.task for member in members(endpoint)], route=endpoint.name)


def decide(endpoint: Record, seen: Seen, now: datetime) -> Decision:
    match endpoint.status:
        case Status.DELETING:
            return _delete(endpoint, seen)
        case Status.FAILED:
            return _publish(endpoint, seen) or _retire(endpoint, seen, members(endpoint)) or Wait()
    retiring = [member for member in members(endpoint) if member.retiring]
    return (
        _give_up(endpoint, seen, now)
        or _staff(endpoint, seen, now)
        or _launch(endpoint, seen)
        or _publish(endpoint, seen)
        or _arrive(endpoint, seen)
        or _retire(endpoint, seen, retiring)
        or _wait(endpoint, seen, now)
    )


def _give_up(endpoint: Record, seen: Seen, now: datetime) -> Move | None:
    """A fleet that is still to come into service does so soon or not at all."""
    coming = _coming(endpoint)
    if coming is None:
        return _give_up_growing(endpoint, seen)
    for member in members(endpoint):
        if member.retiring or member.deployment != coming["number"]:
            continue
        if reason := _why_not(endpoint, member, seen.task(member.task), now):
            return _without(endpoint, coming, reason)
    return None


def _without(endpoint: Record, coming: Mapping[str, Any], reason: str) -> Move:
    """Fail, or go on with the fleet there was."""
    if endpoint.status == Status.CREATING:
        return Move(Status.FAILED, reason=reason)
    kept = [
        replace(member, retiring=member.retiring or member.deployment == coming["number"])
        for member in members(endpoint)
    ]
    return Move(Status.IN_SERVICE, reason=reason, state={"next": None, "replicas": _as_state(kept)})


def _give_up_growing(endpoint: Record, seen: Seen) -> Move | None:
    """More replicas were asked for, and they die: say so, and let callers act. Tries go on, ever more seldom."""
    if endpoint.status == Status.UPDATING:
        for member in members(endpoint):
            count, _ = endpoint.state["failures"].get(member.variant, (0, 0.0))
            task = seen.task(member.task)
            if count >= TRIES_BEFORE_TELLING and task.phase.over:
                return Move(Status.IN_SERVICE, reason=_reason(member, task.failure))
    return None


def _coming(endpoint: Record) -> Mapping[str, Any] | None:
    """The deployment that has not been in service yet, if there is one."""
    if endpoint.status == Status.CREATING:
        return dict(endpoint.state["config"])
    coming: Mapping[str, Any] | None = endpoint.state["next"]
    return coming


def _why_not(endpoint: Record, member: Member, task: TaskState, now: datetime) -> str:
    """Why this replica will not come into service, "" while it still may."""
    if task.phase.over:
        return _reason(member, task.failure)
    patience_s = _variant(endpoint, member)["startup_timeout_s"]
    if task.phase is Phase.PENDING and now.timestamp() > endpoint.modified.timestamp() + patience_s:
        return (
            f"CapacityError: production variant {member.variant} waited {patience_s} s for room on this machine. "
            "Stop something, or lower replica_cpus or replica_memory_mib."
        )
    return ""


def _reason(member: Member, failure: str) -> str:
    failure = failure or "the replica ended unexpectedly (its supervisor was killed, or the machine was restarted)"
    if failure.startswith(("ClientError", "CapacityError")):
        return failure
    return (
        f"The primary container for production variant {member.variant} did not pass the ping health check. "
        f"Please check CloudWatch logs for this endpoint. {failure}"
    )[:1024]


def _staff(endpoint: Record, seen: Seen, now: datetime) -> Move | None:
    """Write down who is to serve: replace the dead, add the missing, retire what is too many."""
    kept, changed = members(endpoint), False
    failures = dict(endpoint.state["failures"])
    for index, member in enumerate(kept):
        task = seen.task(member.task)
        if not member.retiring and task.phase.over:
            kept[index] = replace(member, retiring=True)
            changed = True
            if task.cause is not Cause.STOPPED:
                failures[member.variant] = _one_more(failures.get(member.variant), now)
    serial = endpoint.state["serial"]
    for deployment, variant in _fleets(endpoint):
        mine = [m for m in kept if not m.retiring and (m.deployment, m.variant) == (deployment, variant["name"])]
        for surplus in mine[variant["count"] :]:
            kept[kept.index(surplus)] = replace(surplus, retiring=True)
            changed = True
        if len(mine) < variant["count"] and now >= _not_before(failures.get(variant["name"])):
            for _ in range(variant["count"] - len(mine)):
                serial += 1
                task_id = f"{endpoint.name}-{endpoint.uid}-{serial}"
                kept.append(Member(task_id, variant["name"], deployment))
            changed = True
    if not changed:
        return None
    return Move(
        Status(endpoint.status),
        state={"replicas": _as_state(kept), "serial": serial, "failures": failures},
    )


def _fleets(endpoint: Record) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each variant that must have replicas, with the number of its deployment."""
    for deployment in (endpoint.state["config"], endpoint.state["next"]):
        if deployment:
            for variant in deployment["variants"]:
                yield deployment["number"], variant


def _one_more(failures: list[float] | None, now: datetime) -> list[float]:
    """[how often in a row, when last], epoch seconds."""
    count, last = failures or (0, 0.0)
    return [1 if now.timestamp() - last > FORGIVEN_AFTER_S else count + 1, now.timestamp()]


def _not_before(failures: list[float] | None) -> datetime:
    """When a variant whose replicas fail gets the next one."""
    count, last = failures or (1, 0.0)
    wait_s = min(2 ** (int(count) - 1) - 1, LONGEST_BACKOFF_S)
    return datetime.fromtimestamp(last, UTC) + timedelta(seconds=wait_s)


def _launch(endpoint: Record, seen: Seen) -> Do | None:
    for member in members(endpoint):
        if not member.retiring and seen.task(member.task).phase is Phase.ABSENT:
            variant = _variant(endpoint, member)
            return Do(Launch(replica_task(endpoint, member.task, variant)))
    return None


def _variant(endpoint: Record, member: Member) -> Mapping[str, Any]:
    return next(
        variant
        for deployment, variant in _fleets(endpoint)
        if (deployment, variant["name"]) == (member.deployment, member.variant)
    )


def _publish(endpoint: Record, seen: Seen) -> Do | None:
    route = _route(endpoint, seen)
    return None if seen.route == route else Do(Publish(route))


def _route(endpoint: Record, seen: Seen) -> Route:
    """Where requests should go now. It says InService before the record does: who is told so may call at once."""
    arrived = endpoint.status == Status.CREATING and _ready(endpoint, seen, endpoint.state["config"])
    config = endpoint.state["config"]
    return Route(
        endpoint=endpoint.name,
        uid=endpoint.uid,
        status=Status.IN_SERVICE if arrived else endpoint.status,
        variants=tuple(
            Variant(
                variant["name"],
                variant["weight"],
                tuple(
                    _replica(member.task, seen.task(member.task), variant)
                    for member in members(endpoint)
                    if (member.deployment, member.variant) == (config["number"], variant["name"])
                    and not member.retiring
                    and seen.task(member.task).phase is Phase.READY
                ),
            )
            for variant in config["variants"]
        ),
    )


def _replica(task_id: str, state: TaskState, variant: Mapping[str, Any]) -> Replica:
    if not state.further:
        return Replica(task_id, state.address)
    return Replica(task_id, state.address, tuple(one["name"] for one in variant["containers"]), state.further)


def _ready(endpoint: Record, seen: Seen, deployment: Mapping[str, Any]) -> bool:
    """Whether every replica that a deployment asks for answers."""
    ready = [
        member.variant
        for member in members(endpoint)
        if member.deployment == deployment["number"]
        and not member.retiring
        and seen.task(member.task).phase is Phase.READY
    ]
    return all(ready.count(variant["name"]) >= variant["count"] for variant in deployment["variants"])


def _arrive(endpoint: Record, seen: Seen) -> Move | None:
    """Come into service, or let the new fleet take over from the old."""
    coming = endpoint.state["next"] or endpoint.state["config"]
    if endpoint.status not in (Status.CREATING, Status.UPDATING) or not _ready(endpoint, seen, coming):
        return None
    after = [
        replace(member, retiring=member.retiring or member.deployment != coming["number"])
        for member in members(endpoint)
    ]
    return Move(Status.IN_SERVICE, state={"config": coming, "next": None, "replicas": _as_state(after)})


def _retire(endpoint: Record, seen: Seen, leaving: list[Member]) -> Decision | None:
    """Take replicas off the machine; those that are gone leave the record."""
    phases = {member.task: seen.task(member.task).phase for member in leaving}
    for task_id, phase in phases.items():
        if phase.over:
            return Do(Forget(task_id))
    gone = [task_id for task_id, phase in phases.items() if phase is Phase.ABSENT]
    if gone:
        left = [member for member in members(endpoint) if member.task not in gone]
        return Move(Status(endpoint.status), state={"replicas": _as_state(left)})
    return Do(Stop(tuple(phases), STOP_GRACE_S, DRAIN_S)) if phases else None


def _delete(endpoint: Record, seen: Seen) -> Decision:
    if seen.route is not None:
        return Do(Withdraw(endpoint.name))
    return _retire(endpoint, seen, members(endpoint)) or Do(Erase())


def _wait(endpoint: Record, seen: Seen, now: datetime) -> Wait:
    """Until something changes, or a variant whose replicas fail may have the next one."""
    moments = [_not_before(failures) for failures in endpoint.state["failures"].values()]
    return Wait(min((moment for moment in moments if moment > now), default=None))


FAMILY = Family(
    kind=KIND,
    status=EndpointStatus,
    transitions=TRANSITIONS,
    watch=watch,
    decide=decide,
    operations=operations.OPERATIONS,
    unbuilt=operations.UNBUILT,
    new_record=operations.new_endpoint,
)
