"""The gateway as a whole: listens, keeps the routes current, and stops in order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from typing import Any

import structlog

from clary.core import gateway_client
from clary.core.clock import Clock, SystemClock
from clary.core.credentials import Credentials
from clary.core.errors import SettingsError
from clary.core.routes import Replica
from clary.core.settings import Settings
from clary.gateway.admin import AdminSocket
from clary.gateway.authenticate import Authenticator
from clary.gateway.client_connection import ClientConnection
from clary.gateway.client_connections import ClientConnections
from clary.gateway.errors import ErrorFactory
from clary.gateway.hooks import InvocationHook
from clary.gateway.invoke import Invoker
from clary.gateway.limits import Limits
from clary.gateway.metrics import Metrics
from clary.gateway.metrics_spool import MetricsSpool
from clary.gateway.no_replica_events import NoReplicaEvents
from clary.gateway.replicas import Replicas
from clary.gateway.route_table import RouteTable
from clary.gateway.router import Router

_BACKLOG = 1024
# Clients keep connections open without using them, and do not answer when TLS is shut down on them.
_TLS_SHUTDOWN_S = 0.5
_FINAL_RESPONSES_S = 1.0  # after the requests still under way were cancelled

log = structlog.get_logger()


class Gateway:
    """An inference gateway process: `start`, then `stop`. Several of one home may listen on the same port."""

    def __init__(
        self,
        settings: Settings,
        credentials: Credentials,
        limits: Limits,
        hooks: tuple[InvocationHook, ...] = (),
        clock: Clock | None = None,
    ) -> None:
        paths = settings.paths
        self._settings = settings
        self._limits = limits
        self._metrics = Metrics()
        self._spool = MetricsSpool(self._metrics, paths.metrics, clock or SystemClock())
        self._replicas = Replicas(limits)
        self._table = RouteTable(paths.routes, self._routes_changed)
        self._no_replica_events = NoReplicaEvents(paths.run / gateway_client.WAKE_SOCKET, limits.no_replica_event_s)
        errors = ErrorFactory(settings.account, settings.url(settings.port))
        invoker = Invoker(
            self._table, self._replicas, self._metrics, errors, self._no_replica_events, limits, hooks=hooks
        )
        authenticator = Authenticator(credentials, settings.region, settings.clock_skew_s)
        router = Router(authenticator, invoker, limits, self._metrics_text, lambda: self._connections.draining)
        self._connections = ClientConnections(router.answer, limits)
        self._admin = AdminSocket(paths.run, self._table, self._replicas, self._counts)
        self._routed_replicas: frozenset[Replica] = frozenset()
        self._server: asyncio.Server | None = None
        self._background: list[asyncio.Task[None]] = []

    async def start(self, port: int | None = None) -> int:
        """Listen; the port. Raises SettingsError where it is taken, or TLS cannot be set up."""
        self._table.refresh()
        loop = asyncio.get_running_loop()
        tls = _tls(self._settings)
        host, wanted_port = self._settings.host, self._settings.gateway_port if port is None else port
        self._admin.port = wanted_port
        await self._admin.listen()  # before the port, so that gateways of this home that start together see each other
        try:
            shared = wanted_port in await gateway_client.ports(self._settings.paths.run, besides=os.getpid())
            listener = _listener(host, wanted_port, shared=shared)
            self._server = await loop.create_server(
                lambda: ClientConnection(self._connections),
                sock=listener,
                backlog=_BACKLOG,
                ssl=tls,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_S if tls else None,
            )
        except BaseException:
            await self._admin.close()
            raise
        self._background = [
            asyncio.create_task(self._table.poll(self._limits.refresh_s)),
            asyncio.create_task(self._sweep()),
            asyncio.create_task(self._spool.run(self._limits.spool_s)),
        ]
        taken: int = listener.getsockname()[1]
        self._admin.port = taken
        log.info("gateway_listens", url=self._settings.url(taken), endpoints=sorted(self._table.routes))
        return taken

    async def stop(self) -> None:
        """Take no new connection, give the requests under way a bounded time to end, then close everything."""
        log.info("gateway_stops", in_flight=sum(self._replicas.outstanding.values()))
        if self._server is not None:
            self._server.close()
        self._connections.drain()
        if not await self._all_closed(self._limits.drain_s):
            self._connections.cancel()
            await self._all_closed(_FINAL_RESPONSES_S)
        for connection in list(self._connections.open):
            connection.abort()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._spool.close()
        self._replicas.close()
        await self._admin.close()

    async def _all_closed(self, within_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._connections.all_closed()
        return not self._connections.open

    def _routes_changed(self) -> None:
        routes = self._table.routes
        replicas = [r for route in routes.values() for v in route.variants for r in v.replicas]
        self._routed_replicas = frozenset(
            container for replica in replicas for container in (replica, *replica.further_containers())
        )
        self._metrics.keep(routes)
        self._replicas.sweep(asyncio.get_running_loop().time(), self._routed_replicas)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._limits.sweep_s)
            now = loop.time()
            self._connections.sweep(now)
            self._replicas.sweep(now, self._routed_replicas)
            self._no_replica_events.sweep(now)

    def _counts(self) -> dict[str, Any]:
        """What this process has counted, as `Metrics.to_json` has it."""
        self._metrics.connections = len(self._connections.open)
        return self._metrics.to_json()

    async def _metrics_text(self) -> str:
        return (await self._admin.all_metrics()).text()


def _listener(host: str, port: int, *, shared: bool) -> socket.socket:
    """A bound socket. Raises SettingsError with what prevents it.

    Other gateways of this home may bind the port too. `shared`: one has already. Else no other process may have it: a
    gateway of another home, bound in the same way, would get half of the requests.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        if not shared:
            with socket.socket(family, kind, protocol) as exclusive:
                exclusive.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                exclusive.bind(address)
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"port {port} on {host} is taken; the inference gateway needs it (it is port + 1): "
                "stop what listens there, or choose another port"
            ) from error
        raise SettingsError(f"the inference gateway cannot listen on {host} port {port}: {error}") from error
    return listener


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.tls_certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"tls_certificate = {settings.tls_certificate!r}, tls_key = {settings.tls_key!r}: {error}"
        ) from error
    return context
