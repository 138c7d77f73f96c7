"""A request on its way through a pipeline's containers, which may refuse, break off, stall or have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clary.core.routes import Replica, Variant
from clary.gateway.limits import Limits
from tests.faults.gateway_world import FakeReplica, ReceivedRequest, World, Writer, echo, responding

Make = Callable[..., World]
NAMES = ("first", "second", "third")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    worlds = []

    def made(limits: Limits | None = None, **settings: Any) -> World:
        world = World(tmp_path / f"home-{len(worlds)}", limits, **settings)
        worlds.append(world)
        return world

    yield made
    for world in worlds:
        world.close()


def serve(world: World, *containers: FakeReplica) -> None:
    first, *further = (container.address.address for container in containers)
    replica = Replica("task-0", first, NAMES[: len(containers)], tuple(further))
    world.publish(Variant("AllTraffic", 1.0, (replica,)))


def refused(world: World) -> ClientError:
    with pytest.raises(ClientError) as caught:
        world.client().invoke_endpoint(EndpointName="e", Body=b"x")
    return caught.value


async def breaks_off(request: ReceivedRequest, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()
    writer.close()


async def hangs_up(request: ReceivedRequest, writer: Writer) -> None:
    writer.close()


async def stalls(request: ReceivedRequest, writer: Writer) -> None:
    await asyncio.Event().wait()


def test_each_containers_response_is_the_next_ones_request(make):
    world = make()
    first = world.replica(behave=responding(b"1,2", headers={"Content-Type": "text/csv"}))
    second = world.replica(behave=responding(b"{}", headers={"Content-Type": "application/json"}))
    third = world.replica(behave=responding(b"yes", headers={"Content-Type": "text/plain"}))
    serve(world, first, second, third)

    answer = world.client().invoke_endpoint(
        EndpointName="e", Body=b"raw", ContentType="x/raw", Accept="text/plain", CustomAttributes="a=1"
    )

    assert (answer["Body"].read(), answer["ContentType"]) == (b"yes", "text/plain")
    requests = [container.received[0] for container in (first, second, third)]
    assert [request.body for request in requests] == [b"raw", b"1,2", b"{}"]
    assert [request.headers.get("content-type") for request in requests] == ["x/raw", "text/csv", "application/json"]
    assert [request.headers.get("accept") for request in requests] == [None, None, "text/plain"]
    assert [request.headers.get("x-amzn-sagemaker-custom-attributes") for request in requests] == ["a=1"] * 3


def test_connections_to_all_containers_are_kept(make):
    world = make()
    containers = [world.replica(behave=echo) for _ in range(3)]
    serve(world, *containers)
    for _ in range(5):
        world.client().invoke_endpoint(EndpointName="e", Body=b"x")
    assert [container.connections for container in containers] == [1, 1, 1]
    assert not world.gateway._replicas.outstanding


def test_a_body_in_pieces(make):
    world = make()
    containers = [world.replica(behave=echo) for _ in range(2)]
    serve(world, *containers)
    body = b"0123456789" * 300_000
    assert world.client().invoke_endpoint(EndpointName="e", Body=body)["Body"].read() == body


@pytest.mark.parametrize("place", range(3))
def test_an_error_ends_the_request_and_names_its_container(make, place):
    world = make()
    containers = [world.replica(behave=responding(b"no", "422 Odd") if at == place else echo) for at in range(3)]
    serve(world, *containers)
    error = refused(world)
    assert error.response["OriginalStatusCode"] == 422
    assert f'Received client error (422) from {NAMES[place]} with message "no"' in str(error)
    assert [len(container.received) for container in containers] == [1] * (place + 1) + [0] * (2 - place)
    assert world.metric("Invocation4XXErrors") == 1


@pytest.mark.parametrize(
    ("behave", "text"),
    [
        (breaks_off, "from {name} and could not load the entire response body"),
        (hangs_up, "from {name} with message"),
    ],
)
@pytest.mark.parametrize("place", range(2))
def test_a_container_that_breaks_off_is_named(make, behave, text, place):
    world = make()
    containers = [world.replica(behave=behave if at == place else echo) for at in range(3)]
    serve(world, *containers)
    assert text.format(name=NAMES[place]) in str(refused(world))
    assert containers[2].received == []
    assert not world.gateway._replicas.outstanding


def test_a_container_that_is_not_running_is_named(make):
    world = make()
    containers = [world.replica(behave=echo) for _ in range(2)]
    serve(world, *containers)
    world.run(containers[1].stop())
    error = refused(world)
    assert error.response["OriginalStatusCode"] == 0
    assert "from second with message" in str(error)


def test_one_time_limit_holds_for_all_containers(make):
    world = make(Limits(model_s=0.3))
    containers = [world.replica(behave=echo), world.replica(behave=stalls)]
    serve(world, *containers)
    assert "waiting for a response from container second" in str(refused(world))


def test_the_request_of_the_next_container_is_bounded(make):
    world = make(Limits(body_bytes=1000))
    containers = [world.replica(behave=responding(b"x" * 1001)), world.replica(behave=echo)]
    serve(world, *containers)
    assert "from first" in str(refused(world))
    assert containers[1].received == []


def test_a_stream_comes_from_the_last_container(make):
    world = make()
    serve(world, world.replica(behave=responding(b"a")), world.replica(behave=echo))
    answer = world.client().invoke_endpoint_with_response_stream(EndpointName="e", Body=b"x")
    assert b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"]) == b"a"
