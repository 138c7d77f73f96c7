"""kill -9 of what the server keeps beside itself: gateway, S3, replicas and their supervisors, supervisors of jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from clary.core.tasks import Phase
from tests.faults.live_world import PATIENCE_S, TRAIN, Caller, LiveWorld, live_world
from tests.live import kill, until


@pytest.fixture(scope="module")
def live() -> Iterator[LiveWorld]:
    with live_world() as world:
        yield world


@pytest.fixture
def world(live: LiveWorld) -> Iterator[LiveWorld]:
    yield live
    live.all_is_quiet()


@pytest.fixture
def endpoint(world: LiveWorld, request: pytest.FixtureRequest) -> Iterator[str]:
    """An endpoint in service with as many replicas as the test's parameter; one without a parameter."""
    replicas = getattr(request, "param", 1)
    name = f"e{replicas}-{int(time.time() * 1000)}"
    world.gate.open(name)
    world.make_model(name)
    world.make_config(f"{name}-fleet", name, replicas)
    world.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=f"{name}-fleet")
    assert world.endpoint(name)["EndpointStatus"] == "InService"
    yield name
    world.delete_endpoint(name)


# ---- gateway and S3 ----


def test_a_killed_gateway_is_back_at_once(world: LiveWorld, endpoint: str) -> None:
    world.invoke(endpoint)
    before = world.kill("gateway")
    assert eventually(lambda: world.invoke(endpoint)) == endpoint
    assert world.pid("gateway") not in (None, before)


def test_boto3_gets_over_a_killed_gateway_by_itself(world: LiveWorld, endpoint: str) -> None:
    """Its own retries, three tries in some seconds, are longer than the gateway is away."""
    with Caller(lambda: world.invoke(endpoint, retries={"mode": "standard", "total_max_attempts": 8})) as caller:
        caller.more()
        world.kill("gateway")
        caller.more()
    assert caller.failures == []


def test_a_killed_s3_is_back_at_once_with_all_it_had(world: LiveWorld) -> None:
    where = world.upload("kept/object", b"kept")
    assert where.endswith("kept/object")
    before = world.kill("s3")
    assert eventually(lambda: read(world, "kept/object")) == b"kept"
    assert world.pid("s3") not in (None, before)


def test_a_job_does_not_need_the_s3_server_to_live(world: LiveWorld) -> None:
    job = "without-s3"
    world.start_job(job, world.script(TRAIN.format(port=world.gate.port, megabytes=1)))
    world.gate.arrived(job)
    world.kill("s3")
    world.gate.open(job)
    assert world.job(job)["TrainingJobStatus"] == "Completed"
    assert eventually(lambda: world.model_of(job)).startswith(job.encode())


def read(world: LiveWorld, key: str) -> Any:
    return world.s3.get_object(Bucket=world.bucket, Key=key)["Body"].read()


def eventually(call: Callable[[], Any]) -> Any:
    """The first answer."""

    def answer() -> Any:
        try:
            return call()
        except Exception:
            return None

    return until(answer, PATIENCE_S, "an answer")


# ---- replicas ----


def program_of(world: LiveWorld, task_id: str) -> None:
    """kill -9 of all that runs for a replica but its supervisor."""
    for pid in world.programs(task_id):
        kill(pid)


def supervisor_of(world: LiveWorld, task_id: str) -> None:
    """kill -9 of a task's supervisor. Returns when the kernel has killed its programs for it."""
    programs = world.programs(task_id)
    kill(world.supervisor(task_id))
    until(lambda: None if any(map(psutil.pid_exists, programs)) else True, PATIENCE_S, "its programs to end")


KILLS = pytest.mark.parametrize("kills", [program_of, supervisor_of], ids=["program", "supervisor"])


@KILLS
def test_requests_are_held_while_the_only_replica_is_replaced(
    world: LiveWorld, endpoint: str, kills: Callable[[LiveWorld, str], None]
) -> None:
    (dead,) = world.tasks(endpoint)
    kills(world, dead.name)
    assert [world.invoke(endpoint) for _ in range(20)] == [endpoint] * 20
    assert dead not in world.tasks(endpoint)
    assert world.endpoint(endpoint)["EndpointStatus"] == "InService"


@KILLS
@pytest.mark.parametrize("endpoint", [2], indirect=True)
def test_of_two_replicas_one_takes_all_requests_while_the_other_is_replaced(
    world: LiveWorld, endpoint: str, kills: Callable[[LiveWorld, str], None]
) -> None:
    dead, _ = world.tasks(endpoint)
    kills(world, dead.name)
    assert [world.invoke(endpoint) for _ in range(20)] == [endpoint] * 20
    until(lambda: True if replaced(world, endpoint, dead.name) else None, PATIENCE_S, "two replicas again")


