"""A proxy with what stands around it, all on one event loop in a thread; for tests in another thread."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from clary.core.credentials import Credentials, load_or_make
from clary.core.settings import Settings
from clary.proxy import authority
from clary.proxy.ca_bundle import write_ca_bundle
from clary.proxy.limits import Limits
from clary.proxy.server import Proxy
from tests.faults.event_loop import DEADLINE_S, EventLoopThread, read_request

REGION = "us-east-1"
CONTROL = f"api.sagemaker.{REGION}.amazonaws.com"


@dataclass
class ReceivedRequest:
    """A request as a service received it. `reader` has the bytes that follow it."""

    line: str
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader


Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Behaviour = Callable[[ReceivedRequest, Writer], Awaitable[None]]


def responding(body: bytes, status: str = "200 OK", **headers: str) -> Behaviour:
    """A service that always answers so."""

    async def behave(request: ReceivedRequest, writer: Writer) -> None:
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body)

    return behave


@dataclass
class Service:
    """Listens, reads requests, and answers each by `behave`. `lost` counts connections that ended within a request."""

    behave: Behaviour = field(default_factory=lambda: responding(b"{}"))
    tls: ssl.SSLContext | None = None
    reads_bodies: bool = True
    received: list[ReceivedRequest] = field(default_factory=list)
    lost: int = 0
    port: int = 0
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        try:
            if request := await self._read(reader):
                self.received.append(request)
                await self.behave(request, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.lost += 1
        finally:
            writer.close()

    async def _read(self, reader: Reader) -> ReceivedRequest:
        return ReceivedRequest(*await read_request(reader, with_body=self.reads_bodies), reader)


class World(EventLoopThread):
    """A proxy, its home and the services behind it."""

    def __init__(self, home: Path, limits: Limits | None = None, **settings: Any) -> None:
        super().__init__()
        self._services: list[Service] = []
        self._clients: list[Any] = []
        self.settings = Settings(home=home, **settings)
        self.credentials: Credentials = load_or_make(self.settings.paths.credentials)
        self.authority = authority.load_or_make(self.settings.paths.certificates, datetime.now(UTC))
        self.bundle = write_ca_bundle(self.settings.paths.certificates, self.authority, {})
        self.proxy = self.run(self._make(limits or Limits()))
        self.port = self.run(self.proxy.start())

    async def _make(self, limits: Limits) -> Proxy:
        return Proxy(self.settings, self.credentials, self.authority, limits)

    def close(self) -> None:
        for client in self._clients:
            client.close()
        for service in self._services:
            self.run(service.stop())
        self.run(self.proxy.stop())
        self.stop()

    def service(self, port: int = 0, **more: Any) -> Service:
        service = Service(port=port, **more)
        self._services.append(service)
        self.run(service.start())
        return service

    def control(self, **more: Any) -> Service:
        return self.service(self.settings.port, **more)

    def gateway(self, **more: Any) -> Service:
        return self.service(self.settings.gateway_port, **more)

    def client(self, service: str, region: str = REGION, **more: Any) -> Any:
        """boto3's own, with what `clary env --transparent` exports. It tries once, so that tests see each answer."""
        options = {"retries": {"total_max_attempts": 1}, "read_timeout": DEADLINE_S} | more.pop("config", {})
        made = boto3.client(
            service,
            region_name=region,
            config=Config(proxies={"https": f"http://127.0.0.1:{self.port}"}, **options),
            **{
                "verify": str(self.bundle),
                "aws_access_key_id": self.credentials.access_key_id,
                "aws_secret_access_key": self.credentials.secret_access_key,
            }
            | more,
        )
        self._clients.append(made)
        return made

    def connect(self) -> socket.socket:
        """A connection to the proxy, before its CONNECT."""
        return socket.create_connection(("127.0.0.1", self.port), DEADLINE_S)

    @contextlib.contextmanager
    def tls(self, host: str) -> Any:
        """A connection to `host` through the proxy."""
        with self.connect() as plain:
            plain.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
            assert plain.recv(4096).startswith(b"HTTP/1.1 200 ")
            trust = ssl.create_default_context(cafile=str(self.bundle))
            with trust.wrap_socket(plain, server_hostname=host) as secured:
                yield secured

    @property
    def open_connections(self) -> int:
        return len(self.proxy._open)


def free_ports(count: int) -> int:
    """The first of so many that are free, one after the other."""
    while True:
        with contextlib.ExitStack() as stack:
            first = 0
            try:
                for n in range(count):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", first + n if first else 0))
                    first = first or probe.getsockname()[1]
            except (OSError, OverflowError):
                continue
            return first


def read_to_end(connection: socket.socket) -> bytes:
    """All that is received until the other side closes the connection."""
    got = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := connection.recv(65536):
            got += data
    return got
