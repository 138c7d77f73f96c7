"""The proxy between real clients and services that misbehave, and clients that do."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import ssl
import time
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError, ProxyConnectionError, SSLError

from clary.core.sigv4 import SignedRequest, verify
from clary.proxy.authority import load_or_make
from clary.proxy.certificates import Certificates
from clary.proxy.limits import Limits
from tests.faults.event_loop import DEADLINE_S, until
from tests.faults.proxy_world import CONTROL, World, free_ports, read_to_end, responding

IDLE = responding(b"{}")


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, port=free_ports(3))
    yield made
    made.close()


@pytest.fixture
def world_with_limits(tmp_path):
    """Makes a proxy with the time limits that a test gives."""
    made = []

    def make(**limits):
        made.append(World(tmp_path, Limits(**limits), port=free_ports(3)))
        return made[-1]

    yield make
    for world in made:
        world.close()


def signed(request):
    """The request as whoever got it would verify it."""
    method, target, _ = request.line.split()
    path, _, query = target.partition("?")
    headers = [(name.encode(), value.encode()) for name, value in request.headers.items()]
    return SignedRequest(method, path.encode(), query.encode(), headers)


def sha256(body):
    return hashlib.sha256(body).hexdigest()


# ---- to the right service, as it was signed ----


@pytest.mark.parametrize(
    ("service", "call", "given", "region", "answer"),
    [
        ("sagemaker", "list_training_jobs", {"NameContains": "ü/+"}, "us-east-1", b"{}"),
        ("logs", "describe_log_groups", {}, "eu-west-1", b"{}"),
        ("iam", "delete_role", {"RoleName": "r"}, "us-east-1", b"<DeleteRoleResponse/>"),
    ],
)
def test_calls_reach_the_control_api_with_their_signature_intact(world, service, call, given, region, answer):
    control = world.control(behave=responding(answer))
    getattr(world.client(service, region), call)(**given)
    (request,) = control.received
    claim = verify(signed(request), sha256(request.body), world.credentials, datetime.now(UTC), 900)
    assert claim.service == service
    assert request.headers["host"].endswith("amazonaws.com")


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_the_sdks_hard_coded_sts_hosts_work(world, region):
    """Both SageMaker SDKs ask so for the account: default_bucket(), account_id(), get_execution_role()."""
    answer = (
        b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        b"<Arn>arn:aws:sts::000000000000:assumed-role/Clary/clary</Arn><Account>000000000000</Account>"
        b"</GetCallerIdentityResult></GetCallerIdentityResponse>"
    )
    control = world.control(behave=responding(answer, Content_Type="text/xml"))
    for url in (f"https://sts.{region}.amazonaws.com", "https://sts.amazonaws.com"):
        sts = world.client("sts", region, endpoint_url=url)
        assert sts.get_caller_identity()["Account"] == "000000000000"
    for request in control.received:
        verify(signed(request), sha256(request.body), world.credentials, datetime.now(UTC), 900)


def test_invocations_reach_the_gateway(world):
    gateway = world.gateway(behave=responding(b"0.5", Content_Type="text/csv"))
    answer = world.client("sagemaker-runtime").invoke_endpoint(EndpointName="e", Body=b"1,2", ContentType="text/csv")
    assert answer["Body"].read() == b"0.5"
    (request,) = gateway.received
    assert request.line == "POST /endpoints/e/invocations HTTP/1.1"
    verify(signed(request), sha256(b"1,2"), world.credentials, datetime.now(UTC), 900)


def test_one_connection_carries_many_requests(world):
    control = world.control()
    client = world.client("sagemaker")
    for _ in range(5):
        client.list_training_jobs()
    assert len(control.received) == 5
    assert world.open_connections == 1


def test_a_response_is_forwarded_as_it_is_received(world):
    """A stream's first event is here before its last was made."""
    first_was_read = asyncio.Event()

    async def stream(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await writer.drain()
        await asyncio.wait_for(first_was_read.wait(), DEADLINE_S)
        writer.write(b"4\r\nlast\r\n0\r\n\r\n")

    world.gateway(behave=stream)
    answer = world.client("sagemaker-runtime").invoke_endpoint(EndpointName="e", Body=b"")
    assert answer["Body"].read(5) == b"first"
    world.loop.call_soon_threadsafe(first_was_read.set)
    assert answer["Body"].read() == b"last"


def test_a_body_in_chunks_is_forwarded_in_chunks_after_100_continue(world):
    gateway = world.gateway(behave=responding(b"ok"))
    with world.tls("runtime.sagemaker.us-east-1.amazonaws.com") as connection:
        connection.sendall(
            b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: runtime.sagemaker.us-east-1.amazonaws.com\r\n"
            b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert read_to_end(connection).endswith(b"ok")
    (request,) = gateway.received
    assert request.body == b"abcde"
    assert "expect" not in request.headers


# ---- nobody behind ----


def test_a_service_that_is_down_is_named_with_the_remedy(world):
    with pytest.raises(ClientError, match=r"control API at http://127\S+ does not answer.*clary up") as caught:
        world.client("sagemaker").list_training_jobs()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        world.client("sts").get_caller_identity()
    with pytest.raises(ClientError, match="inference gateway"):
        world.client("sagemaker-runtime").invoke_endpoint(EndpointName="e", Body=b"")
    with pytest.raises(ClientError, match=r"S3 at \S+ does not answer"):
        world.client("s3").put_object(Bucket="b", Key="k", Body=b"x")


async def hang_up(request, writer):
    writer.close()


async def no_http(request, writer):
    writer.write(b"220 mail.example ESMTP\r\n\r\n")


async def no_answer(request, writer):
    await asyncio.sleep(DEADLINE_S)


@pytest.mark.parametrize(
    ("behaviour", "limits", "text"),
    [
        (hang_up, {}, "without a response"),
        (no_http, {}, "else than HTTP"),
        (no_answer, {"answer_s": 0.1}, "took too long"),
    ],
)
def test_a_service_without_a_response(world_with_limits, behaviour, limits, text):
    world = world_with_limits(**limits)
    world.control(behave=behaviour)
    with pytest.raises(ClientError, match=text):
        world.client("sagemaker").list_training_jobs()


def test_a_response_that_breaks_off_breaks_off_for_the_client(world):
    async def half_a_response(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    world.control(behave=half_a_response)
    with world.tls(CONTROL) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {CONTROL}\r\n\r\n".encode())
        assert read_to_end(connection).endswith(b"\r\n\r\n{")
    until(lambda: not world.open_connections, "the connection is forgotten")


def test_an_early_response_reaches_a_client_that_is_still_sending(world):
    world.gateway(behave=responding(b'{"Message":"too large"}', "413 Too Large"), reads_bodies=False)
    with pytest.raises(ClientError, match="too large"):
        world.client("sagemaker-runtime").invoke_endpoint(EndpointName="e", Body=b"x" * 20_000_000)


# ---- hosts that nobody answers for ----


def test_telemetry_gets_an_empty_response(world):
    host = "sm-pysdk-t-us-east-1.s3.us-east-1.amazonaws.com"
    with world.tls(host) as connection:
        connection.sendall(
            f"GET /telemetry?x-accountId=1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("ecr", "describe_repositories"),  # JSON
        ("ec2", "describe_instances"),  # query
        ("cloudwatch", "list_metrics"),  # CBOR
        ("lambda", "list_functions"),  # REST
    ],
)
def test_an_unknown_service_is_an_error_in_the_clients_protocol(world, service, call):
    with pytest.raises(ClientError, match=r"Clary has no service for \S+\.amazonaws\.com") as caught:
        getattr(world.client(service), call)()
    assert caught.value.response["Error"]["Code"] == "NotImplementedByClary"


def test_a_request_for_another_host_than_the_connections_is_refused(world):
    with world.tls(CONTROL) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: s3.amazonaws.com\r\nConnection: close\r\n\r\n")
        assert read_to_end(connection).startswith(b"HTTP/1.1 421 ")


@pytest.fixture
def other_host(world):
    """A TLS server that is not AWS's, with a certificate of its own."""
    own = load_or_make(world.settings.home / "own", datetime.now(UTC))
    return world.service(behave=responding(b"as ever"), tls=Certificates(own).context("s3.amazonaws.com")), own


def test_other_hosts_are_passed_through_unread(world, other_host):
    service, own = other_host
    with world.connect() as plain:
        plain.sendall(f"CONNECT localhost:{service.port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert plain.recv(4096).startswith(b"HTTP/1.1 200 ")
        # The certificate is the server's: the proxy has not come between.
        trust = ssl.create_default_context(cadata=own.pem)
        with trust.wrap_socket(plain, server_hostname="s3.amazonaws.com") as secured:
            secured.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_to_end(secured).endswith(b"as ever")
    until(lambda: not world.open_connections, "the tunnel is closed")


def test_bytes_sent_before_the_response_to_connect_are_tunnelled(world):
    plain = world.service(behave=responding(b"as ever"))
    with world.connect() as connection:
        connection.sendall(f"CONNECT 127.0.0.1:{plain.port} HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n".encode())
        assert read_to_end(connection).endswith(b"as ever")


def test_a_host_that_cannot_be_reached(world):
    with world.connect() as connection:
        connection.sendall(f"CONNECT 127.0.0.1:{free_ports(1)} HTTP/1.0\r\n\r\n".encode())
        assert read_to_end(connection).startswith(b"HTTP/1.1 502 127.0.0.1:")


def test_other_hosts_are_refused_by_setting(tmp_path):
    world = World(tmp_path, proxy_other_hosts="refuse")
    try:
        service = world.service()
        with world.connect() as connection:
            connection.sendall(f"CONNECT localhost:{service.port} HTTP/1.0\r\n\r\n".encode())
            assert b"403 Clary's setting proxy_other_hosts" in read_to_end(connection)
        assert service.received == []
    finally:
        world.close()


# ---- clients that misbehave ----


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"CONNECT s3.amazonaws.com HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT s3.amazonaws.com:0 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT s3.amazonaws.com:99999 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT s3.amazonaws.com:https HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT s3.amazonaws.com:80 HTTP/1.1\r\nHost: x\r\n\r\n", 403),
        (b"CONNECT a..b:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT user@pypi.org:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT " + b"a" * 300 + b":443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT s3.amazonaws.com:443 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n", 400),
        (b"CONNECT\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n", 400),
        (b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n", 405),
        (b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 405),
        (b"CONNECT s3.amazonaws.com:443 HTTP/1.1\r\nX: " + b"y" * 200_000, 431),
    ],
    ids=range(14),
)
def test_other_requests_than_connect_are_refused(world, sent, status):
    with world.connect() as connection:
        connection.sendall(sent)
        assert read_to_end(connection)[:13] == f"HTTP/1.1 {status} ".encode()
    assert not world.open_connections


def test_healthz(world):
    with world.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = read_to_end(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body)["status"] == "ok"


@pytest.mark.parametrize("sent", [b"", b"CONNECT s3.amaz", b"CONNECT s3.amazonaws.com:443 HTTP/1.1\r\n"])
def test_a_head_that_is_not_sent_is_not_waited_for(world_with_limits, sent):
    with world_with_limits(head_s=0.1).connect() as connection:
        connection.sendall(sent)
        assert read_to_end(connection) == b""


def test_a_handshake_that_is_not_made_is_not_waited_for(world_with_limits):
    world = world_with_limits(handshake_s=0.1)
    with world.connect() as connection:
        connection.sendall(f"CONNECT {CONTROL}:443 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert read_to_end(connection) == b"HTTP/1.1 200 Connection established\r\n\r\n"
    until(lambda: not world.open_connections, "the connection is forgotten")


@pytest.mark.parametrize(
    ("sent", "limit"),
    [
        (b"", "idle_s"),
        (b"POST / HTT", "head_s"),
        (b"POST / HTTP/1.1\r\nHost: %b\r\nContent-Length: 9\r\n\r\nhalf" % CONTROL.encode(), "body_gap_s"),
    ],
    ids=["idle", "head", "body"],
)
def test_a_request_that_is_not_sent_whole_is_not_waited_for(world_with_limits, sent, limit):
    world = world_with_limits(**{limit: 0.1})
    world.control()
    with world.tls(CONTROL) as connection:
        connection.sendall(sent)
        assert read_to_end(connection) == b""
    until(lambda: not world.open_connections, "the connection is forgotten")


def test_a_client_that_does_not_read_is_not_waited_for(world_with_limits):
    world = world_with_limits(stall_s=0.1)
    world.control(behave=responding(b"x" * 50_000_000))
    with world.tls(CONTROL) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {CONTROL}\r\n\r\n".encode())
        until(lambda: not world.open_connections, "the connection is forgotten")


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"y" * 200_000, b"\x00" * 100])
def test_anything_but_http_within_tls_is_refused(world, sent):
    with world.tls(CONTROL) as connection:
        connection.sendall(sent)
        assert read_to_end(connection).startswith(b"HTTP/1.1 400 BadRequest\r\n")
    until(lambda: not world.open_connections, "the connection is forgotten")


