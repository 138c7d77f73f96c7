"""kill -9 of a pipeline's parts: no container goes on without the others, and a whole replica takes their place."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil
import pytest
from botocore.exceptions import ClientError

from clary.core.tasks import Phase
from tests.faults.live_world import PATIENCE_S, SCIKIT_LEARN, Caller, LiveWorld, live_world, packed
from tests.live import kill, until

CONTAINERS = ("first", "second")
SCRIPT = """
def model_fn(model_dir):
    return open(model_dir + "/model").read()
def transform_fn(model, body, content_type, accept):
    return f"{model}({body})", "text/csv"
"""
WHOLE = "second(first(?))"


@pytest.fixture(scope="module")
def world() -> Iterator[LiveWorld]:
    with live_world(opened=True) as world:
        yield world
        world.all_is_quiet()


@pytest.fixture
def endpoint(world: LiveWorld, request: pytest.FixtureRequest) -> Iterator[str]:
    """A pipeline of two scripts in service, with as many replicas as the test's parameter; one without a parameter."""
    name = f"e-{int(time.time() * 1000)}"
    containers = [
        {
            "Image": SCIKIT_LEARN,
            "ContainerHostname": container,
            "ModelDataUrl": world.upload(
                f"{name}/{container}.tar.gz", packed({"model": container, "code/i.py": SCRIPT})
            ),
            "Environment": {"SAGEMAKER_PROGRAM": "i.py"},
        }
        for container in CONTAINERS
    ]
    world.sagemaker.create_model(ModelName=name, ExecutionRoleArn=world.role, Containers=containers)
    world.make_config(name, name, getattr(request, "param", 1))
    world.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert world.endpoint(name)["EndpointStatus"] == "InService"
    assert world.invoke(name) == WHOLE
    yield name
    world.delete_endpoint(name)


def programs(world: LiveWorld, endpoint: str, container: str) -> list[psutil.Process]:
    """The processes of one container of an endpoint's replicas."""
    place = f"/hosts/{container}/"
    found = []
    for process in world.processes():
        try:
            if f"/tasks/{endpoint}-" in (line := " ".join(process.cmdline())) and place in line:
                found.append(process)
        except psutil.Error:
            continue
    assert found, f"no process of {container}"
    return found


def eventually_whole(world: LiveWorld, endpoint: str) -> None:
    def answers() -> bool | None:
        try:
            return world.invoke(endpoint) == WHOLE
        except ClientError:
            return None

    until(answers, PATIENCE_S, f"{endpoint} to answer again")


@pytest.mark.parametrize("container", CONTAINERS)
def test_with_one_container_the_whole_replica_is_replaced(world: LiveWorld, endpoint: str, container: str) -> None:
    (task,) = world.tasks(endpoint)
    before = [process for name in CONTAINERS for process in programs(world, endpoint, name)]
    for process in programs(world, endpoint, container):
        kill(process.pid)
    eventually_whole(world, endpoint)
    psutil.wait_procs(before, timeout=PATIENCE_S)
    assert not any(process.is_running() for process in before)
    until(lambda: task not in world.tasks(endpoint) or None, PATIENCE_S, "the old replica to be removed")
    assert world.tasks_ready(endpoint)


def test_with_its_supervisor_all_containers_are_replaced(world: LiveWorld, endpoint: str) -> None:
    (task,) = world.tasks(endpoint)
    before = [process for name in CONTAINERS for process in programs(world, endpoint, name)]
    kill(world.supervisor(task.name))
    eventually_whole(world, endpoint)
    psutil.wait_procs(before, timeout=PATIENCE_S)
    assert not any(process.is_running() for process in before)


@pytest.mark.parametrize("endpoint", [2], indirect=True)
def test_of_two_replicas_one_goes_on(world: LiveWorld, endpoint: str) -> None:
    """A request that was in a container when it died may fail, with an error; no other does."""
    world.tasks_reach(endpoint, Phase.READY)
    with Caller(lambda: world.invoke(endpoint)) as caller:
        caller.more()
        for process in programs(world, endpoint, "second")[:1]:
            kill(process.pid)
        caller.more(50)
    assert all("ModelError" in failure for failure in caller.failures), caller.failures
    assert len(caller.failures) <= 2

    def replaced() -> bool | None:
        return (world.tasks_ready(endpoint) and len(world.tasks(endpoint)) == 2) or None

    until(replaced, PATIENCE_S, "a new replica")


def test_a_pipeline_outlives_its_server(world: LiveWorld, endpoint: str) -> None:
    before = world.tasks(endpoint)
    world.kill("server")
    assert world.invoke(endpoint) == WHOLE
    world.up()
    assert world.endpoint(endpoint)["EndpointStatus"] == "InService"
    assert world.invoke(endpoint) == WHOLE
    assert world.tasks(endpoint) == before
