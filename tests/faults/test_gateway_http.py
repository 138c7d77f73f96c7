"""The gateway and callers that do not speak HTTP as AWS's clients do: broken, slow, impatient, or merely unusual."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from clary.core.routes import Variant
from clary.gateway.limits import Limits
from tests.certificates import self_signed
from tests.faults.event_loop import DEADLINE_S, until
from tests.faults.gateway_world import ReceivedRequest, World, Writer, echo, responding

BRIEF = Limits(head_s=0.15, idle_s=0.3, body_gap_s=0.15, linger_s=0.15, stall_s=0.3, sweep_s=0.03)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "home")
    yield world
    world.close()


@pytest.fixture
def world_with_short_limits(tmp_path: Path) -> Iterator[World]:
    """A gateway with short time limits."""
    world = World(tmp_path / "home", BRIEF)
    yield world
    world.close()


class Wire:
    """A bare connection."""

    def __init__(self, world: World) -> None:
        self.socket = socket.create_connection(("127.0.0.1", world.port), DEADLINE_S)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exc: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, data: bytes) -> Wire:
        self.socket.sendall(data)
        return self

    def answer(self, *, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
        status = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        if head_only or status == 100:
            return status, headers, b""
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, self._chunks()
        if "content-length" in headers:
            return status, headers, self.file.read(int(headers["content-length"]))
        return status, headers, self.file.read()

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.file.readline(), 16):
            body += self.file.read(size)
            self.file.readline()
        self.file.readline()
        return body

    def is_closed(self) -> bool:
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def signed(world: World, body: bytes = b"x", *, declare: str = "", path: str = "/endpoints/e/invocations") -> bytes:
    """A request's head up to, and without, what frames its body."""
    request = AWSRequest("POST", world.url + path, data=body, headers={"Host": f"127.0.0.1:{world.port}"})
    if declare:
        request.headers["X-Amz-Content-SHA256"] = declare
    keys = Credentials(world.credentials.access_key_id, world.credentials.secret_access_key)
    SigV4Auth(keys, "sagemaker", world.settings.region).add_auth(request)
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"POST {path} HTTP/1.1\r\n{lines}".encode()


def plain(world: World, body: bytes = b"x", extra: bytes = b"") -> bytes:
    return signed(world, body) + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body


