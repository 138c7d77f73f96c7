"""The proxy as a whole: listens on loopback, takes CONNECT, and stops in order."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import h11
import structlog

from clary.core.credentials import Credentials
from clary.core.settings import Settings
from clary.proxy.authority import Authority
from clary.proxy.aws_connection import AwsConnection, Services
from clary.proxy.certificates import Certificates
from clary.proxy.client import READ_BYTES, Client
from clary.proxy.connect import ConnectProtocol, refuse, response
from clary.proxy.hosts import Service, is_aws, is_name
from clary.proxy.limits import Limits
from clary.proxy.s3 import S3
from clary.proxy.tunnel import Streams, connect, tunnel
from clary.proxy.upstream import Target, pinned

ADDRESS = "127.0.0.1"  # loopback: the proxy asks for no password

_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_AUTHORITY = re.compile(r"(?P<host>[^\s:/@\[\]]+|\[[0-9a-fA-F:.]+\]):(?P<port>[0-9]{1,5})")

log = structlog.get_logger()


@dataclass(slots=True)
class _OpenConnection:
    """A connection after its CONNECT. A tunnel, which has no `aws`, is always busy."""

    aws: AwsConnection | None = None

    @property
    def busy(self) -> bool:
        return self.aws is None or self.aws.busy


class Proxy:
    """The proxy: `start`, then `stop`."""

    def __init__(self, settings: Settings, credentials: Credentials, authority: Authority, limits: Limits) -> None:
        self._certificates = Certificates(authority)
        self._services = services(settings, credentials, limits)
        self._tunnels_other_hosts = settings.proxy_other_hosts == "pass"
        self._limits = limits
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], _OpenConnection] = {}

    async def start(self, port: int = 0) -> int:
        """Listen on loopback; the port. Raises OSError where it is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: ConnectProtocol(self._begin, self._limits), ADDRESS, port)
        taken: int = self._server.sockets[0].getsockname()[1]
        log.info("proxy_listens", port=taken, other_hosts="pass" if self._tunnels_other_hosts else "refuse")
        return taken

    async def stop(self) -> None:
        """Take no new connection, give the requests under way a bounded time to end, then close everything."""
        if self._server is not None:
            self._server.close()
        for task, opened in list(self._open.items()):
            if not opened.busy:
                task.cancel()
        if self._open:
            await asyncio.wait(self._open, timeout=self._limits.drain_s)
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _begin(self, transport: asyncio.Transport, request: h11.Request, early: bytes) -> None:
        if request.method != b"CONNECT":
            _answer_other_methods(transport, request)
            return
        match = _AUTHORITY.fullmatch(request.target.decode("latin-1").lower())
        host, port = (match["host"], int(match["port"])) if match else ("", 0)
        if not 1 <= port <= 65535 or not (host.startswith("[") or is_name(host)):
            refuse(transport, 400, "CONNECT needs a host name and a port")
        elif len(self._open) >= self._limits.connections:
            refuse(transport, 503, f"{self._limits.connections} connections are open; try again")
        elif is_aws(host):
            self._begin_aws(transport, host, port, early)
        elif not self._tunnels_other_hosts:
            log.info("host_refused", host=host)
            refuse(transport, 403, "Clary's setting proxy_other_hosts refuses hosts that are not AWS's")
        else:
            self._run(transport, self._tunnel(transport, host.strip("[]"), port, early), _OpenConnection())

    def _begin_aws(self, transport: asyncio.Transport, host: str, port: int, early: bytes) -> None:
        if port != 443:
            refuse(transport, 403, "Clary answers for AWS at port 443 only")
        elif early:
            refuse(transport, 400, "Wait for the response to CONNECT")
        else:
            opened = _OpenConnection()
            self._run(transport, self._terminate(transport, host, opened), opened)

    def _run(self, transport: asyncio.Transport, work: Coroutine[Any, Any, None], opened: _OpenConnection) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._open[task] = opened
        task.add_done_callback(lambda done: self._ended(transport, done))

    def _ended(self, transport: asyncio.Transport, task: asyncio.Task[None]) -> None:
        del self._open[task]
        if not transport.is_closing():
            transport.abort()
        if not task.cancelled() and (error := task.exception()):
            log.error("connection_failed", exc_info=error)

    async def _terminate(self, transport: asyncio.Transport, host: str, opened: _OpenConnection) -> None:
        """Terminate TLS as `host`, and answer its requests."""
        transport.write(_ESTABLISHED)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(READ_BYTES, loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            secured = await loop.start_tls(
                transport,
                protocol,
                self._certificates.context(host),
                server_side=True,
                ssl_handshake_timeout=self._limits.handshake_s,
                ssl_shutdown_timeout=self._limits.linger_s,
            )
        except OSError as error:
            # Most often a client that does not trust the authority.
            log.info("handshake_failed", host=host, reason=str(error))
            return
        assert secured is not None
        protocol.connection_made(secured)
        client = Client(reader, asyncio.StreamWriter(secured, protocol, reader, loop), self._limits)
        opened.aws = AwsConnection(client, host, self._services, self._limits)
        try:
            await opened.aws.run()
        finally:
            secured.abort()

    async def _tunnel(self, transport: asyncio.Transport, host: str, port: int, early: bytes) -> None:
        """Connect the client to a host that is not AWS's."""
        try:
            streams = await connect(host, port, self._limits)
        except OSError as error:
            refuse(transport, 502, f"{host}:{port} cannot be reached", str(error))
            return
        transport.write(_ESTABLISHED)
        await tunnel(_streams(transport, early), streams, self._limits)


def _streams(transport: asyncio.Transport, early: bytes) -> Streams:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(READ_BYTES, loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if early:
        reader.feed_data(early)
    transport.resume_reading()
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _answer_other_methods(transport: asyncio.Transport, request: h11.Request) -> None:
    if request.method == b"GET" and request.target == b"/healthz":
        content = json.dumps({"status": "ok", "service": "clary proxy"}).encode()
        transport.write(response(200, "OK", content, "application/json"))
        transport.close()
    else:
        refuse(transport, 405, "This proxy takes CONNECT only: set HTTPS_PROXY, not HTTP_PROXY")


def services(settings: Settings, credentials: Credentials, limits: Limits) -> Services:
    """The services, at the addresses of the settings."""
    tls_to_clary = pinned(settings.tls_certificate) if settings.tls_certificate else None
    remedy = "start the server (`clary up`), or run `clary env --transparent` again where it moved"
    targets = {
        Service.CONTROL: Target("control API", settings.url(settings.port), remedy, tls_to_clary),
        Service.GATEWAY: Target("inference gateway", settings.url(settings.gateway_port), remedy, tls_to_clary),
    }
    if settings.embedded_s3:
        target, keys = Target("S3", settings.s3_url, remedy, tls_to_clary), credentials
    else:
        tls = ssl.create_default_context() if settings.s3_url.startswith("https:") else None
        target = Target("S3", settings.s3_url.rstrip("/"), "check the setting s3_endpoint_url", tls)
        keys = Credentials(settings.s3_access_key_id, settings.s3_secret_access_key)
    return Services(targets, S3(target, credentials, keys, settings.region, settings.clock_skew_s, limits))
