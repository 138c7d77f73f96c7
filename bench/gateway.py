"""What the gateway adds to an inference: the same replica, asked directly and through it.

    python bench/gateway.py [--requests 5000] [--connections 1 16] [--body 200]

Replica, gateway and caller are processes of their own. The caller writes raw HTTP over kept connections, so that what
is measured is the gateway and not a client; every request through the gateway is signed, and checked there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from socket import socket

import uvloop

from clary.core import sigv4
from clary.core.credentials import Credentials, load_or_make
from clary.core.routes import Replica, Route, Variant

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 6\r\n\r\n0.1234"


class FakeReplica(asyncio.Protocol):
    """Answers each request at once, without looking at it."""

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
        self.ask()

    def ask(self) -> None:
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
            self.ask()
        elif not self.done.done():
            self.transport.close()
            self.done.set_result(self.took)


async def measure(port: int, request: bytes, connections: int, requests: int) -> tuple[float, float, float]:
    """p50 and p99 in milliseconds, and requests per second."""
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(connections)]
    began = time.perf_counter()
    for future in futures:
        await loop.create_connection(
            lambda future=future: Caller(request, requests // connections, future), "127.0.0.1", port
        )
    took = sorted(one for each in await asyncio.gather(*futures) for one in each)
    per_s = len(took) / (time.perf_counter() - began)
    return took[len(took) // 2] * 1e3, took[int(len(took) * 0.99)] * 1e3, per_s


def free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def gateway(home: Path) -> Iterator[int]:
    port = free_port()
    argv = [sys.executable, "-m", "clary.gateway", "--home", str(home), "--port", str(port - 1)]
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz")
        yield port
    finally:
        process.terminate()
        process.wait()


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--body", type=int, default=200, help="bytes of a request's body")
    parser.add_argument("--json", action="store_true", help="print one object per line")
    given = parser.parse_args()
    body = b"1" * given.body
    replica_port = free_port()
    replica = multiprocessing.get_context("spawn").Process(target=serve_replica, args=(replica_port, len(body)))
    replica.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            (home / "routes").mkdir()
            variant = Variant("AllTraffic", 1.0, (Replica("t", f"http://127.0.0.1:{replica_port}"),))
            (home / "routes" / "bench.json").write_text(Route("bench", "u", "InService", (variant,)).to_json())
            keys = load_or_make(home / "credentials.json")
            with gateway(home) as port:
                plain = b"POST /invocations HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body
                targets = {"direct": (replica_port, plain), "gateway": (port, signed_request(keys, port, body))}
                for connections in given.connections:
                    compare(targets, connections, given)
    finally:
        replica.terminate()
        replica.join()


def compare(targets: dict[str, tuple[int, bytes]], connections: int, given: argparse.Namespace) -> None:
    seen = {}
    for name, (port, request) in targets.items():
        uvloop.run(measure(port, request, connections, max(connections, given.requests // 10)))  # to warm up
        seen[name] = uvloop.run(measure(port, request, connections, given.requests))
    (p50, p99, rate), (own_p50, own_p99, own_rate) = seen["gateway"], seen["direct"]
    if given.json:
        told = {
            "p50_ms": p50,
            "p99_ms": p99,
            "requests_per_s": rate,
            "direct_p50_ms": own_p50,
            "direct_p99_ms": own_p99,
        }
        print(json.dumps({"connections": connections, **told, "direct_requests_per_s": own_rate}))
        return
    print(f"{connections} connections, {given.body} bytes")
    for name, (half, most, per_s) in seen.items():
        print(f"  {name:8} p50 {half:7.3f} ms   p99 {most:7.3f} ms   {per_s:8.0f} requests/s")
    print(f"  ratio    p50 {p50 / own_p50:6.1f} x    p99 {p99 / own_p99:6.1f} x    {rate / own_rate:8.2f} x")


if __name__ == "__main__":
    main()
