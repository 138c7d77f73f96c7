"""Hooks around an invocation: what they see, in which order, and that a failing one harms nobody."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clary.core.routes import Route, Variant
from clary.gateway import hooks
from clary.gateway.hooks import Request, Response, Timing
from clary.gateway.limits import Limits
from tests.faults.event_loop import until
from tests.faults.gateway_world import ReceivedRequest, World, Writer, echo, responding
from tests.faults.test_gateway_http import Wire, signed


class Recorder:
    """A hook that keeps what it is called with."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name = name
        self.calls = calls
        self.before_request: tuple[Request, Route, Variant] | None = None
        self.after_request: tuple[Request, Route, Variant, Response | None, Timing] | None = None

    def before(self, request: Request, route: Route, variant: Variant) -> None:
        self.calls.append(f"before {self.name}")
        self.before_request = (request, route, variant)

    def after(
        self, request: Request, route: Route, variant: Variant, response: Response | None, timing: Timing
    ) -> None:
        self.calls.append(f"after {self.name}")
        self.after_request = (request, route, variant, response, timing)

    @property
    def response(self) -> Response | None:
        until(lambda: self.after_request, "the hook was called")
        assert self.after_request is not None
        return self.after_request[3]


class Failing:
    def before(self, *seen: Any) -> None:
        raise RuntimeError("before")

    def after(self, *seen: Any) -> None:
        raise RuntimeError("after")


Make = Callable[..., World]


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def recorder(calls: list[str]) -> Recorder:
    return Recorder("a", calls)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    worlds = []

    def made(*hooks: Any, limits: Limits | None = None) -> World:
        worlds.append(World(tmp_path / f"home-{len(worlds)}", limits, hooks))
        return worlds[-1]

    yield made
    for world in worlds:
        world.close()


def test_hooks_see_request_response_and_times(make, recorder):
    world = make(recorder)
    world.serve(world.replica(behave=responding(b"0.7", headers={"Content-Type": "text/csv"})))
    before = time.time()
    answer = world.client().invoke_endpoint(EndpointName="e", Body=b"1,2", ContentType="text/csv", InferenceId="i-1")
    until(lambda: recorder.after_request, "the hook was called")
    request, route, variant, response, timing = recorder.after_request
    assert recorder.before_request == (request, route, variant)
    assert request.id == answer["ResponseMetadata"]["RequestId"]
    assert request.body == b"1,2"
    assert request.call.given == {"contentType": "text/csv", "inferenceId": "i-1"}
    assert (route.endpoint, route.uid, variant.name) == ("e", "u1", "AllTraffic")
    assert (response.status, response.body, response.complete) == (200, b"0.7", True)
    assert (b"content-type", b"text/csv") in response.headers
    assert before - 0.1 <= timing.received_at <= time.time()
    assert 0 < timing.model_s <= timing.total_s


def test_hooks_are_called_in_their_order(make, calls):
    world = make(Recorder("a", calls), Recorder("b", calls))
    world.serve(world.replica())
    world.client().invoke_endpoint(EndpointName="e", Body=b"x")
    until(lambda: len(calls) == 4, "all were called")
    assert calls == ["before a", "before b", "after a", "after b"]


def test_a_hook_that_fails_harms_neither_the_client_nor_the_others(make, recorder):
    world = make(Failing(), recorder)
    world.serve(world.replica())
    assert world.client().invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read() == b"x"
    assert recorder.response is not None


def test_a_streamed_body_is_received_whole_first(make, recorder):
    """Of an unsigned payload, which goes to the replica piece by piece where there are no hooks."""
    world = make(recorder)
    world.serve(world.replica())
    body = bytes(range(256)) * 1000
    head = signed(world, declare="UNSIGNED-PAYLOAD") + b"Content-Length: %d\r\n\r\n" % len(body)
    with Wire(world).send(head + body[:100]) as wire:
        wire.send(body[100:])
        assert wire.answer()[2] == body
    assert recorder.response.body == body
    assert recorder.after_request[0].body == body


def test_a_response_in_pieces(make, recorder):
    pieces = [b"a" * 100_000, b"b" * 100_000]

    async def behave(request: ReceivedRequest, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    world = make(recorder)
    world.serve(world.replica(behave=behave))
    world.client().invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read()
    assert (recorder.response.body, recorder.response.complete) == (b"".join(pieces), True)


def test_a_stream(make, recorder):
    world = make(recorder)
    world.serve(world.replica(behave=responding(b"one two")))
    stream = world.client().invoke_endpoint_with_response_stream(EndpointName="e", Body=b"x")["Body"]
    assert b"".join(event["PayloadPart"]["Bytes"] for event in stream) == b"one two"
    assert (recorder.response.body, recorder.response.complete) == (b"one two", True)


def test_a_response_too_large_to_keep_is_not_complete(make, recorder, monkeypatch):
    monkeypatch.setattr(hooks, "MAX_RECORDED_BYTES", 10)
    world = make(recorder)
    world.serve(world.replica())
    assert len(world.client().invoke_endpoint(EndpointName="e", Body=b"x" * 11)["Body"].read()) == 11
    assert (recorder.response.body, recorder.response.complete) == (b"", False)


def test_a_response_that_breaks_off_is_not_complete(make, recorder):
    async def break_off(request: ReceivedRequest, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"half")
        await writer.drain()
        writer.close()

    world = make(recorder)
    world.serve(world.replica(behave=break_off))
    with pytest.raises(Exception, match=r"Connection|IncompleteRead"):
        world.client().invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read()
    assert (recorder.response.body, recorder.response.complete) == (b"half", False)


@pytest.mark.parametrize("behave", [responding(b"no", "500 Internal"), None])
def test_an_error_has_no_response(make, recorder, behave):
    """Of the container, or of the gateway that found no replica."""
    world = make(recorder, limits=Limits(replica_wait_s=0.05))
    if behave:
        world.serve(world.replica(behave=behave))
    else:
        world.publish(Variant("AllTraffic", 1.0))
    with pytest.raises(ClientError):
        world.client().invoke_endpoint(EndpointName="e", Body=b"x")
    assert recorder.response is None
    assert (recorder.after_request[4].model_s > 0) is bool(behave)


def test_a_refused_request_has_no_hooks(make, recorder, calls):
    world = make(recorder)
    world.serve(world.replica(behave=echo))
    with pytest.raises(ClientError):
        world.client().invoke_endpoint(EndpointName="e", Body=b"x", TargetModel="m")
    assert calls == []
