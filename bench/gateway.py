"""What the gateway adds to an inference: the same replica, called directly and through it.

Replica, gateway and caller are processes of their own. The caller writes raw HTTP over kept connections, so that what
is measured is the gateway and not a client; every request through the gateway is signed, and checked there.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from socket import create_connection, socket

import uvloop

from bench.figures import Figure, percentile
from clary.core import sigv4
from clary.core.credentials import Credentials, load_or_make
from clary.core.routes import Replica, Route, Variant

ABOUT = "an inference through the gateway, beside the same replica called directly"

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 6\r\n\r\n0.1234"
BODY = b"1" * 200
CONNECTIONS = (1, 16)


def measure(quick: bool) -> Iterator[Figure]:
    requests, rounds = (2000, 3) if quick else (5000, 5)
    with replica(len(BODY)) as replica_port, tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "routes").mkdir()
        variant = Variant("AllTraffic", 1.0, (Replica("t", f"http://127.0.0.1:{replica_port}"),))
        (home / "routes" / "bench.json").write_text(Route("bench", "u", "InService", (variant,)).to_json())
        keys = load_or_make(home / "credentials.json")
        with gateway(home) as port:
            plain = b"POST /invocations HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
            targets = {"direct": (replica_port, plain), "gateway": (port, signed_request(keys, port, BODY))}
            for connections in CONNECTIONS:
                yield from compare(targets, connections, requests, rounds)


def compare(targets: dict[str, tuple[int, bytes]], connections: int, requests: int, rounds: int) -> Iterator[Figure]:
    seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in targets}
    for number in range(-1, rounds):  # the first is to warm up
        for name, (port, request) in targets.items():
            taken = uvloop.run(send_requests(port, request, connections, requests if number >= 0 else requests // 10))
            if number >= 0:
                seen[name].append(taken)
    many = f"{connections} connections" if connections > 1 else "1 connection"
    for index, (name, unit) in enumerate((("p50", "ms"), ("p99", "ms"), ("throughput", "req/s"))):
        own, peer = ([each[index] for each in seen[name]] for name in ("gateway", "direct"))
        yield Figure(f"{many}, {name}", unit, own, "the replica, directly", peer)


class FakeReplica(asyncio.Protocol):
    """Answers each request at once, whatever it is."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data
        _, found, body = self.got.partition(b"\r\n\r\n")
        if found and len(body) >= self.size:
            self.got = b""
            self.transport.write(ANSWER)


def serve_replica(port: int, size: int) -> None:
    async def forever() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: FakeReplica(size), "127.0.0.1", port)
        await server.serve_forever()

    uvloop.run(forever())


class Caller(asyncio.Protocol):
    """Sends a request, waits for its answer, sends the next."""

    def __init__(self, request: bytes, times: int, done: asyncio.Future[list[float]]) -> None:
        self.request, self.left, self.done = request, times, done
        self.took: list[float] = []
        self.got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send_next()

    def send_next(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.got += data
        if not self.got.endswith(b"0.1234"):
            if b" 200 " not in self.got[:20]:
                self.done.set_exception(RuntimeError(self.got.decode()))
            return
        self.got = b""
        self.took.append(time.perf_counter() - self.began)
        self.left -= 1
        if self.left:
            self.send_next()
        elif not self.done.done():
            self.transport.close()
            self.done.set_result(self.took)


async def send_requests(port: int, request: bytes, connections: int, requests: int) -> tuple[float, float, float]:
    """p50 and p99 in milliseconds, and requests per second."""
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(connections)]
    began = time.perf_counter()
    for future in futures:
        await loop.create_connection(
            lambda future=future: Caller(request, requests // connections, future), "127.0.0.1", port
        )
    took = [seconds for durations in await asyncio.gather(*futures) for seconds in durations]
    per_s = len(took) / (time.perf_counter() - began)
    return percentile(took, 0.5) * 1e3, percentile(took, 0.99) * 1e3, per_s


def free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def replica(size: int) -> Iterator[int]:
    """A replica that answers bodies of this size; its port."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=serve_replica, args=(port, size), daemon=True)
    process.start()
    try:
        until_it_listens(port)
        yield port
    finally:
        process.terminate()
        process.join()


@contextmanager
def gateway(home: Path) -> Iterator[int]:
    port = free_port()
    argv = [sys.executable, "-m", "clary.gateway", "--home", str(home), "--port", str(port - 1)]
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    try:
        until_it_listens(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            return create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def signed_request(keys: Credentials, port: int, body: bytes) -> bytes:
    path = "/endpoints/bench/invocations"
    headers = sigv4.sign(
        "POST",
        f"http://127.0.0.1:{port}{path}",
        {"Content-Type": "text/csv"},
        body,
        keys,
        region="us-east-1",
        service="sagemaker",
        now=datetime.now(UTC),
    )
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body
