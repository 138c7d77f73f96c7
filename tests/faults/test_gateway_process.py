"""The gateway as a process: started, killed, stopped, and queried by the control loop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clary.core import gateway_client, sigv4
from clary.core.routes import Variant
from tests.faults.event_loop import DEADLINE_S, until
from tests.faults.gateway_world import ReceivedRequest, World, Writer, echo, runtime_client


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Used for its replicas and its home; the gateway under test is a process beside it, in a home of its own."""
    world = World(tmp_path / "w")
    yield world
    world.close()


class Process:
    """`python -m clary.gateway` in the home `root`."""

    def __init__(self, root: Path, port: int = 0) -> None:
        self.root = root
        self.port = port or free_port()
        self.child = subprocess.Popen(
            [sys.executable, "-m", "clary.gateway", "--home", str(root), "--port", str(self.port - 1)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ready(self) -> Process:
        until(lambda: self.child.poll() is not None or self.health() is not None, "the gateway answers")
        assert self.child.poll() is None, self.output()
        return self

    def health(self) -> dict[str, Any] | None:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=DEADLINE_S) as answer:
                return dict(json.load(answer))
        except (urllib.error.URLError, ConnectionError):
            return None

    def output(self) -> str:
        return self.child.communicate(timeout=DEADLINE_S)[0].decode()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        self.child.send_signal(number)
        return self.child.wait(DEADLINE_S)

    def close(self) -> None:
        if self.child.poll() is None:
            self.kill()
        if self.child.stdout is not None:
            self.child.stdout.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def start(tmp_path: Path, world: World) -> Iterator[Callable[..., Process]]:
    started = []

    def make(port: int = 0, home: str = "p") -> Process:
        root = tmp_path / home
        root.mkdir(exist_ok=True)
        (root / "credentials.json").write_text(world.home.credentials.read_text())
        if not (root / "routes").exists():
            (root / "routes").symlink_to(world.home.routes)
        started.append(Process(root, port))
        return started[-1]

    yield make
    for process in started:
        process.close()


def test_a_killed_gateway_reads_the_routes_again(world, start):
    world.serve(world.replica())
    first = start().ready()
    client = runtime_client(first.url, world.credentials)
    assert client.invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read() == b"x"
    first.kill()
    second = start(first.port).ready()  # the port and the sockets the first one left are taken over
    assert second.health()["pid"] == second.child.pid
    assert client.invoke_endpoint(EndpointName="e", Body=b"y")["Body"].read() == b"y"
    client.close()


def test_sigterm_lets_requests_end(world, start):
    release = asyncio.Event()

    async def slow(request: ReceivedRequest, writer: Writer) -> None:
        await release.wait()
        await echo(request, writer)

    replica = world.replica(behave=slow)
    world.serve(replica)
    gateway = start().ready()
    client = runtime_client(gateway.url, world.credentials)
    idle = socket.create_connection(("127.0.0.1", gateway.port))
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.invoke_endpoint, EndpointName="e", Body=b"x")
        until(lambda: replica.received, "the request is under way")
        gateway.child.send_signal(signal.SIGTERM)
        until(lambda: gateway.health() is None, "no new connection is taken")
        assert idle.recv(1) == b""
        idle.close()
        assert gateway.child.poll() is None
        world.loop.call_soon_threadsafe(release.set)
        answer = call.result()
        assert answer["Body"].read() == b"x"
        assert answer["ResponseMetadata"]["HTTPHeaders"]["connection"] == "close"
    assert gateway.child.wait(DEADLINE_S) == 0
    assert not (gateway.root / "run" / "gateway.sock").exists()
    client.close()


def test_the_counts_of_a_gateway_outlive_it(world, start):
    """It writes at its exit what it has not written yet; the next one writes a file of its own."""
    world.serve(world.replica())
    for _ in range(2):
        gateway = start().ready()
        assert _invoke(gateway.port, world) == b"x"
        assert gateway.kill(signal.SIGTERM) == 0
    files = list((gateway.root / "metrics").glob("gateway-*.jsonl"))
    assert len(files) == 2
    for file in files:
        rows = {row["name"]: row for row in map(json.loads, file.read_text().splitlines())}
        assert rows.keys() == {
            "Invocations",
            "Invocation4XXErrors",
            "Invocation5XXErrors",
            "InvocationModelErrors",
            "ModelLatency",
            "OverheadLatency",
        }
        assert rows["Invocations"]["sum"] == rows["ModelLatency"]["count"] == 1
        assert rows["ModelLatency"]["dimensions"] == {"EndpointName": "e", "VariantName": "AllTraffic"}


def test_a_taken_port_is_named(world, start):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        gateway = start(port)
        assert f"clary gateway: port {port} on 127.0.0.1 is taken" in gateway.output()
        assert gateway.child.returncode == 2