@pytest.mark.parametrize("endpoint", [2], indirect=True)
def test_only_requests_in_a_killed_replica_fail_with_a_model_error(world: LiveWorld, endpoint: str) -> None:
    """Whether the model has worked on them nobody knows, so they are not sent again: AWS's ModelError."""
    first, second = world.tasks(endpoint)
    slow = {"read_timeout": 100}
    with Caller(lambda: world.invoke(endpoint, "wait", **slow), times=1) as one:
        world.gate.arrived("request")
        with Caller(lambda: world.invoke(endpoint, "wait", **slow), times=1) as another:
            world.gate.arrived("request", 2)  # one in each: the gateway chooses the replica with fewer requests
            with Caller(lambda: world.invoke(endpoint)) as others:
                others.more()
                program_of(world, first.name)
                others.more()
            world.gate.open("request")
    failures = one.failures + another.failures
    assert len(failures) == 1
    assert "ModelError" in failures[0]
    assert "gave no answer" in failures[0]
    assert len(others.failures) <= 1, "at most the one that was in the killed replica"
    assert second in world.tasks(endpoint)


def replaced(world: LiveWorld, endpoint: str, dead: str) -> bool:
    variant = world.sagemaker.describe_endpoint(EndpointName=endpoint)["ProductionVariants"][0]
    names = [task.name for task in world.tasks(endpoint)]
    return variant["CurrentInstanceCount"] == 2 and dead not in names and len(names) == 2


# ---- supervisors of jobs ----


def test_a_job_whose_supervisor_was_killed_failed(world: LiveWorld) -> None:
    job = "lost"
    world.start_job(job, world.script(TRAIN.format(port=world.gate.port, megabytes=0)))
    world.gate.arrived(job)
    supervisor_of(world, world.tasks(job)[0].name)
    description = world.job(job)
    assert description["TrainingJobStatus"] == "Failed"
    assert description["FailureReason"].startswith("InternalServerError: ")
    assert "supervisor" in description["FailureReason"]


def test_with_a_retry_strategy_it_runs_again(world: LiveWorld) -> None:
    job = "retried"
    code = world.script(TRAIN.format(port=world.gate.port, megabytes=0))
    world.start_job(job, code, RetryStrategy={"MaximumRetryAttempts": 1})
    world.gate.arrived(job)
    supervisor_of(world, world.tasks(job)[0].name)
    world.gate.arrived(job, 2)
    world.gate.open(job)
    description = world.job(job)
    assert description["TrainingJobStatus"] == "Completed"
    assert "Restarting" in [line["Status"] for line in description["SecondaryStatusTransitions"]]
    assert world.gate.arrivals[job] == 2


def test_the_supervisor_is_killed_while_the_server_is_dead(world: LiveWorld) -> None:
    job = "both"
    world.start_job(job, world.script(TRAIN.format(port=world.gate.port, megabytes=0)))
    world.gate.arrived(job)
    world.kill()
    supervisor_of(world, world.tasks(job)[0].name)
    world.up()
    description = world.job(job)
    assert description["FailureReason"].startswith("InternalServerError: ")
    assert world.gate.arrivals[job] == 1


# ---- clary down ----


def test_a_job_goes_on_while_clary_is_down_and_an_endpoint_comes_back(world: LiveWorld, endpoint: str) -> None:
    for job in ("ends-meanwhile", "ends-later"):
        world.start_job(job, world.script(TRAIN.format(port=world.gate.port, megabytes=0)))
        world.gate.arrived(job)
    world.down()
    assert not world.tasks_ready(endpoint)
    assert [world.pid(part) for part in ("server", "gateway", "s3")] == [None, None, None]
    world.gate.open("ends-meanwhile")
    world.tasks_reach("ends-meanwhile", Phase.EXITED)
    world.up()
    world.gate.open("ends-later")
    for job in ("ends-meanwhile", "ends-later"):
        assert world.job(job)["TrainingJobStatus"] == "Completed"
        assert world.gate.arrivals[job] == 1
        assert world.model_of(job).startswith(job.encode())
    assert world.invoke(endpoint) == endpoint  # held until its replica is back
    assert world.endpoint(endpoint)["EndpointStatus"] == "InService"


def test_everything_is_killed_at_once(world: LiveWorld, endpoint: str) -> None:
    """As when the machine loses its power, but for the disk."""
    job = "power-cut"
    world.start_job(
        job, world.script(TRAIN.format(port=world.gate.port, megabytes=0)), RetryStrategy={"MaximumRetryAttempts": 1}
    )
    world.gate.arrived(job)
    for found in world.processes():
        found.kill()
    until(lambda: None if world.processes() else True, PATIENCE_S, "all processes to end")
    world.up()
    world.gate.arrived(job, 2)
    world.gate.open(job)
    assert world.job(job)["TrainingJobStatus"] == "Completed"
    assert world.invoke(endpoint) == endpoint
