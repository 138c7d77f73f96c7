"""The gateway as a process: started, killed, stopped, and asked by the control loop."""

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
from pathlib import Path
from typing import Any

import pytest

from clary.core import gateway_client
from clary.core.routes import Variant
from tests.faults.gateway_world import DEADLINE_S, Asked, World, Writer, echo, runtime_client, until


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

    async def slow(asked: Asked, writer: Writer) -> None:
        await release.wait()
        await echo(asked, writer)

    replica = world.replica(behave=slow)
    world.serve(replica)
    gateway = start().ready()
    client = runtime_client(gateway.url, world.credentials)
    idle = socket.create_connection(("127.0.0.1", gateway.port))
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.invoke_endpoint, EndpointName="e", Body=b"x")
        until(lambda: replica.asked, "the request is under way")
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


def test_a_taken_port_is_named(world, start):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        gateway = start(port)
        assert f"clary gateway: port {port} on 127.0.0.1 is taken" in gateway.output()
        assert gateway.child.returncode == 2


def test_one_gateway_per_home(start):
    first = start().ready()
    second = start()
    assert "a gateway runs already for" in second.output()
    assert second.child.returncode == 2
    assert first.health() is not None


def test_a_setting_that_does_not_fit_is_told_in_a_line(tmp_path, start):
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
        assert (run / "gateway.sock").exists()
        gateway_client.publish_hint(run)
        assert self.run(gateway_client.in_flight(run, "t")) is None
        assert self.run(gateway_client.drained(run, "t", 5.0)) is True

    def test_draining_a_replica(self, world):
        release = asyncio.Event()

        async def slow(asked: Asked, writer: Writer) -> None:
            await release.wait()
            await echo(asked, writer)

        old, new, run = world.replica("old", slow), world.replica("new"), world.home.run
        world.serve(old)
        client = world.client()
        with ThreadPoolExecutor(2) as pool:
            call = pool.submit(client.invoke_endpoint, EndpointName="e", Body=b"x")
            until(lambda: old.asked, "the request is under way")
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
        assert len(old.asked) == len(new.asked) == 1

    def test_a_hint_makes_the_gateway_look(self, tmp_path):
        world = World(tmp_path / "h", _never_looks_by_itself())
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
    def test_what_is_not_understood_is_said(self, world, line):
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(world.home.run / "gateway.sock"))
            caller.sendall(line)
            assert b"not understood" in caller.recv(1000)

    def test_only_the_owner_may_connect(self, world):
        assert (world.home.run / "gateway.sock").stat().st_mode & 0o077 == 0


def _never_looks_by_itself() -> Any:
    from clary.gateway.limits import Limits

    return Limits(follow_s=3600.0)