INVOKE = b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: a\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status", "text"),
    [
        (b"nonsense\r\n\r\n", 400, "not well-formed HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400, "not well-formed HTTP"),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400, "exactly one Host header"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "exactly one Host header"),
        (b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n", 400, "HTTP"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "HTTP"),
        (b"GET /healthz\r\n\r\n", 400, "HTTP/0.9 is not supported"),
        (INVOKE + b"Content-Length: -1\r\n\r\n", 400, "Content-Length"),
        (
            INVOKE + b"Content-Length: 9\r\nContent-Length: 8\r\n\r\n",
            400,
            "Content-Length",
        ),
        (
            INVOKE + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "Content-Length",
        ),
        (
            INVOKE + b"Content-Length: 99999999999999999999999\r\n\r\n",
            400,
            "Content-Length",
        ),
        (
            b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            400,
            "Upgrade is not supported",
        ),
        (b"CONNECT h:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "Upgrade is not supported"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", 400, "not well-formed HTTP"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400, "path is longer than"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 9000 + b"\r\n", 431, "headers are larger than"),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 300_000, 431, "headers are larger than"),
        (b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404, "There is no operation at /nowhere"),
        (
            b"POST /endpoints//invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            404,
            "There is no operation at",
        ),
        (b"GET /endpoints/e/invocations HTTP/1.1\r\nHost: a\r\n\r\n", 405, "use POST"),
        (b"DELETE /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 405, "use GET"),
        (
            INVOKE + b"Content-Length: 1\r\n\r\nx",
            403,
            "Missing Authentication Token",
        ),
        (
            INVOKE + b"Authorization: Basic x\r\nContent-Length: 1\r\n\r\nx",
            400,
            "Unsupported algorithm",
        ),
    ],
)
def test_a_request_that_is_not_right(world, request_, status, text):
    with Wire(world).send(request_) as wire:
        seen, headers, body = wire.answer()
        assert seen == status
        assert text in body.decode()
        assert headers["x-amzn-errortype"]
        assert headers["x-amzn-requestid"]
    with Wire(world).send(HEALTH) as wire:
        assert wire.answer()[0] == 200  # nobody else is harmed


def test_health_by_get_and_head(world):
    with Wire(world).send(HEALTH + HEALTH.replace(b"GET", b"HEAD") + HEALTH) as wire:
        status, _, body = wire.answer()
        assert (status, body[:16]) == (200, b'{"status": "ok",')
        status, headers, _ = wire.answer(head_only=True)
        assert (status, int(headers["content-length"])) == (200, len(body))
        assert wire.answer()[2] == body


def test_pipelined_requests_are_answered_in_order(world):
    release = asyncio.Event()

    async def first_waits(request: ReceivedRequest, writer: Writer) -> None:
        if request.body == b"first":
            await release.wait()
        await echo(request, writer)

    world.serve(world.replica(behave=first_waits))
    bodies = [b"first", b"second", b"third"]
    with Wire(world).send(b"".join(plain(world, body) for body in bodies)) as wire:
        until(lambda: world.metric("InFlight") == 1, "the first is under way")
        world.loop.call_soon_threadsafe(release.set)
        assert [wire.answer()[2] for _ in bodies] == bodies


def test_a_malformed_request_leaves_the_one_before_it_alone(world):
    world.serve(world.replica())
    with Wire(world).send(plain(world) + b"nonsense\r\n\r\n") as wire:
        status, headers, body = wire.answer()
        assert (status, headers["connection"], body) == (200, "close", b"x")
        assert wire.is_closed()


def test_http_1_0(world):
    world.serve(world.replica())
    request = plain(world).replace(b"HTTP/1.1", b"HTTP/1.0")
    with Wire(world).send(request) as wire:
        status, headers, body = wire.answer()
        assert (status, headers["connection"], body) == (200, "close", b"x")
        assert wire.is_closed()
    keeps = request.replace(b"Content-Length", b"Connection: keep-alive\r\nContent-Length")
    with Wire(world).send(keeps) as wire:
        assert wire.answer()[1]["connection"] == "keep-alive"
        wire.send(keeps)
        assert wire.answer()[2] == b"x"


def test_a_stream_to_http_1_0_ends_with_the_connection(world):
    async def stream(request: ReceivedRequest, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await writer.drain()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    world.serve(world.replica(behave=stream))
    path = "/endpoints/e/invocations-response-stream"
    request = signed(world, path=path).replace(b"HTTP/1.1", b"HTTP/1.0") + b"Content-Length: 1\r\n\r\nx"
    with Wire(world).send(request) as wire:
        _, headers, body = wire.answer()
        assert "transfer-encoding" not in headers
        assert b"one" in body
        assert b"two" in body


def test_an_absolute_request_target(world):
    world.serve(world.replica())
    request = plain(world).replace(b"POST /", f"POST {world.url}/".encode())
    with Wire(world).send(request) as wire:
        assert wire.answer()[2] == b"x"


class TestExpectContinue:
    def test_100_continue(self, world):
        world.serve(world.replica())
        head = signed(world) + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n"
        with Wire(world).send(head) as wire:
            assert wire.answer()[0] == 100
            wire.send(b"x")
            assert wire.answer()[2] == b"x"

    @pytest.mark.parametrize(
        ("size", "signs", "status"), [(26214401, True, 400), (1, False, 403)], ids=["too large", "not signed"]
    )
    def test_a_refused_request_gets_no_100_continue(self, world, size, signs, status):
        start = signed(world) if signs else b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: h\r\n"
        with Wire(world).send(start + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % size) as wire:
            seen, headers, _ = wire.answer()
            assert (seen, headers["connection"]) == (status, "close")


class TestChunkedBodies:
    def test_a_signed_body_is_verified_before_the_replica_gets_it(self, world):
        replica = world.replica()
        world.serve(replica)
        request = signed(world, b"hello") + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"
        with Wire(world).send(request) as wire:
            wire.send(b"2\r\nlo\r\n0\r\n\r\n")
            assert wire.answer()[2] == b"hello"
        assert replica.received[0].headers["content-length"] == "5"
        with Wire(world).send(request) as wire:
            wire.send(b"2\r\nLO\r\n0\r\n\r\n")
            assert wire.answer()[0] == 403
        assert len(replica.received) == 1

    @pytest.mark.parametrize("declares", [True, False])
    def test_a_declared_hash_is_verified_too(self, world, declares):
        replica = world.replica()
        world.serve(replica)
        declared = hashlib.sha256(b"hello").hexdigest()
        head = signed(world, b"hello", declare=declared) + b"Content-Length: 5\r\n\r\n"
        with Wire(world).send(head + (b"hello" if declares else b"jello")) as wire:
            assert wire.answer()[0] == (200 if declares else 403)
        assert len(replica.received) == declares

    @pytest.mark.parametrize("chunked", [True, False])
    def test_an_unsigned_body_is_forwarded_as_it_is_received(self, world, chunked):
        got: list[bytes] = []

        async def respond(request: ReceivedRequest, writer: Writer) -> None:
            await responding(b"done")(request, writer)

        replica = world.replica(behave=respond)
        original = replica._read

        async def read(reader: asyncio.StreamReader) -> ReceivedRequest:
            asked_line = await reader.readuntil(b"\r\n\r\n")
            got.append(asked_line)
            got.append(await reader.readexactly(8 if chunked else 3))
            got.append(await reader.readexactly(13 if chunked else 3))
            return ReceivedRequest("", {}, b"")

        replica._read = read  # type: ignore[method-assign]
        assert original
        world.serve(replica)
        start = signed(world, declare="UNSIGNED-PAYLOAD")
        framing = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: 6\r\n\r\n"
        with Wire(world).send(start + framing + (b"3\r\none\r\n" if chunked else b"one")) as wire:
            until(lambda: len(got) == 2, "the first piece is there, before the second is sent")
            wire.send(b"3\r\ntwo\r\n0\r\n\r\n" if chunked else b"two")
            assert wire.answer()[2] == b"done"
        assert (b"transfer-encoding: chunked" if chunked else b"content-length: 6") in got[0]
        assert b"".join(got[1:]) == (b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n" if chunked else b"onetwo")

    def test_a_replica_that_does_not_read_slows_the_client_down(self, tmp_path):
        size = 100 * 1024 * 1024  # more than all the kernel's buffers on the way
        world = World(tmp_path / "home", Limits(body_bytes=size))
        release = asyncio.Event()

        async def wait(request: ReceivedRequest, writer: Writer) -> None:
            await release.wait()

        try:
            world.serve(world.replica(behave=wait, read_body=False))
            head = signed(world, declare="UNSIGNED-PAYLOAD") + b"Content-Length: %d\r\n\r\n" % size
            sent = 0
            with Wire(world).send(head) as wire:
                wire.socket.settimeout(0.3)
                with pytest.raises(TimeoutError):  # noqa: PT012 the last of many sends does not return
                    while sent < size:
                        sent += wire.socket.send(bytes(256 * 1024))
            assert sent < size / 2
            world.loop.call_soon_threadsafe(release.set)
        finally:
            world.close()

    def test_a_body_that_grows_too_large_is_refused(self, world):
        world.serve(world.replica())
        head = signed(world, declare="UNSIGNED-PAYLOAD") + b"Transfer-Encoding: chunked\r\n\r\n"
        piece = b"%x\r\n%b\r\n" % (1024 * 1024, bytes(1024 * 1024))
        with Wire(world).send(head) as wire:
            for _ in range(26):
                wire.send(piece)
            status, headers, body = wire.answer()
            assert (status, headers["connection"]) == (400, "close")
            assert b"oversize body" in body

    def test_aws_chunked_is_refused(self, world):
        world.serve(world.replica())
        head = signed(world, declare="STREAMING-AWS4-HMAC-SHA256-PAYLOAD") + b"Content-Length: 1\r\n\r\nx"
        with Wire(world).send(head) as wire:
            status, _, body = wire.answer()
            assert status == 403
            assert b"aws-chunked bodies are not supported" in body

    @pytest.mark.parametrize("framing", [b"chunked\r\n\r\nzz\r\n", b"gzip\r\n\r\n", b"chunked, gzip\r\n\r\n"])
    def test_an_unknown_transfer_encoding(self, world, framing):
        world.serve(world.replica())
        with Wire(world).send(signed(world) + b"Transfer-Encoding: " + framing) as wire:
            status, _, body = wire.answer()
            assert status == 400
            assert b"not well-formed HTTP" in body


class TestPatience:
    def test_a_head_that_is_not_sent(self, world_with_short_limits):
        with Wire(world_with_short_limits).send(b"GET /healthz HTTP/1.1\r\nHo") as wire:
            status, _, body = wire.answer()
            assert (status, b"head did not come" in body) == (408, True)
            assert wire.is_closed()

    def test_a_head_that_is_sent_byte_by_byte(self, world_with_short_limits):
        with Wire(world_with_short_limits).send(b"GET /healthz HTTP/1.1\r\nA: ") as wire:
            wire.socket.settimeout(0.02)

            def answered_after_one_more() -> bytes:
                wire.send(b"G")
                try:
                    return wire.socket.recv(1, socket.MSG_PEEK)
                except TimeoutError:
                    return b""

            until(answered_after_one_more, "the gateway has had enough")
            wire.socket.settimeout(DEADLINE_S)
            assert wire.answer()[0] == 408

    def test_a_body_that_is_not_sent(self, world_with_short_limits):
        world_with_short_limits.serve(world_with_short_limits.replica())
        with Wire(world_with_short_limits).send(
            signed(world_with_short_limits, b"xy") + b"Content-Length: 2\r\n\r\nx"
        ) as wire:
            status, headers, body = wire.answer()
            assert (status, headers["connection"]) == (408, "close")
            assert b"body did not come in time" in body

    def test_a_connection_without_requests(self, world_with_short_limits):
        with Wire(world_with_short_limits) as wire:
            assert wire.is_closed()
        with Wire(world_with_short_limits).send(HEALTH) as wire:
            assert wire.answer()[0] == 200
            assert wire.is_closed()

    def test_a_slow_model_is_not_a_slow_client(self, world_with_short_limits):
        async def slow(request: ReceivedRequest, writer: Writer) -> None:
            await asyncio.sleep(2 * BRIEF.idle_s)
            await echo(request, writer)

        world_with_short_limits.serve(world_with_short_limits.replica(behave=slow))
        with Wire(world_with_short_limits).send(plain(world_with_short_limits)) as wire:
            assert wire.answer()[2] == b"x"

    def test_a_client_that_does_not_read_its_response(self, world_with_short_limits):
        replica = world_with_short_limits.replica(behave=responding(bytes(64 * 1024 * 1024)))
        world_with_short_limits.serve(replica)
        with Wire(world_with_short_limits).send(plain(world_with_short_limits)):
            until(lambda: replica.lost == 1, "the replica is let go of")
            until(lambda: not world_with_short_limits.gateway._connections.open, "the connection is closed")

    def test_an_early_response_reaches_a_client_that_is_still_sending(self, world):
        head = signed(world) + b"Content-Length: %d\r\n\r\n" % (40 * 1024 * 1024)
        with Wire(world).send(head) as wire:
            for _ in range(40):
                wire.send(bytes(1024 * 1024))
            assert b"oversize body" in wire.answer()[2]


def test_connections_are_bounded(tmp_path):
    world = World(tmp_path / "home", Limits(connections=2))
    try:
        with Wire(world).send(HEALTH) as first, Wire(world).send(HEALTH) as second:
            assert first.answer()[0] == second.answer()[0] == 200
            with Wire(world) as three:
                status, _, body = three.answer()
                assert (status, b"2 connections are open" in body) == (503, True)
    finally:
        world.close()


def test_buffered_bodies_are_bounded(tmp_path):
    world = World(tmp_path / "home", Limits(buffered_bytes=1024 * 1024))
    try:
        world.publish(Variant("v", 1.0))
        with Wire(world).send(plain(world, bytes(700_000))) as held:
            until(lambda: world.gateway._metrics.waiting == 1, "the first waits")
            with Wire(world).send(plain(world, bytes(700_000))) as wire:
                assert wire.answer()[0] == 503
            world.publish(Variant("v", 1.0, (world.replica().address,)))
            assert held.answer()[0] == 200
        assert world.gateway._connections.buffered_bytes == 0
    finally:
        world.close()


def test_metrics_for_prometheus(world):
    world.serve(world.replica(behave=responding(b"no", "400 Bad")))
    with Wire(world).send(plain(world)) as wire:
        assert wire.answer()[0] == 424
    with Wire(world).send(HEALTH.replace(b"healthz", b"metrics")) as wire:
        status, headers, body = wire.answer()
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = body.decode().splitlines()
    assert 'clary_invocations_total{endpoint="e",variant="AllTraffic"} 1' in lines
    assert 'clary_invocation_4xx_errors_total{endpoint="e",variant="AllTraffic"} 1' in lines
    assert 'clary_model_latency_microseconds_count{endpoint="e",variant="AllTraffic"} 1' in lines


def test_tls(tmp_path):
    certificate, key = self_signed(tmp_path)
    world = World(tmp_path / "home", tls_certificate=str(certificate), tls_key=str(key))
    try:
        world.serve(world.replica())
        client = world.client(f"https://127.0.0.1:{world.port}", verify=str(certificate))
        body = bytes(5_000_000)
        assert client.invoke_endpoint(EndpointName="e", Body=body)["Body"].read() == body
        with Wire(world).send(HEALTH) as wire:  # plain HTTP on a TLS port
            assert wire.is_closed()
        context = ssl.create_default_context(cafile=certificate)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
        with (
            socket.create_connection(("127.0.0.1", world.port)) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
        ):
            tls.sendall(HEALTH)
            assert tls.recv(12) == b"HTTP/1.1 200"
    finally:
        world.close()
