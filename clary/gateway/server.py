"""The gateway as a whole: listens, follows the routes, and leaves in good order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from pathlib import Path

import structlog

from clary.core.credentials import Credentials
from clary.core.errors import SettingsError
from clary.core.routes import Replica
from clary.core.settings import Settings
from clary.gateway.admin import Admin
from clary.gateway.authenticate import Authenticator
from clary.gateway.callers import Callers
from clary.gateway.connection import CallerConnection
from clary.gateway.errors import Place
from clary.gateway.front import Front
from clary.gateway.invoke import Invoker
from clary.gateway.limits import Limits
from clary.gateway.metrics import Metrics
from clary.gateway.replicas import Replicas
from clary.gateway.table import RouteTable

_BACKLOG = 1024
# Clients keep connections open that they do not use, and do not answer when TLS is closed on them.
_TLS_GOODBYE_S = 0.5
_LAST_WORDS_S = 1.0

log = structlog.get_logger()


class Gateway:
    """One inference gateway. `start`, then `stop`."""

    def __init__(self, settings: Settings, credentials: Credentials, limits: Limits) -> None:
        self._settings = settings
        self._limits = limits
        self._metrics = Metrics()
        self._replicas = Replicas(limits)
        self._table = RouteTable(settings.paths.routes, self._routes_changed)
        place = Place(settings.account, settings.url(settings.port))
        invoker = Invoker(self._table, self._replicas, self._metrics, place, limits)
        authenticator = Authenticator(credentials, settings.region, settings.clock_skew_s)
        front = Front(authenticator, invoker, limits, self._metrics_text, lambda: self._callers.draining)
        self._callers = Callers(front.answer, limits)
        self._admin = Admin(self._table, self._replicas, self._metrics)
        self._known: frozenset[Replica] = frozenset()
        self._server: asyncio.Server | None = None
        self._chores: list[asyncio.Task[None]] = []

    @property
    def admin_socket(self) -> Path:
        return self._settings.paths.run / "gateway.sock"

    async def start(self, port: int | None = None) -> int:
        """Listen; the port. Raises SettingsError where it is taken, or TLS cannot be set up."""
        self._table.look()
        loop = asyncio.get_running_loop()
        tls = _tls(self._settings)
        listener = _listener(self._settings.host, self._settings.gateway_port if port is None else port)
        try:
            self._server = await loop.create_server(
                lambda: CallerConnection(self._callers),
                sock=listener,
                backlog=_BACKLOG,
                ssl=tls,
                ssl_shutdown_timeout=_TLS_GOODBYE_S if tls else None,
            )
            await self._admin.listen(self.admin_socket)
        except BaseException:
            listener.close()
            raise
        self._chores = [
            asyncio.create_task(self._table.follow(self._limits.follow_s)),
            asyncio.create_task(self._sweep()),
        ]
        taken: int = listener.getsockname()[1]
        log.info("gateway_listens", url=self._settings.url(taken), endpoints=sorted(self._table.routes))
        return taken

    async def stop(self) -> None:
        """Take no new connection, let what is under way end, a bounded time; then leave."""
        log.info("gateway_stops", in_flight=sum(self._replicas.outstanding.values()))
        if self._server is not None:
            self._server.close()
        self._callers.drain()
        if not await self._all_gone(self._limits.drain_s):
            self._callers.cut()
            await self._all_gone(_LAST_WORDS_S)
        for connection in list(self._callers.connections):
            connection.abort()
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        self._replicas.close()
        await self._admin.close(self.admin_socket)

    async def _all_gone(self, within_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._callers.all_gone()
        return not self._callers.connections

    def _routes_changed(self) -> None:
        routes = self._table.routes
        replicas = [r for route in routes.values() for v in route.variants for r in v.replicas]
        self._known = frozenset(one for replica in replicas for one in (replica, *replica.hops()))
        self._metrics.keep(routes)
        self._replicas.sweep(asyncio.get_running_loop().time(), self._known)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._limits.sweep_s)
            self._callers.sweep(loop.time())
            self._replicas.sweep(loop.time(), self._known)

    def _metrics_text(self) -> str:
        self._metrics.connections = len(self._callers.connections)
        return self._metrics.text()


def _listener(host: str, port: int) -> socket.socket:
    """A bound socket. Raises SettingsError naming what is in the way."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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