def test_a_gateway_of_another_home_does_not_share_the_port(start):
    first = start().ready()
    second = start(first.port, home="q")
    assert f"port {first.port} on 127.0.0.1 is taken" in second.output()
    assert second.child.returncode == 2
    assert first.health() is not None


class TestTwoOnOnePort:
    """The kernel gives each new connection to one of the two."""

    @pytest.fixture
    def two(self, start) -> list[Process]:
        first = start().ready()
        second = start(first.port)
        until(lambda: {p.child.pid for p in (first, second)} == _pids(first.port), "both take connections")
        return [first, second]

    def test_both_answer_and_their_metrics_are_summed(self, world, two):
        world.serve(world.replica())
        run = two[0].root / "run"
        for _ in range(40):
            assert _invoke(two[0].port, world) == b"x"
        assert all(_asked(process, {"op": "counts"})["counts"]["variants"] for process in two)
        [row] = until(lambda: asyncio.run(gateway_client.metrics(run)), "there are counts")
        assert (row["EndpointName"], row["VariantName"], row["Invocations"]) == ("e", "AllTraffic", 40)
        for _ in range(10):  # whichever of them answers
            with urllib.request.urlopen(f"{two[0].url}/metrics", timeout=DEADLINE_S) as answer:
                text = answer.read().decode()
            assert 'clary_invocations_total{endpoint="e",variant="AllTraffic"} 40' in text
            assert 'clary_model_latency_microseconds_count{endpoint="e",variant="AllTraffic"} 40' in text

    def test_draining_waits_for_both(self, world, two):
        release = asyncio.Event()

        async def slow(request: ReceivedRequest, writer: Writer) -> None:
            await release.wait()
            await echo(request, writer)

        run = two[0].root / "run"
        world.serve(world.replica("old", slow))
        question = {"op": "in_flight", "task_id": "old"}
        with ThreadPoolExecutor(64) as pool:
            calls = [pool.submit(_invoke, two[0].port, world) for _ in range(32)]
            until(lambda: asyncio.run(gateway_client.in_flight(run, "old")) == 32, "all are under way")
            assert all(_asked(process, question)["in_flight"] > 0 for process in two)
            world.serve(world.replica("new"))
            draining = pool.submit(asyncio.run, gateway_client.drained(run, "old", DEADLINE_S))
            assert asyncio.run(gateway_client.drained(run, "old", 0.05)) is False
            assert not draining.done()
            world.loop.call_soon_threadsafe(release.set)
            assert draining.result() is True
            assert {call.result() for call in calls} == {b"x"}

    def test_a_hint_reaches_both(self, world, two):
        world.publish(Variant("v", 1.0))
        gateway_client.publish_hint(two[0].root / "run")
        for process in two:
            assert _asked(process, {"op": "routes"}) == {"routes": 1}

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_a_gateway_ends_and_the_other_serves(self, world, two, number):
        world.serve(world.replica())
        run = two[0].root / "run"
        two[0].kill(number)
        for _ in range(20):
            assert _invoke(two[0].port, world) == b"x"
        assert [path.stem for path in gateway_client.gateway_sockets(run)] == [str(two[1].child.pid)]
        assert asyncio.run(gateway_client.drained(run, "task-0", DEADLINE_S)) is True
        assert not (run / "gateways" / f"{two[0].child.pid}.sock").exists()


def _pids(port: int) -> set[int]:
    """Of the gateways that answered a dozen connections."""
    answers = set()
    for _ in range(12):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=DEADLINE_S) as answer:
            answers.add(int(json.load(answer)["pid"]))
    return answers


def _invoke(port: int, world: World) -> bytes:
    """One invocation over a connection of its own."""
    url = f"http://127.0.0.1:{port}/endpoints/e/invocations"
    headers = sigv4.sign(
        "POST", url, {}, b"x", world.credentials, region="us-east-1", service="sagemaker", now=datetime.now(UTC)
    )
    with urllib.request.urlopen(urllib.request.Request(url, b"x", headers), timeout=DEADLINE_S) as answer:
        return bytes(answer.read())


def _asked(process: Process, question: dict[str, Any]) -> dict[str, Any]:
    """The answer of one gateway's administrative socket."""
    path = gateway_client.socket_of(process.root / "run", process.child.pid)
    with socket.socket(socket.AF_UNIX) as connection, gateway_client.socket_address(path) as address:
        connection.connect(address)
        connection.sendall(json.dumps(question).encode() + b"\n")
        with connection.makefile("rb") as lines:
            return dict(json.loads(lines.readline()))


def test_a_bad_setting_is_reported_in_a_line(tmp_path, start):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "clary.toml").write_text("prot = 1")
    gateway = start()
    output = gateway.output()
    assert "there is no setting 'prot'" in output
    assert "Traceback" not in output