def test_a_client_that_does_not_trust_the_authority(world):
    world.control()
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        world.client("sagemaker", verify=None).list_training_jobs()
    with world.connect() as connection:
        connection.sendall(f"CONNECT {CONTROL}:443 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        connection.recv(4096)
        connection.sendall(b"this is no TLS\r\n\r\n")
        read_to_end(connection)
    until(lambda: not world.open_connections, "both are forgotten")
    assert world.client("sagemaker").list_training_jobs()


@pytest.mark.parametrize("sent", [b"", b"half"], ids=["waiting", "sending"])
def test_a_client_that_disconnects_ends_its_request(world, sent):
    ended = []

    async def behave(request, writer):
        assert await request.reader.read() == sent
        ended.append(request)

    control = world.control(behave=behave, reads_bodies=not sent)
    with world.tls(CONTROL) as connection:
        length = 100 if sent else 0
        head = f"POST / HTTP/1.1\r\nHost: {CONTROL}\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode() + sent)
        until(lambda: control.received, "the request is on its way")
    until(lambda: ended, "the service sees the end of it")
    until(lambda: not world.open_connections, "the connection is forgotten")


def test_a_tunnel_ends_when_one_side_does(world):
    async def hold(request, writer):
        await writer.wait_closed()

    service = world.service(behave=hold)
    with world.connect() as connection:
        connection.sendall(f"CONNECT localhost:{service.port} HTTP/1.0\r\n\r\n".encode())
        connection.recv(4096)
        assert world.open_connections == 1
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # a reset
    until(lambda: not world.open_connections, "the tunnel is closed")


def test_connections_are_bounded(world_with_limits):
    world = world_with_limits(connections=1)
    world.control()
    first = world.client("sagemaker")
    first.list_training_jobs()
    with pytest.raises(ProxyConnectionError, match="Failed to connect to proxy"):
        world.client("sagemaker").list_training_jobs()
    assert first.list_training_jobs()


# ---- leaving ----


def test_it_stops_when_requests_under_way_have_ended(world_with_limits):
    world = world_with_limits(linger_s=0.1)
    proceed = asyncio.Event()

    async def behave(request, writer):
        await proceed.wait()
        await IDLE(request, writer)

    control = world.control(behave=behave)
    with world.tls(CONTROL) as busy, world.tls(CONTROL) as idle:
        busy.sendall(f"GET / HTTP/1.1\r\nHost: {CONTROL}\r\nConnection: close\r\n\r\n".encode())
        until(lambda: control.received, "the request is on its way")
        leaving = asyncio.run_coroutine_threadsafe(world.proxy.stop(), world.loop)
        assert read_to_end(idle) == b""
        assert not leaving.done()
        world.loop.call_soon_threadsafe(proceed.set)
        assert read_to_end(busy).endswith(b"{}")
        leaving.result(DEADLINE_S)
    with pytest.raises(ConnectionRefusedError):
        world.connect()


def test_it_does_nothing_without_requests(world):
    world.control()
    client = world.client("sagemaker")
    client.list_training_jobs()
    turns = []

    async def count():
        turns.append(time.thread_time())  # of the loop's thread: what wakes it by itself shows here

    world.run(count())
    began = time.monotonic()
    until(lambda: time.monotonic() > began + 0.3, "some time has passed")
    world.run(count())
    assert turns[1] - turns[0] < 0.01
