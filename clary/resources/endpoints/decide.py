"""What an endpoint does next.

Each function gives its step, or None where it has none; `decide` takes the first. The order keeps
the promises: replicas are in the record before they are launched, out of the route before they are stopped, and the
route says InService before the record does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from clary.core.decisions import (
    Decision,
    Do,
    Erase,
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
from clary.core.records import Record
from clary.core.routes import Replica, Route
from clary.core.routes import Variant as RouteVariant
from clary.core.tasks import Cause, Phase, TaskState
from clary.resources.endpoints import Status
from clary.resources.endpoints.deployment import STOP_GRACE_S, replica_task
from clary.resources.endpoints.state import Deployment, EndpointState, Failures, ReplicaRecord, Variant

# Before a replica is stopped, its requests have so long to finish.
DRAIN_S = 60
# A replica that dies again and again is replaced after 0, 1, 3, 7 … seconds, at most this; a quiet spell forgives.
MAX_BACKOFF_S = 60
FORGIVEN_AFTER_S = 300
# An update whose new replicas fail so often ends, with the reason.
FAILURES_BEFORE_UPDATE_ENDS = 3


def watch(endpoint: Record) -> Watch:
    return Watch(tasks=[replica.task_id for replica in EndpointState.of(endpoint).replicas], route=endpoint.name)


def decide(endpoint: Record, seen: Seen, now: datetime) -> Decision:
    state = EndpointState.of(endpoint)
    match endpoint.status:
        case Status.DELETING:
            return _delete(endpoint, state, seen)
        case Status.FAILED:
            return _publish(endpoint, state, seen) or _remove(endpoint, state, state.replicas, seen) or Wait()
    retiring = [replica for replica in state.replicas if replica.retiring]
    return (
        _fail(endpoint, state, seen, now)
        or _staff(endpoint, state, seen, now)
        or _launch(endpoint, state, seen)
        or _publish(endpoint, state, seen)
        or _complete(endpoint, state, seen)
        or _remove(endpoint, state, retiring, seen)
        or _wait(state, now)
    )


# ---- a deployment that fails ----


def _fail(endpoint: Record, state: EndpointState, seen: Seen, now: datetime) -> Move | None:
    """A deployment that is still to come into service does so soon or not at all."""
    arriving = _arriving(endpoint, state)
    if arriving is None:
        return _end_failing_update(endpoint, state, seen)
    for replica in state.replicas:
        if replica.retiring or replica.deployment != arriving.number:
            continue
        if reason := _failure_reason(endpoint, state, replica, seen.task(replica.task_id), now):
            return _give_up(endpoint, state, arriving, reason)
    return None


def _arriving(endpoint: Record, state: EndpointState) -> Deployment | None:
    """The deployment that has not been in service yet, if there is one."""
    return state.current if endpoint.status == Status.CREATING else state.incoming


def _give_up(endpoint: Record, state: EndpointState, arriving: Deployment, reason: str) -> Move:
    """Fail, or go on with the deployment that serves."""
    if endpoint.status == Status.CREATING:
        return Move(Status.FAILED, reason=reason)
    kept = state.retire(lambda replica: replica.deployment == arriving.number)
    return Move(Status.IN_SERVICE, reason=reason, state=replace(kept, incoming=None).to_json())


def _end_failing_update(endpoint: Record, state: EndpointState, seen: Seen) -> Move | None:
    """End an update whose additional replicas die, with the reason. Tries go on, ever more seldom."""
    if endpoint.status == Status.UPDATING:
        for replica in state.replicas:
            failures = state.failures.get(replica.variant)
            task = seen.task(replica.task_id)
            if failures and failures.count >= FAILURES_BEFORE_UPDATE_ENDS and task.phase.over:
                return Move(Status.IN_SERVICE, reason=_replica_reason(replica, task.failure))
    return None


def _failure_reason(
    endpoint: Record, state: EndpointState, replica: ReplicaRecord, task: TaskState, now: datetime
) -> str:
    """Why this replica will not come into service, "" while it still may."""
    if task.phase.over:
        return _replica_reason(replica, task.failure)
    timeout_s = _variant(state, replica).startup_timeout_s
    if task.phase is Phase.PENDING and now.timestamp() > endpoint.modified.timestamp() + timeout_s:
        return (
            f"CapacityError: production variant {replica.variant} waited {timeout_s} s for room on this machine. "
            "Stop something, or lower replica_cpus or replica_memory_mib."
        )
    return ""


def _replica_reason(replica: ReplicaRecord, failure: str) -> str:
    failure = failure or "the replica ended unexpectedly (its supervisor was killed, or the machine was restarted)"
    if failure.startswith(("ClientError", "CapacityError")):
        return failure
    return (
        f"The primary container for production variant {replica.variant} did not pass the ping health check. "
        f"Please check CloudWatch logs for this endpoint. {failure}"
    )[:1024]


# ---- who serves ----


def _staff(endpoint: Record, state: EndpointState, seen: Seen, now: datetime) -> Move | None:
    """Write down which replicas there shall be: replace the dead, add the missing, retire the surplus."""
    staffed = _with_missing(_without_surplus(_without_dead(state, seen, now)), endpoint, now)
    return None if staffed == state else Move(Status(endpoint.status), state=staffed.to_json())


def _without_dead(state: EndpointState, seen: Seen, now: datetime) -> EndpointState:
    failures = dict(state.failures)
    replicas = []
    for replica in state.replicas:
        task = seen.task(replica.task_id)
        if not replica.retiring and task.phase.over:
            replica = replace(replica, retiring=True)  # noqa: PLW2901
            if task.cause is not Cause.STOPPED:
                failures[replica.variant] = _another_failure(failures.get(replica.variant), now)
        replicas.append(replica)
    return replace(state, replicas=tuple(replicas), failures=failures)


def _without_surplus(state: EndpointState) -> EndpointState:
    surplus = {
        replica.task_id
        for deployment, variant in _variants(state)
        for replica in _replicas_of(state, deployment, variant)[variant.count :]
    }
    return state.retire(lambda replica: replica.task_id in surplus)


def _with_missing(state: EndpointState, endpoint: Record, now: datetime) -> EndpointState:
    added: list[ReplicaRecord] = []
    for deployment, variant in _variants(state):
        missing = variant.count - len(_replicas_of(state, deployment, variant))
        if missing > 0 and now >= _next_try(state.failures.get(variant.name)):
            for _ in range(missing):
                task_id = f"{endpoint.name}-{endpoint.uid}-{state.last_serial + len(added) + 1}"
                added.append(ReplicaRecord(task_id, variant.name, deployment.number))
    return replace(state, replicas=(*state.replicas, *added), last_serial=state.last_serial + len(added))


def _variants(state: EndpointState) -> Iterator[tuple[Deployment, Variant]]:
    """Each variant that must have replicas, with its deployment."""
    for deployment in (state.current, state.incoming):
        if deployment:
            for variant in deployment.variants:
                yield deployment, variant


def _replicas_of(state: EndpointState, deployment: Deployment, variant: Variant) -> list[ReplicaRecord]:
    """The replicas of a variant that do not retire."""
    return [
        replica
        for replica in state.replicas
        if not replica.retiring and (replica.deployment, replica.variant) == (deployment.number, variant.name)
    ]


def _variant(state: EndpointState, replica: ReplicaRecord) -> Variant:
    return next(
        variant
        for deployment, variant in _variants(state)
        if (deployment.number, variant.name) == (replica.deployment, replica.variant)
    )


def _another_failure(failures: Failures | None, now: datetime) -> Failures:
    at = now.timestamp()
    if failures is None or at - failures.last_at > FORGIVEN_AFTER_S:
        return Failures(1, at)
    return Failures(failures.count + 1, at)


def _next_try(failures: Failures | None) -> datetime:
    """When a variant whose replicas fail gets the next one."""
    if failures is None:
        return datetime.fromtimestamp(0, UTC)
    wait_s = min(2 ** (failures.count - 1) - 1, MAX_BACKOFF_S)
    return datetime.fromtimestamp(failures.last_at, UTC) + timedelta(seconds=wait_s)


def _launch(endpoint: Record, state: EndpointState, seen: Seen) -> Do | None:
    for replica in state.replicas:
        if not replica.retiring and seen.task(replica.task_id).phase is Phase.ABSENT:
            return Do(Launch(replica_task(endpoint, replica.task_id, _variant(state, replica))))
    return None


# ---- the route ----


def _publish(endpoint: Record, state: EndpointState, seen: Seen) -> Do | None:
    route = _route(endpoint, state, seen)
    return None if seen.route == route else Do(Publish(route))


def _route(endpoint: Record, state: EndpointState, seen: Seen) -> Route:
    """Where requests should go now. It is InService before the record is: whoever sees that status may call at once."""
    is_ready = endpoint.status == Status.CREATING and _is_ready(state, state.current, seen)
    return Route(
        endpoint=endpoint.name,
        uid=endpoint.uid,
        status=Status.IN_SERVICE if is_ready else endpoint.status,
        variants=tuple(
            RouteVariant(
                variant.name,
                variant.weight,
                tuple(
                    _route_replica(replica, seen.task(replica.task_id), variant)
                    for replica in _ready_replicas(state, state.current, variant, seen)
                ),
            )
            for variant in state.current.variants
        ),
    )


def _route_replica(replica: ReplicaRecord, task: TaskState, variant: Variant) -> Replica:
    if not task.pipeline_addresses:
        return Replica(replica.task_id, task.address)
    names = tuple(container.name for container in variant.containers)
    return Replica(replica.task_id, task.address, names, task.pipeline_addresses)


def _ready_replicas(state: EndpointState, deployment: Deployment, variant: Variant, seen: Seen) -> list[ReplicaRecord]:
    return [
        replica
        for replica in _replicas_of(state, deployment, variant)
        if seen.task(replica.task_id).phase is Phase.READY
    ]


def _is_ready(state: EndpointState, deployment: Deployment, seen: Seen) -> bool:
    """Whether every replica that a deployment asks for answers."""
    return all(
        len(_ready_replicas(state, deployment, variant, seen)) >= variant.count for variant in deployment.variants
    )


# ---- coming into service, and leaving it ----


def _complete(endpoint: Record, state: EndpointState, seen: Seen) -> Move | None:
    """Come into service, or let the incoming deployment take over from the current one."""
    arriving = state.incoming or state.current
    if endpoint.status not in (Status.CREATING, Status.UPDATING) or not _is_ready(state, arriving, seen):
        return None
    kept = state.retire(lambda replica: replica.deployment != arriving.number)
    return Move(Status.IN_SERVICE, state=replace(kept, current=arriving, incoming=None).to_json())


def _remove(endpoint: Record, state: EndpointState, replicas: Iterable[ReplicaRecord], seen: Seen) -> Decision | None:
    """Take replicas off the machine; those that have left it leave the record."""
    phases = {replica.task_id: seen.task(replica.task_id).phase for replica in replicas}
    for task_id, phase in phases.items():
        if phase.over:
            return Do(Forget(task_id))
    absent = [task_id for task_id, phase in phases.items() if phase is Phase.ABSENT]
    if absent:
        kept = tuple(replica for replica in state.replicas if replica.task_id not in absent)
        return Move(Status(endpoint.status), state=replace(state, replicas=kept).to_json())
    return Do(Stop(tuple(phases), STOP_GRACE_S, DRAIN_S)) if phases else None


def _delete(endpoint: Record, state: EndpointState, seen: Seen) -> Decision:
    if seen.route is not None:
        return Do(Withdraw(endpoint.name))
    return _remove(endpoint, state, state.replicas, seen) or Do(Erase())


def _wait(state: EndpointState, now: datetime) -> Wait:
    """Until something changes, or a variant whose replicas fail may have the next one."""
    moments = [_next_try(failures) for failures in state.failures.values()]
    return Wait(min((moment for moment in moments if moment > now), default=None))
