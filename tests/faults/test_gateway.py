"""The gateway between real boto3 clients and replicas that start, die, stall and break off."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clary.core.routes import Replica, Variant
from clary.gateway.limits import Limits
from tests.faults.event_loop import until
from tests.faults.gateway_world import ReceivedRequest, World, Writer, echo, responding

Make = Callable[..., World]


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


@pytest.fixture
def world(make: Make) -> World:
    return make()


def refused(call: Callable[..., Any], **request: Any) -> ClientError:
    with pytest.raises(ClientError) as caught:
        call(EndpointName="e", Body=b"x", **request)
    return caught.value


def test_request_and_response_are_forwarded(world):
    replica = world.replica(
        behave=responding(
            b"0.7", headers={"Content-Type": "text/csv", "X-Amzn-SageMaker-Custom-Attributes": "c=1", "Server": "s"}
        )
    )
    world.serve(replica)

    answer = world.client().invoke_endpoint(
        EndpointName="e",
        Body=b"1,2",
        ContentType="text/csv",
        Accept="application/json",
        CustomAttributes="trace-7",
        InferenceId="i-1",
        TargetVariant="AllTraffic",
    )

    assert answer["Body"].read() == b"0.7"
    assert answer["ContentType"] == "text/csv"
    assert answer["CustomAttributes"] == "c=1"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36
    assert "server" not in answer["ResponseMetadata"]["HTTPHeaders"]
    [request] = replica.received
    assert request.line == "POST /invocations HTTP/1.1"
    assert request.body == b"1,2"
    assert request.headers == {
        "host": f"127.0.0.1:{replica.port}",
        "content-length": "3",
        "content-type": "text/csv",
        "accept": "application/json",
        "x-amzn-sagemaker-custom-attributes": "trace-7",
        "x-amzn-sagemaker-target-variant": "AllTraffic",
        "x-amzn-sagemaker-inference-id": "i-1",
    }


def test_no_header_is_added(world):
    replica = world.replica(behave=responding(b"ok"))
    world.serve(replica)
    answer = world.client().invoke_endpoint(EndpointName="e", Body=b"x")
    assert answer["Body"].read() == b"ok"
    assert "ContentType" not in answer
    assert replica.received[0].headers.keys() == {"host", "content-length"}


def test_connections_to_a_replica_are_kept(world):
    replica = world.replica()
    world.serve(replica)
    client = world.client()
    for _ in range(10):
        client.invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read()
    assert replica.connections == 1


def test_large_bodies_both_ways(world):
    replica = world.replica()
    world.serve(replica)
    body = bytes(range(256)) * (25 * 1024 * 4)
    assert world.client().invoke_endpoint(EndpointName="e", Body=body)["Body"].read() == body
    assert world.gateway._connections.buffered_bytes == 0


def test_a_body_over_the_limit_is_refused_with_awss_message(world):
    replica = world.replica()
    world.serve(replica)
    with pytest.raises(
        ClientError, match=r"Request [0-9a-f-]{36} has oversize body: the limit is 26214400 bytes"
    ) as caught:
        world.client().invoke_endpoint(EndpointName="e", Body=b"x" * (25 * 1024 * 1024 + 1))
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert replica.received == []


def test_variants_share_by_weight_and_a_target_variant_overrides_it(world):
    weights = {"a": 3.0, "b": 1.0, "zero": 0.0}
    variants = [Variant(n, w, (world.replica(n, responding(n.encode())).address,)) for n, w in weights.items()]
    world.publish(*variants)
    client = world.client()

    seen: Counter[str] = Counter()
    for _ in range(300):
        answer = client.invoke_endpoint(EndpointName="e", Body=b"x")
        assert answer["Body"].read().decode() == answer["InvokedProductionVariant"]
        seen[answer["InvokedProductionVariant"]] += 1
    assert seen.keys() == {"a", "b"}
    assert 180 < seen["a"] < 270  # 225 expected; six standard deviations to either side

    targeted = client.invoke_endpoint(EndpointName="e", Body=b"x", TargetVariant="zero")
    assert targeted["Body"].read() == b"zero"


def test_the_replica_with_fewest_requests_takes_the_next(world):
    release = asyncio.Event()

    async def slow(request: ReceivedRequest, writer: Writer) -> None:
        await release.wait()
        await echo(request, writer)

    busy, free = world.replica("busy", slow), world.replica("free", slow)
    world.serve(busy)
    client = world.client()
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(client.invoke_endpoint, EndpointName="e", Body=b"x") for _ in range(2)]
        until(lambda: len(busy.received) == 2, "two requests under way")
        world.serve(busy, free)
        until(lambda: len(world.gateway._routed_replicas) == 2, "the new route is known")
        calls.append(pool.submit(client.invoke_endpoint, EndpointName="e", Body=b"x"))
        until(lambda: len(free.received) == 1, "the third goes to the free one")
        world.loop.call_soon_threadsafe(release.set)
        assert [call.result()["Body"].read() for call in calls] == [b"x"] * 3


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (None, "ValidationError", "Endpoint e of account 000000000000 not found."),
        (
            "Creating",
            "ValidationError",
            "Endpoint e of account 000000000000 is not in service (its status is Creating)",
        ),
        ("Failed", "ValidationError", "(its status is Failed)"),
        ("Deleting", "ValidationError", "(its status is Deleting)"),
        ("OutOfService", "ValidationError", "(its status is OutOfService)"),
    ],
)
def test_an_endpoint_that_takes_no_requests(world, status, code, text):
    if status:
        world.publish(Variant("v", 1.0, (world.replica().address,)), status=status)
    error = refused(world.client().invoke_endpoint)
    assert error.response["Error"]["Code"] == code
    assert text in error.response["Error"]["Message"]
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize("status", ["Updating", "RollingBack", "SystemUpdating", "UpdateRollbackFailed"])
def test_an_endpoint_serves_while_it_changes(world, status):
    world.publish(Variant("v", 1.0, (world.replica().address,)), status=status)
    assert world.client().invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read() == b"x"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"TargetModel": "m.tar.gz"},
            "Endpoint e is not a multi-model endpoint and does not support target model header.",
        ),
        ({"TargetContainerHostname": "c1"}, "does not support target container hostname header"),
        ({"InferenceComponentName": "ic"}, "Inference Component Name header is not allowed for endpoints"),
        ({"SessionId": "NEW_SESSION"}, "does not support session id header"),
        ({"EnableExplanations": "`true`"}, "has no explainer"),
        ({"TargetVariant": "nope"}, "Variant nope is not a production variant of endpoint e; it has: AllTraffic."),
        ({"InferenceId": "i" * 65}, "at 'inferenceId' failed to satisfy constraint: Member must have length less than"),
    ],
)
def test_members_that_do_not_fit_the_endpoint(world, given, text):
    replica = world.replica()
    world.serve(replica)
    error = refused(world.client().invoke_endpoint, **given)
    assert error.response["Error"]["Code"] == "ValidationError"
    assert text in error.response["Error"]["Message"]
    assert replica.received == []


def test_async_invocation_is_not_built(world):
    world.serve(world.replica())
    with pytest.raises(ClientError, match="InvokeEndpointAsync is not built"):
        world.client().invoke_endpoint_async(EndpointName="e", InputLocation="s3://b/k")


@pytest.mark.parametrize(
    ("client", "code"),
    [
        ({"access": "AKIAWRONG"}, "UnrecognizedClientException"),
        ({"secret": "wrong"}, "InvalidSignatureException"),
        ({"region": "eu-west-1"}, "InvalidSignatureException"),
    ],
)
def test_another_key_or_region_is_refused(world, client, code):
    replica = world.replica()
    world.serve(replica)
    keys = type(world.credentials)(
        client.get("access", world.credentials.access_key_id), client.get("secret", world.credentials.secret_access_key)
    )
    world.credentials = keys
    error = refused(world.client(region=client.get("region", "us-east-1")).invoke_endpoint)
    assert error.response["Error"]["Code"] == code
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert replica.received == []


class TestModelErrors:
    def test_a_client_error_is_shown_whole(self, world):
        world.serve(world.replica(behave=responding(b'bad "type"', "415 Unsupported")))
        error = refused(world.client().invoke_endpoint)
        response = error.response
        assert response["Error"]["Code"] == "ModelError"
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
        assert response["OriginalStatusCode"] == 415
        assert response["OriginalMessage"] == 'bad "type"'
        assert response["LogStreamArn"] == "arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/Endpoints/e"
        assert response["Error"]["Message"] == (
            'Received client error (415) from primary with message "bad "type"". See http://127.0.0.1:8721/cloudwatch/'
            "home?region=us-east-1#logEventViewer:group=/aws/sagemaker/Endpoints/e in account 000000000000 for more "
            "information."
        )
        headers = response["ResponseMetadata"]["HTTPHeaders"]
        assert headers["x-amzn-invoked-production-variant"] == "AllTraffic"
        assert world.metric("Invocation4XXErrors") == world.metric("InvocationModelErrors") == 1
        assert world.metric("Invocation5XXErrors") == 0

    @pytest.mark.parametrize("status", ["500 Internal", "302 Found", "503 Busy", "599 Odd"])
    def test_any_other_answer_is_a_server_error(self, world, status):
        world.serve(world.replica(behave=responding(b"oops", status)))
        error = refused(world.client().invoke_endpoint)
        assert error.response["OriginalStatusCode"] == int(status[:3])
        assert f'Received server error ({status[:3]}) from primary with message "oops"' in str(error)
        assert world.metric("Invocation5XXErrors") == 1

    def test_a_long_message_stays_within_the_model(self, world):
        world.serve(world.replica(behave=responding(b"y" * 100_000, "500 Internal")))
        response = refused(world.client().invoke_endpoint).response
        assert len(response["Error"]["Message"]) == len(response["OriginalMessage"]) == 2048
        assert response["Error"]["Message"].endswith("for more information.")

    def test_no_answer_in_time(self, make):
        world = make(Limits(model_s=0.2))
        never = asyncio.Event()
        replica = world.replica(behave=lambda request, writer: never.wait())
        world.serve(replica)
        response = refused(world.client().invoke_endpoint).response
        assert response["OriginalStatusCode"] == 0
        assert "Received server error (0) from primary" in response["Error"]["Message"]
        assert (
            "Your invocation timed out while waiting for a response from container primary."
            in response["OriginalMessage"]
        )
        until(lambda: not world.gateway._replicas.outstanding, "the replica is let go of")

    def test_the_connection_drops_before_the_answer(self, world):
        async def hang_up(request: ReceivedRequest, writer: Writer) -> None:
            writer.close()

        first, second = world.replica("a", hang_up), world.replica("b", hang_up)
        world.serve(first, second)
        response = refused(world.client().invoke_endpoint).response
        assert response["OriginalStatusCode"] == 0
        assert len(first.received) + len(second.received) == 1  # it may have been worked on: it is not sent again

    def test_the_connection_drops_within_a_short_answer(self, world):
        async def break_off(request: ReceivedRequest, writer: Writer) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            writer.close()

        world.serve(world.replica(behave=break_off))
        error = refused(world.client().invoke_endpoint)
        assert "(200) from primary and could not load the entire response body" in str(error)

    @pytest.mark.parametrize(
        "junk",
        [
            b"garbage\r\n\r\n",
            b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000,
        ],
    )
    def test_what_is_not_http(self, world, junk):
        async def send_junk(request: ReceivedRequest, writer: Writer) -> None:
            writer.write(junk)
            writer.write(b"\r\n\r\n")

        world.serve(world.replica(behave=send_junk))
        assert refused(world.client().invoke_endpoint).response["Error"]["Code"] == "ModelError"


class TestUnusualResponses:
    @pytest.mark.parametrize(
        "raw",
        [
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone",
            b"HTTP/1.0 200 OK\r\n\r\ndone",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ndone",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ndo\r\n2\r\nne\r\n0\r\nX-Trailer: 1\r\n\r\n",
            b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\ndone",
        ],
    )
    def test_it_is_forwarded(self, world, raw):
        async def speak(request: ReceivedRequest, writer: Writer) -> None:
            writer.write(raw)
            if b"Content-Length" not in raw and b"chunked" not in raw:
                writer.close()

        world.serve(world.replica(behave=speak))
        client = world.client()
        for _ in range(2):
            assert client.invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read() == b"done"

    def test_no_content(self, world):
        async def empty(request: ReceivedRequest, writer: Writer) -> None:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

        world.serve(world.replica(behave=empty))
        client = world.client()
        for _ in range(2):
            answer = client.invoke_endpoint(EndpointName="e", Body=b"x")
            assert answer["Body"].read() == b""


class TestHeldRequests:
    def test_a_request_waits_for_the_first_replica(self, world):
        world.publish(Variant("AllTraffic", 1.0))
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(world.client().invoke_endpoint, EndpointName="e", Body=b"x")
            until(lambda: world.gateway._metrics.waiting == 1, "the request waits")
            world.serve(world.replica())
            assert call.result()["Body"].read() == b"x"
        assert world.gateway._metrics.waiting == 0

    def test_a_refused_connection_goes_to_another_replica(self, world):
        dead, alive = world.replica("dead"), world.replica("alive")
        world.run(dead.stop())
        world.serve(dead, alive)
        client = world.client()
        for _ in range(6):
            assert client.invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read() == b"x"
        assert len(alive.received) == 6

    def test_a_replica_that_broke_a_connection_is_not_tried_for_a_moment(self, world, monkeypatch):
        """One that dies takes one request with it, not also the next ones on its other connections."""
        monkeypatch.setattr("clary.gateway.replicas._BACKOFF_S", (60.0,))

        async def die(request: ReceivedRequest, writer: Writer) -> None:
            writer.transport.abort()

        dying, alive = world.replica("dying", behave=die), world.replica("alive")
        world.serve(dying, alive)
        client, failures = world.client(), []

        def succeeds() -> bool:
            try:
                client.invoke_endpoint(EndpointName="e", Body=b"x")
            except ClientError as error:
                failures.append(error.response["Error"]["Code"])
                return False
            return True

        until(lambda: not succeeds(), "the dying replica was chosen")
        assert all(succeeds() for _ in range(20))
        assert len(dying.received) == 1
        assert failures == ["ModelError"]

    def test_a_request_outlives_the_restart_of_the_only_replica(self, world):
        replica = world.replica()
        world.run(replica.stop())
        world.serve(replica)
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(world.client().invoke_endpoint, EndpointName="e", Body=b"x")
            until(lambda: world.gateway._metrics.waiting == 1, "the request waits")
            world.run(replica.start())
            assert call.result()["Body"].read() == b"x"

    def test_a_request_waits_a_bounded_time(self, make):
        world = make(Limits(replica_wait_s=0.1))
        world.publish(Variant("AllTraffic", 1.0))
        error = refused(world.client().invoke_endpoint)
        assert error.response["Error"]["Code"] == "ServiceUnavailable"
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert world.metric("Invocation5XXErrors") == 1

    def test_a_bounded_number_of_requests_waits(self, make):
        world = make(Limits(waiting_requests=1))
        world.publish(Variant("AllTraffic", 1.0))
        client = world.client()
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(client.invoke_endpoint, EndpointName="e", Body=b"x")
            until(lambda: world.gateway._metrics.waiting == 1, "the first waits")
            assert "1 requests are waiting for replicas already" in str(refused(client.invoke_endpoint))
            world.serve(world.replica())
            assert call.result()["Body"].read() == b"x"

    def test_the_endpoint_is_deleted_while_a_request_waits(self, world):
        world.publish(Variant("AllTraffic", 1.0))
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(refused, world.client().invoke_endpoint)
            until(lambda: world.gateway._metrics.waiting == 1, "the request waits")
            (world.home.routes / "e.json").unlink()
            assert "not found" in str(call.result())

    def test_the_variant_is_removed_while_a_request_waits(self, world):
        world.publish(Variant("old", 1.0))
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(world.client().invoke_endpoint, EndpointName="e", Body=b"x")
            until(lambda: world.gateway._metrics.waiting == 1, "the request waits")
            world.publish(Variant("new", 1.0, (world.replica().address,)))
            answer = call.result()
            assert answer["InvokedProductionVariant"] == "new"
            assert answer["Body"].read() == b"x"
        until(lambda: world.metric("InFlight", "new") == 0, "nothing is under way")

    def test_a_client_that_disconnects_waits_no_longer(self, world):
        world.publish(Variant("AllTraffic", 1.0))
        client = world.client(read_timeout=0.3)
        with pytest.raises(Exception, match="Read timeout"):
            client.invoke_endpoint(EndpointName="e", Body=b"x")
        until(lambda: world.gateway._metrics.waiting == 0, "no request waits")


@contextmanager
def streaming(world: World) -> Iterator[Iterator[Any]]:
    body = world.client().invoke_endpoint_with_response_stream(EndpointName="e", Body=b"stream")["Body"]
    try:
        yield iter(body)
    finally:
        body.close()


class TestStreams:
    def test_each_chunk_is_forwarded_at_once(self, world):
        steps: asyncio.Queue[bytes] = asyncio.Queue()

        async def stream(request: ReceivedRequest, writer: Writer) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            while chunk := await steps.get():
                writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                await writer.drain()
            writer.write(b"0\r\n\r\n")

        replica = world.replica(behave=stream)
        world.serve(replica)
        answer = world.client().invoke_endpoint_with_response_stream(
            EndpointName="e", Body=b"x", Accept="text/event-stream"
        )
        assert answer["ContentType"] == "text/event-stream"
        assert answer["InvokedProductionVariant"] == "AllTraffic"
        assert replica.received[0].headers["accept"] == "text/event-stream"
        events = iter(answer["Body"])
        for token in (b"one", b"two", b"three"):
            world.loop.call_soon_threadsafe(steps.put_nowait, token)  # the next is not sent before this one is seen
            assert next(events)["PayloadPart"]["Bytes"] == token
        world.loop.call_soon_threadsafe(steps.put_nowait, b"")
        assert next(events, None) is None

    def test_an_error_before_the_stream_is_a_plain_response(self, world):
        world.serve(world.replica(behave=responding(b"no", "400 Bad")))
        error = refused(world.client().invoke_endpoint_with_response_stream)
        assert error.response["Error"]["Code"] == "ModelError"
        assert error.response["OriginalStatusCode"] == 400

    def test_a_stream_that_breaks_off_ends_with_an_error(self, world):
        async def break_off(request: ReceivedRequest, writer: Writer) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
            await writer.drain()
            writer.close()

        world.serve(world.replica(behave=break_off))
        with streaming(world) as events:
            assert next(events)["PayloadPart"]["Bytes"] == b"one"
            with pytest.raises(ClientError, match="ModelStreamError") as caught:
                next(events)
        assert "could not load the entire response body" in str(caught.value)
        assert world.metric("InvocationModelErrors") == 1

    def test_a_stream_that_takes_too_long_ends_with_an_error(self, make):
        world = make(Limits(stream_s=0.3))
        never = asyncio.Event()

        async def stall(request: ReceivedRequest, writer: Writer) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
            await never.wait()

        replica = world.replica(behave=stall)
        world.serve(replica)
        with streaming(world) as events:
            assert next(events)["PayloadPart"]["Bytes"] == b"one"
            with pytest.raises(ClientError, match="timed out"):
                next(events)

    def test_a_client_that_disconnects_ends_the_replicas_work(self, world):
        async def endless(request: ReceivedRequest, writer: Writer) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"3\r\none\r\n")
                await writer.drain()
                await asyncio.sleep(0.001)

        replica = world.replica(behave=endless)
        world.serve(replica)
        with streaming(world) as events:
            next(events)
        until(lambda: replica.lost == 1, "the replica's connection is closed")
        until(lambda: not world.gateway._replicas.outstanding, "nothing is under way")

    def test_a_slow_client_slows_the_replica_down(self, world):
        sent = 0

        async def flood(request: ReceivedRequest, writer: Writer) -> None:
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 * 1024 * 1024))
            for _ in range(200):
                writer.write(bytes(1024 * 1024))
                await writer.drain()
                sent += 1

        world.serve(world.replica(behave=flood))
        answer = world.client().invoke_endpoint(EndpointName="e", Body=b"x")
        before = -1
        while sent != before:  # until it stands still: all buffers on the way are full
            before = sent
            threading.Event().wait(0.2)
        assert sent < 60
        assert sum(len(chunk) for chunk in answer["Body"].iter_chunks(1024 * 1024)) == 200 * 1024 * 1024

    def test_a_long_response_that_breaks_off_is_not_complete(self, world):
        async def break_off(request: ReceivedRequest, writer: Writer) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(500_000))
            await writer.drain()
            writer.close()

        world.serve(world.replica(behave=break_off))
        answer = world.client().invoke_endpoint(EndpointName="e", Body=b"x")
        with pytest.raises(Exception, match=r"(?i)incomplete|connection"):
            answer["Body"].read()


class TestLeaving:
    def test_requests_that_do_not_end_in_time_get_an_error(self, make):
        world = make(Limits(drain_s=0.1))
        never = asyncio.Event()

        async def stall(request: ReceivedRequest, writer: Writer) -> None:
            if request.body == b"stream":
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
            await never.wait()

        replica = world.replica(behave=stall)
        world.serve(replica)
        client = world.client()
        with ThreadPoolExecutor(1) as pool:
            plain = pool.submit(refused, client.invoke_endpoint)
            until(lambda: replica.received, "the request is under way")
            with streaming(world) as events:
                assert next(events)["PayloadPart"]["Bytes"] == b"one"
                world.run(world.gateway.stop())
                with pytest.raises(ClientError, match="InternalStreamFailure"):
                    next(events)
            assert plain.result().response["Error"]["Code"] == "ServiceUnavailable"


class TestRoutes:
    def test_a_broken_file_leaves_the_old_route_in_place(self, world):
        replica = world.replica()
        world.serve(replica)
        client = world.client()
        client.invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read()
        (world.home.routes / "e.json").write_text('{"endpoint": "e", "vari')
        world.serve(replica, endpoint="other")
        client.invoke_endpoint(EndpointName="other", Body=b"x")["Body"].read()  # so the folder was read again
        assert client.invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read() == b"x"

    def test_an_endpoint_created_again_counts_from_zero(self, world):
        replica = world.replica()
        world.serve(replica)
        world.client().invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read()
        until(lambda: world.metric("Invocations") == 1, "one is counted")
        world.publish(Variant("AllTraffic", 1.0, (replica.address,)), uid="u2")
        until(lambda: world.gateway._table.routes["e"].uid == "u2", "the new route is known")
        world.client().invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read()
        until(lambda: world.metric("Invocations") == 1, "one is counted, not two")

    def test_a_replica_at_an_impossible_address_does_not_stop_the_others(self, world):
        replica = world.replica()
        world.serve(replica)
        client = world.client()
        client.invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read()
        world.publish(Variant("AllTraffic", 1.0, (Replica("t", "not an address"),)), endpoint="bad")
        assert "not found" in str(refused_named(client, "bad"))
        assert client.invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read() == b"x"


def refused_named(client: Any, endpoint: str) -> ClientError:
    with pytest.raises(ClientError) as caught:
        client.invoke_endpoint(EndpointName=endpoint, Body=b"x")
    return caught.value


def test_many_clients_at_once(world):
    replicas = [world.replica(f"task-{i}") for i in range(3)]
    world.serve(*replicas)
    client = world.client()

    def call(number: int) -> bool:
        body = str(number).encode() * 50
        return client.invoke_endpoint(EndpointName="e", Body=body)["Body"].read() == body

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(call, range(200)))
    until(lambda: world.metric("Invocations") == 200, "all are counted")
    assert world.metric("InFlight") == 0
    assert not world.gateway._replicas.outstanding
