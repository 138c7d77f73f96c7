"""A gateway with fake replicas around it, all on one event loop in a thread; for tests in another thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from clary.core.credentials import Credentials, load_or_make
from clary.core.files import write_whole
from clary.core.routes import Replica, Route, Variant
from clary.core.settings import Settings
from clary.gateway.hooks import InvocationHook
from clary.gateway.limits import Limits
from clary.gateway.server import Gateway
from tests.faults.event_loop import DEADLINE_S, EventLoopThread, read_request


@dataclass
class ReceivedRequest:
    """A request as a replica received it."""

    line: str
    headers: dict[str, str]
    body: bytes


Writer = asyncio.StreamWriter
Behaviour = Callable[[ReceivedRequest, Writer], Awaitable[None]]


def responding(body: bytes, status: str = "200 OK", headers: dict[str, str] | None = None) -> Behaviour:
    """A replica that always answers so."""

    async def behave(request: ReceivedRequest, writer: Writer) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body)

    return behave


async def echo(request: ReceivedRequest, writer: Writer) -> None:
    await responding(request.body, headers={"Content-Type": request.headers.get("content-type", "x/none")})(
        request, writer
    )


@dataclass
class FakeReplica:
    """Listens, reads requests, and answers each by `behave`."""

    name: str
    behave: Behaviour = echo
    received: list[ReceivedRequest] = field(default_factory=list)
    connections: int = 0
    lost: int = 0
    port: int = 0
    read_body: bool = True
    _server: asyncio.Server | None = None
    _writers: set[Writer] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    @property
    def address(self) -> Replica:
        return Replica(self.name, f"http://127.0.0.1:{self.port}")

    async def _serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while not writer.is_closing():
                request = await self._read(reader)
                self.received.append(request)
                await self.behave(request, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            self.lost += 1
            self._writers.discard(writer)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> ReceivedRequest:
        return ReceivedRequest(*await read_request(reader, with_body=self.read_body))


class World(EventLoopThread):
    """A gateway, its home and its replicas."""

    def __init__(
        self, home: Path, limits: Limits | None = None, hooks: tuple[InvocationHook, ...] = (), **settings: Any
    ) -> None:
        self.settings = Settings(home=home, **settings)
        self.home = self.settings.paths
        for folder in (self.home.run, self.home.routes):
            folder.mkdir(parents=True, exist_ok=True)
        self.credentials: Credentials = load_or_make(self.home.credentials)
        super().__init__()
        self._replicas: list[FakeReplica] = []
        self._clients: list[Any] = []
        self.gateway = self.run(self._make(limits or Limits(), hooks))
        self.port = self.run(self.gateway.start(port=0))

    async def _make(self, limits: Limits, hooks: tuple[InvocationHook, ...]) -> Gateway:
        return Gateway(self.settings, self.credentials, limits, hooks)

    def close(self) -> None:
        for client in self._clients:
            client.close()
        for replica in self._replicas:
            self.run(replica.stop())
        self.run(self.gateway.stop())
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def replica(self, name: str = "task-0", behave: Behaviour = echo, **more: Any) -> FakeReplica:
        replica = FakeReplica(name, behave, **more)
        self._replicas.append(replica)
        self.run(replica.start())
        return replica

    def publish(self, *variants: Variant, endpoint: str = "e", status: str = "InService", uid: str = "u1") -> None:
        route = Route(endpoint, uid, status, variants)
        write_whole(self.home.routes / f"{endpoint}.json", route.to_json())

    def serve(self, *replicas: FakeReplica, endpoint: str = "e") -> None:
        self.publish(Variant("AllTraffic", 1.0, tuple(r.address for r in replicas)), endpoint=endpoint)

    def client(self, url: str = "", **more: Any) -> Any:
        made = runtime_client(url or self.url, self.credentials, **more)
        self._clients.append(made)
        return made

    def metric(self, name: str, variant: str = "AllTraffic") -> Any:
        rows = [row for row in self.gateway._metrics.summary() if row["VariantName"] == variant]
        return rows[0][name] if rows else 0


def runtime_client(
    url: str, credentials: Credentials, region: str = "us-east-1", verify: str | None = None, **more: Any
) -> Any:
    """boto3's own client of the data plane. It tries once, so that tests see each answer."""
    options = {"retries": {"total_max_attempts": 1}, "read_timeout": DEADLINE_S, "max_pool_connections": 32} | more
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=url,
        verify=verify,
        region_name=region,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        config=Config(**options),
    )
