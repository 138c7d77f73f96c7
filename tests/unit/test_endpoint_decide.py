"""What an endpoint does next, as a table of cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clary.core.decisions import Do, Erase, Forget, Launch, Move, Publish, Seen, Stop, Wait, Withdraw
from clary.core.records import Record
from clary.core.tasks import Cause, Phase, Resources, TaskState
from clary.resources.endpoints import Status
from clary.resources.endpoints.decide import decide
from clary.resources.endpoints.state import Container, Deployment, EndpointState, ReplicaRecord, Variant

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_variant(name: str = "A", count: int = 1, weight: float = 1.0) -> Variant:
    return Variant(
        name=name,
        containers=(Container("container-1", "clary/xgboost"),),
        resources=Resources(cpus=0.0),
        count=count,
        weight=weight,
        startup_timeout_s=240,
    )


def a_deployment(*variants: Variant, number: int = 1) -> Deployment:
    return Deployment(number, f"config-{number}", NOW.timestamp(), variants or (a_variant(),))


def state_of(endpoint: Record) -> EndpointState:
    return EndpointState.of(endpoint)


def replicas(endpoint: Record) -> tuple[ReplicaRecord, ...]:
    return state_of(endpoint).replicas


def with_state(endpoint: Record, **changes: Any) -> Record:
    return replace(endpoint, state=replace(state_of(endpoint), **changes).to_json())


def an_endpoint(status: str = Status.CREATING, *variants: Variant) -> Record:
    return Record(
        kind="endpoint",
        name="e1",
        uid="0123456789ab",
        status=status,
        spec={},
        created=NOW,
        modified=NOW,
        state=EndpointState(current=a_deployment(*variants)).to_json(),
    )


class World:
    """An endpoint and its tasks; steps are carried out as the loop would."""

    def __init__(self, endpoint: Record) -> None:
        self.endpoint = endpoint
        self.seen = Seen({}, None)
        self.steps: list[Any] = []
        self.now = NOW

    def step(self) -> Any:
        decision = decide(self.endpoint, self.seen, self.now)
        self.steps.append(decision)
        tasks = dict(self.seen.tasks)
        route = self.seen.route
        match decision:
            case Move(status=status, state=state, reason=reason):
                state = self.endpoint.state if state is None else state
                kept = reason or self.endpoint.reason
                self.endpoint = replace(self.endpoint, status=status, state=state, reason=kept)
            case Do(Launch(task)):
                assert task.id not in tasks
                tasks[task.id] = TaskState(Phase.RUNNING)
            case Do(Publish(new)):
                route = new
            case Do(Withdraw()):
                route = None
            case Do(Forget(task_id)):
                del tasks[task_id]
            case Do(Stop(task_ids)):
                for task_id in task_ids:
                    tasks[task_id] = TaskState(Phase.EXITED, cause=Cause.STOPPED)
        self.seen = Seen(tasks, route)
        return decision

    def settle(self) -> None:
        for _ in range(100):
            if isinstance(decision := self.step(), Wait) or decision == Do(Erase()):
                return
        pytest.fail(f"never at rest: {self.steps[-4:]}")

    def set_phase(self, phase: Phase, *task_ids: str, **state: Any) -> None:
        tasks = {
            task_id: TaskState(phase, address=f"http://127.0.0.1/{task_id}", **state)
            if task_id in task_ids or not task_ids
            else old
            for task_id, old in self.seen.tasks.items()
        }
        self.seen = Seen(tasks, self.seen.route)

    def served(self) -> dict[str, list[str]]:
        assert self.seen.route is not None
        return {v.name: [r.task_id for r in v.replicas] for v in self.seen.route.variants}


def in_service(*variants: Variant) -> World:
    world = World(an_endpoint(Status.CREATING, *variants))
    world.settle()
    world.set_phase(Phase.READY)
    world.settle()
    assert world.endpoint.status == Status.IN_SERVICE
    return world


def test_replicas_are_written_down_before_they_are_launched():
    world = World(an_endpoint(Status.CREATING, a_variant("A", 2), a_variant("B", 1)))
    first = world.step()
    assert isinstance(first, Move)
    assert first.status == Status.CREATING
    assert len(replicas(world.endpoint)) == 3
    launched = [world.step().action.task.id for _ in range(3)]
    assert launched == [replica.task_id for replica in replicas(world.endpoint)]


def test_it_is_in_service_only_when_every_replica_answers_and_the_gateway_knows():
    world = World(an_endpoint(Status.CREATING, a_variant("A", 2)))
    world.settle()
    first, second = (replica.task_id for replica in replicas(world.endpoint))
    world.set_phase(Phase.READY, first)
    world.settle()
    assert world.endpoint.status == Status.CREATING
    assert world.seen.route is not None
    assert world.seen.route.status == "Creating"
    world.set_phase(Phase.READY, second)
    world.settle()
    assert world.endpoint.status == Status.IN_SERVICE
    published = next(i for i, s in enumerate(world.steps) if s == Do(Publish(world.seen.route)))
    arrived = next(i for i, s in enumerate(world.steps) if isinstance(s, Move) and s.status == Status.IN_SERVICE)
    assert published < arrived, "whoever reads InService may call at once"
    assert world.served() == {"A": [first, second]}


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        ("AlgorithmError: , exit code: 1", "The primary container for production variant A did not pass the ping"),
        ("ClientError: model.tar.gz is not a valid archive", "ClientError: model.tar.gz is not a valid archive"),
        ("CapacityError: no GPU", "CapacityError: no GPU"),
    ],
)
def test_a_replica_that_dies_before_the_endpoint_is_in_service_fails_it(failure, reason):
    world = World(an_endpoint())
    world.settle()
    world.set_phase(Phase.EXITED, failure=failure)
    world.settle()
    assert world.endpoint.status == Status.FAILED
    assert world.endpoint.reason.startswith(reason)
    assert world.seen.tasks == {}, "nothing is left running"


def test_a_crashed_replica_leaves_the_route_and_is_replaced_at_once():
    world = in_service(a_variant("A", 2))
    dead, alive = (replica.task_id for replica in replicas(world.endpoint))
    world.set_phase(Phase.EXITED, dead, failure="AlgorithmError: , exit code: 137")
    world.settle()
    assert world.served() == {"A": [alive]}
    assert dead not in world.seen.tasks
    assert len(world.seen.tasks) == 2
    assert world.endpoint.status == Status.IN_SERVICE


def test_a_replica_that_keeps_dying_is_replaced_ever_more_slowly():
    world = in_service()
    for deaths in (1, 2):
        world.set_phase(Phase.EXITED, failure="AlgorithmError: , exit code: 1")
        world.settle()
        assert len(world.seen.tasks) == (1 if deaths == 1 else 0)
    assert world.steps[-1] == Wait(NOW + timedelta(seconds=1))
    world.now += timedelta(seconds=1)
    world.settle()
    assert len(world.seen.tasks) == 1


def test_replicas_stopped_with_the_server_come_back_without_a_penalty():
    world = in_service()
    for _ in range(3):
        world.set_phase(Phase.EXITED, cause=Cause.STOPPED)
        world.settle()
        assert len(world.seen.tasks) == 1
    assert state_of(world.endpoint).failures == {}


def test_weights_move_at_once_and_counts_as_replicas_come():
    world = in_service(a_variant("A", 1, 1.0), a_variant("B", 1, 1.0))
    config = a_deployment(a_variant("A", 2, 9.0), a_variant("B", 0, 1.0))
    world.endpoint = with_state(replace(world.endpoint, status=Status.UPDATING), current=config)
    world.settle()
    assert world.endpoint.status == Status.UPDATING
    assert world.seen.route is not None
    assert [variant.weight for variant in world.seen.route.variants] == [9.0, 1.0]
    assert len(world.served()["A"]) == 1
    assert world.served()["B"] == []
    world.set_phase(Phase.READY)
    world.settle()
    assert world.endpoint.status == Status.IN_SERVICE
    assert len(world.served()["A"]) == 2
    assert len(world.seen.tasks) == 2


def updating(world: World) -> list[str]:
    """Start an update to a new configuration; returns the old fleet."""
    old = [replica.task_id for replica in replicas(world.endpoint)]
    incoming = a_deployment(a_variant("A", 2), number=2)
    world.endpoint = with_state(replace(world.endpoint, status=Status.UPDATING), incoming=incoming, deployments=2)
    world.settle()
    return old


def test_during_an_update_the_old_fleet_serves_until_all_of_the_new_answers():
    world = in_service()
    old = updating(world)
    assert world.served() == {"A": old}
    assert len(world.seen.tasks) == 3
    world.set_phase(Phase.READY)
    world.settle()
    assert world.endpoint.status == Status.IN_SERVICE
    assert state_of(world.endpoint).current.config_name == "config-2"
    assert len(world.served()["A"]) == 2
    assert not set(old) & set(world.served()["A"])
    assert not set(old) & set(world.seen.tasks)
    republished = max(i for i, s in enumerate(world.steps) if isinstance(s, Do) and isinstance(s.action, Publish))
    stopped = min(i for i, s in enumerate(world.steps) if isinstance(s, Do) and isinstance(s.action, Stop))
    assert republished < stopped, "out of the route first, then stopped"


def test_a_failed_update_goes_back_to_the_old_fleet_with_a_reason():
    world = in_service()
    old = updating(world)
    (broken, *_) = [replica.task_id for replica in replicas(world.endpoint) if replica.task_id not in old]
    world.set_phase(Phase.EXITED, broken, failure="AlgorithmError: , exit code: 1")
    world.settle()
    assert world.endpoint.status == Status.IN_SERVICE
    assert state_of(world.endpoint).current.config_name == "config-1"
    assert "did not pass the ping" in world.endpoint.reason
    assert world.served() == {"A": old}
    assert set(world.seen.tasks) == set(old)


def test_a_growing_endpoint_whose_replicas_die_gives_up_with_a_reason():
    world = in_service()
    config = a_deployment(a_variant("A", 2))
    world.endpoint = with_state(replace(world.endpoint, status=Status.UPDATING), current=config)
    good = replicas(world.endpoint)[0].task_id
    for _ in range(10):
        world.settle()
        if world.endpoint.status == Status.IN_SERVICE:
            break
        world.now += timedelta(seconds=10)
        world.settle()
        for task_id in set(world.seen.tasks) - {good}:
            world.set_phase(Phase.EXITED, task_id, failure="AlgorithmError: , exit code: 1")
    assert world.endpoint.status == Status.IN_SERVICE
    assert "did not pass the ping" in world.endpoint.reason
    assert world.served() == {"A": [good]}


def test_an_endpoint_that_waits_too_long_for_room_fails():
    world = World(an_endpoint())
    world.settle()
    world.set_phase(Phase.PENDING)
    world.settle()
    assert world.endpoint.status == Status.CREATING
    world.now += timedelta(seconds=241)
    world.settle()
    assert world.endpoint.status == Status.FAILED
    assert world.endpoint.reason.startswith("CapacityError: ")


def test_a_deleted_endpoint_leaves_the_gateway_first_then_the_machine_then_the_records():
    world = in_service(a_variant("A", 2))
    world.endpoint = replace(world.endpoint, status=Status.DELETING)
    del world.steps[:]
    world.settle()
    actions = [type(step.action) for step in world.steps if isinstance(step, Do)]
    assert actions[:2] == [Withdraw, Stop]
    assert actions[-1] is Erase
    assert world.seen == Seen({}, None)
    assert replicas(world.endpoint) == ()