def test_an_idle_gateway_costs_nothing(world, start):
    world.serve(world.replica())
    gateway = start().ready()

    def busy_s() -> float:
        fields = Path(f"/proc/{gateway.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = busy_s()
    with pytest.raises(subprocess.TimeoutExpired):
        gateway.child.wait(2.0)
    assert busy_s() - before <= 0.04


class TestControlSocket:
    def run(self, coroutine: Any) -> Any:
        return asyncio.run(coroutine)

    def test_no_gateway_is_no_error(self, tmp_path):
        gateway_client.publish_hint(tmp_path)
        assert self.run(gateway_client.in_flight(tmp_path, "t")) is None
        assert self.run(gateway_client.drained(tmp_path, "t", 5.0)) is True
        assert self.run(gateway_client.metrics(tmp_path)) == []

    def test_a_socket_whose_gateway_was_killed_is_no_error(self, start):
        gateway = start().ready()
        gateway.kill()
        run = gateway.root / "run"
        assert gateway_client.socket_of(run, gateway.child.pid).exists()
        gateway_client.publish_hint(run)
        assert self.run(gateway_client.in_flight(run, "t")) is None
        assert self.run(gateway_client.drained(run, "t", 5.0)) is True

    def test_a_gateway_of_version_0_1_is_hinted_and_drained_too(self, world):
        """It had one socket, and knew neither `counts` nor `port`."""
        questions = []

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                questions.append(question := json.loads(line))
                writer.write({"routes": b'{"routes": 0}\n', "drained": b'{"drained": false}\n'}[question["op"]])
            writer.close()

        run = world.home.run
        server = world.run(asyncio.start_unix_server(answer, str(run / "gateway.sock")))
        gateway_client.publish_hint(run)
        assert self.run(gateway_client.drained(run, "t", 0.0)) is False
        until(lambda: len(questions) == 2, "both questions came")
        assert {question["op"] for question in questions} == {"routes", "drained"}
        world.loop.call_soon_threadsafe(server.close)

    def test_a_home_of_any_depth(self, tmp_path):
        """The address of a Unix socket holds 107 bytes."""
        deep = World(tmp_path / ("d" * 60) / ("e" * 60))
        try:
            deep.publish(Variant("v", 1.0))
            assert self.run(gateway_client.in_flight(deep.home.run, "t")) == 0
        finally:
            deep.close()

    def test_draining_a_replica(self, world):
        release = asyncio.Event()

        async def slow(request: ReceivedRequest, writer: Writer) -> None:
            await release.wait()
            await echo(request, writer)

        old, new, run = world.replica("old", slow), world.replica("new"), world.home.run
        world.serve(old)
        client = world.client()
        with ThreadPoolExecutor(2) as pool:
            call = pool.submit(client.invoke_endpoint, EndpointName="e", Body=b"x")
            until(lambda: old.received, "the request is under way")
            world.serve(new)
            assert self.run(gateway_client.in_flight(run, "old")) == 1
            assert self.run(gateway_client.drained(run, "old", 0.05)) is False
            draining = pool.submit(self.run, gateway_client.drained(run, "old", DEADLINE_S))
            assert client.invoke_endpoint(EndpointName="e", Body=b"y")["Body"].read() == b"y"
            assert not draining.done()
            world.loop.call_soon_threadsafe(release.set)
            assert draining.result() is True
            assert call.result()["Body"].read() == b"x"
        assert self.run(gateway_client.in_flight(run, "old")) == 0
        assert len(old.received) == len(new.received) == 1

    def test_a_hint_makes_the_gateway_read_the_routes(self, tmp_path):
        world = World(tmp_path / "h", _no_refresh_of_its_own())
        try:
            world.publish(Variant("v", 1.0))
            gateway_client.publish_hint(world.home.run)
            until(lambda: "e" in world.gateway._table.routes, "the route is known")
        finally:
            world.close()

    def test_metrics(self, world):
        world.serve(world.replica())
        world.client().invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read()
        [row] = until(lambda: self.run(gateway_client.metrics(world.home.run)), "there are counts")
        assert (row["EndpointName"], row["VariantName"]) == ("e", "AllTraffic")
        until(lambda: self.run(gateway_client.metrics(world.home.run))[0]["Invocations"] == 1, "it is counted")

    @pytest.mark.parametrize("line", [b"\n", b"{}\n", b"nonsense\n", b'{"op": "drained", "task_id": 7}\n', b"[1]\n"])
    def test_an_unknown_question_is_answered(self, world, line):
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(gateway_client.socket_of(world.home.run, os.getpid())))
            caller.sendall(line)
            assert b"not understood" in caller.recv(1000)

    def test_only_the_owner_may_connect(self, world):
        assert gateway_client.socket_of(world.home.run, os.getpid()).stat().st_mode & 0o077 == 0


def _no_refresh_of_its_own() -> Any:
    from clary.gateway.limits import Limits

    return Limits(refresh_s=3600.0)
