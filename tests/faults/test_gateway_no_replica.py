"""The message to the server that a request found no replica."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clary.app import _Parts
from clary.compute.events import Events
from clary.core import gateway_client
from clary.core.credentials import credentials_for
from clary.core.records import Ref
from clary.core.routes import Route, Variant
from clary.core.settings import Settings
from clary.gateway.limits import Limits
from clary.gateway.no_replica_events import NoReplicaEvents
from clary.resources import endpoints
from clary.store.database import open_database
from clary.store.engine import sqlite_url
from tests.faults.event_loop import DEADLINE_S, until
from tests.faults.gateway_world import World

OWNER = ("endpoint", "e", "u1")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, Limits(no_replica_event_s=3600.0))
    yield world
    world.close()


@pytest.fixture
def messages(world: World) -> Iterator[list[tuple[str, str, str]]]:
    """What the server's socket received."""
    messages: list[tuple[str, str, str]] = []
    events = Events(world.home.run / gateway_client.WAKE_SOCKET, messages.append)

    async def open_() -> None:
        events.open()

    async def close() -> None:
        events.close()

    world.run(open_())
    yield messages
    world.run(close())


def test_a_request_that_finds_no_replica_wakes_the_endpoint(world, messages):
    world.publish(Variant("AllTraffic", 1.0))
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(world.client().invoke_endpoint, EndpointName="e", Body=b"x")
        until(lambda: messages, "the message came")
        world.serve(world.replica())
        assert call.result()["Body"].read() == b"x"
    assert messages == [OWNER]
    assert OWNER[0] == endpoints.KIND


def test_a_replica_that_refuses_is_none(world, messages):
    replica = world.replica()
    world.run(replica.stop())
    world.serve(replica)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(world.client().invoke_endpoint, EndpointName="e", Body=b"x")
        until(lambda: messages, "the message came")
        world.run(replica.start())
        assert call.result()["Body"].read() == b"x"
    assert messages == [OWNER]


def test_many_requests_send_one_message_per_endpoint(world, messages):
    for endpoint in ("e", "f"):
        world.publish(Variant("AllTraffic", 1.0), endpoint=endpoint)
    client = world.client()
    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(client.invoke_endpoint, EndpointName=name, Body=b"x") for name in "efefefefef"]
        until(lambda: world.gateway._metrics.waiting == 10, "all wait")
        for endpoint in ("e", "f"):
            world.serve(world.replica(endpoint), endpoint=endpoint)
        assert {call.result()["Body"].read() for call in calls} == {b"x"}
    assert sorted(messages) == [OWNER, ("endpoint", "f", "u1")]


def test_a_request_that_finds_a_replica_sends_none(world, messages):
    world.serve(world.replica())
    world.client().invoke_endpoint(EndpointName="e", Body=b"x")
    assert messages == []


def test_without_a_server_a_request_waits_as_before(world):
    world.publish(Variant("AllTraffic", 1.0))
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(world.client().invoke_endpoint, EndpointName="e", Body=b"x")
        until(lambda: world.gateway._metrics.waiting == 1, "the request waits")
        world.serve(world.replica())
        assert call.result()["Body"].read() == b"x"


def test_at_most_one_message_per_interval(tmp_path):
    path = tmp_path / "wake.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(path))
        server.setblocking(False)
        events = NoReplicaEvents(path, 1.0)
        route, other = Route("e", "u1", "InService"), Route("f", "u2", "InService")
        events.send(route, 5.0)
        events.send(route, 5.9)
        events.send(other, 5.9)
        events.sweep(5.95)
        events.send(route, 5.95)
        events.send(route, 6.0)
        events.sweep(9.0)
        assert events._next == {}
        received = [json.loads(server.recv(1000)) for _ in range(3)]
        with pytest.raises(BlockingIOError):
            server.recv(1000)
    assert received == [["endpoint", "e", "u1"], ["endpoint", "f", "u2"], ["endpoint", "e", "u1"]]


def test_the_server_works_on_the_endpoint_that_a_message_names(tmp_path):
    settings = Settings(home=tmp_path)

    async def first_in_the_queue() -> Ref:
        database = await open_database(sqlite_url(settings.paths.database))
        parts = _Parts(settings, credentials_for(settings), database)
        parts.open_wake_socket()
        try:
            events = NoReplicaEvents(settings.paths.run / gateway_client.WAKE_SOCKET, 1.0)
            events.send(Route("e", "u1", "InService"), 0.0)
            async with asyncio.timeout(DEADLINE_S):
                return await parts.loop.queue.get()
        finally:
            parts.wake_events.close()
            await database.close()

    assert asyncio.run(first_in_the_queue()) == Ref("endpoint", "e")
