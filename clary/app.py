"""The composition root: settings in, a running server out. The one file that knows every part."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import structlog
import uvicorn
import uvloop
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clary.artifacts.logs import LogStreams
from clary.artifacts.stores import open_store as open_objects
from clary.artifacts.stores import s3_access
from clary.compute.backends import check_image, make_backend
from clary.compute.events import Events
from clary.compute.plan import Platform
from clary.connection import environment, keep
from clary.control.collect_metrics import MetricsCollector
from clary.control.effects import World
from clary.control.leases import RenewedLeases, node_of
from clary.control.loop import Loop
from clary.control.run import control
from clary.core import gateway_client, sigv4
from clary.core.changes import Changes
from clary.core.clock import SystemClock
from clary.core.credentials import Credentials, credentials_for
from clary.core.errors import ServiceError, SettingsError
from clary.core.files import sweep
from clary.core.records import Ref
from clary.core.settings import Settings
from clary.detached.lock import hold_lock
from clary.resources import FAMILIES, OPERATIONS, endpoints
from clary.resources.children import Children
from clary.resources.context import Context
from clary.resources.endpoints import deployment
from clary.resources.long_poll import DescribedStatuses
from clary.services.keeper import Keeper
from clary.services.s3 import embedded_s3
from clary.services.service import Service
from clary.startup import allow_many_connections, configure_logging
from clary.store.database import Database, open_database
from clary.store.engine import sqlite_url
from clary.store.metrics.base import Retention
from clary.store.metrics.sql import SqlMetricStore
from clary.store.reporting import ReportingStore
from clary.store.sql import SqlStore
from clary.wire.exchange import Exchange
from clary.wire.server import make_app

log = structlog.get_logger()

# Control requests take milliseconds; idle TLS connections would be waited for in vain.
REQUESTS_END_WITHIN_S = 2
# The gateway finishes the requests it has, 30 s at most, before its replicas go.
DRAIN_WITHIN_S = 33
# Replicas get 30 s from SIGTERM to SIGKILL; a little more, and `clary down` is told the truth.
REPLICAS_END_WITHIN_S = 40


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises SettingsError where it cannot start."""
    configure_logging(settings.log_level)
    allow_many_connections()
    with _alone(settings):
        uvloop.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Everything, from the first directory made to the last process stopped."""
    paths = settings.paths
    for folder in (paths.tasks, paths.logs, paths.routes, paths.run):
        folder.mkdir(parents=True, exist_ok=True)
    sweep(paths.routes)
    credentials = credentials_for(settings)
    listening = _listen(settings)
    keep(settings)
    environment(settings)  # writes the SDKs' configuration file
    database = await open_database(settings.database_url or sqlite_url(paths.database))
    keeper = Keeper(_services(settings, credentials))
    parts = _Parts(settings, credentials, database, keeper)
    await parts.backend.open()
    parts.open_wake_socket()
    try:
        await keeper.start()
        await _until_asked_to_stop(settings, parts, listening)
    finally:
        await _stop_serving(parts)
        parts.wake_events.close()
        await parts.backend.close()
        await database.close()
    log.info("down")


class _Parts:
    """The parts that need one another, put together."""

    def __init__(self, settings: Settings, credentials: Credentials, database: Database, keeper: Keeper) -> None:
        paths = settings.paths
        clock = SystemClock()
        changes = Changes()
        store = ReportingStore(SqlStore(database), changes.notify_of)
        self.settings = settings
        self.store = store
        self.keeper = keeper
        self.clock = clock
        self.backend = make_backend(settings, _platform(settings, credentials), self._wake_owner)
        families = {family.kind: family for family in FAMILIES}
        children = Children(families, settings, self.backend.machine, clock)
        world = World(store, self.backend, paths.routes, paths.run, children.new_record)
        self.leases = RenewedLeases(store, node_of(paths.node), clock, settings.lease_s)
        self.loop = Loop(store, FAMILIES, world, clock, self.leases)
        changes.subscribe(self.loop.queue.put)
        metrics = SqlMetricStore(database)
        self.collector = MetricsCollector(paths.metrics, metrics, clock, _retention(settings))
        self.wake_events = Events(paths.run / gateway_client.WAKE_SOCKET, self._wake_owner)
        self.context = Context(
            settings=settings,
            account=settings.account,
            credentials=credentials,
            clock=clock,
            store=store,
            backend=self.backend,
            objects=open_objects(s3_access(settings, credentials)),
            logs=LogStreams(paths.logs),
            machine=self.backend.machine,
            families=families,
            check_image=partial(check_image, settings=settings),
            changes=changes,
            described=DescribedStatuses(),
        )
        operations = {key: partial(operation, self.context) for key, operation in OPERATIONS.items()}
        self.wire = make_app(operations, credentials, settings, clock, [Route("/status", self._status)])

    def _wake_owner(self, owner: tuple[str, str, str]) -> None:
        kind, name, _ = owner
        self.loop.queue.put(Ref(kind, name))

    def open_wake_socket(self) -> None:
        """Reconcile at once what the gateways name: endpoints that requests find without a replica."""
        try:
            self.wake_events.open()
        except OSError as error:
            log.warning("no_wake_socket", error=str(error))

    async def control(self) -> None:
        """The control loop, whenever this server holds the lease of its node."""
        settings = self.settings
        work = partial(control, self.loop, self.backend, self.clock, settings.reconcile_workers, settings.resync_s)
        await self.leases.while_held(work)

    async def _status(self, request: Request) -> Response:
        """What `clary status` shows, to whom has the keys."""
        try:
            signed = Exchange(request).signed
            sigv4.verify(
                signed, sigv4.EMPTY_SHA256, self.context.credentials, self.clock.now(), self.settings.clock_skew_s
            )
        except ServiceError as error:
            return JSONResponse({"message": error.message}, status_code=error.status)
        services = {service.name: await service.describe() for service in self.keeper.services}
        counts = {family.kind: await self.store.count(family.kind) for family in FAMILIES}
        return JSONResponse({"services": services, "resources": counts})


def _services(settings: Settings, credentials: Credentials) -> list[Service]:
    """The processes the server keeps beside itself."""
    url = settings.url(settings.gateway_port)
    argv = [sys.executable, "-m", "clary.gateway", "--home", str(settings.home), "--host", settings.host]
    variables = {name: value for name, value in os.environ.items() if name.startswith("CLARY_")}
    gateway = Service(
        "gateway",
        [*argv, "--port", str(settings.port)],
        variables,
        url=url,
        health_url=f"{url}/healthz",
        address=(settings.host, settings.gateway_port),
        run=settings.paths.run,
        setting="port (the gateway takes port+1)",
    )
    return [gateway, embedded_s3(settings, credentials)] if settings.embedded_s3 else [gateway]


def _retention(settings: Settings) -> Retention:
    return Retention(
        single_values=timedelta(days=settings.metrics_single_values_days),
        high_resolution=timedelta(hours=settings.metrics_high_resolution_hours),
        minutes=timedelta(days=settings.metrics_minutes_days),
        five_minutes=timedelta(days=settings.metrics_five_minutes_days),
        hours=timedelta(days=settings.metrics_hours_days),
    )


def _platform(settings: Settings, credentials: Credentials) -> Platform:
    s3 = s3_access(settings, credentials)
    return Platform(
        logs=str(settings.paths.logs),
        events_socket=str(settings.paths.run / "events.sock"),
        endpoint_url=settings.url(settings.port),
        s3_endpoint_url=s3.endpoint_url,
        s3_folder=str(s3.folder or ""),
        access_key_id=credentials.access_key_id,
        secret_access_key=credentials.secret_access_key,
        s3_access_key_id=s3.access_key_id,
        s3_secret_access_key=s3.secret_access_key,
        region=settings.region,
        account_id=settings.account_id,
        metrics=str(settings.paths.metrics),
    )


class _Server(uvicorn.Server):
    """uvicorn ends the process by the signal that stopped it. Here there is more to stop after it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told, number)
        yield

    def _told(self, number: signal.Signals) -> None:
        if self.should_exit and number is signal.SIGINT:  # Ctrl-C again: whoever presses it will not wait
            os._exit(130)
        self.should_exit = True


async def _until_asked_to_stop(settings: Settings, parts: _Parts, listening: socket.socket) -> None:
    """Answer requests and work on records, and see that the services live."""
    server = _Server(
        uvicorn.Config(
            parts.wire,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            ssl_certfile=settings.tls_certificate or None,
            ssl_keyfile=settings.tls_key or None,
            timeout_graceful_shutdown=REQUESTS_END_WITHIN_S,
        )
    )
    background = [asyncio.create_task(work) for work in (parts.control(), parts.keeper.run(), parts.collector.run())]
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    # What is here now stays: the collector need not look at it again, which took it tens of milliseconds each time.
    gc.collect()
    gc.freeze()
    log.info("up", url=settings.url(settings.port), home=str(settings.home))
    try:
        # Neither part ends by itself but by an error: then all end, and say so.
        await asyncio.wait({serving, *background}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.should_exit = True
        for task in background:
            task.cancel()
        results = await asyncio.gather(serving, *background, return_exceptions=True)
    for error in results:
        if isinstance(error, Exception):
            raise error


async def _stop_serving(parts: _Parts) -> None:
    """Endpoints stop serving and come back at the next start; jobs that run go on."""
    replicas = [
        task_id
        for task_id, state in (await parts.backend.poll()).items()
        if state.owner and state.owner[0] == endpoints.KIND and not state.phase.over
    ]
    await parts.keeper.stop(DRAIN_WITHIN_S)
    for task_id in replicas:
        await parts.backend.stop(task_id, deployment.STOP_GRACE_S)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REPLICAS_END_WITHIN_S):
            while any(not state.phase.over for state in (await parts.backend.poll(replicas)).values()):
                await asyncio.sleep(0.05)


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One server per home. The lock is held as the services hold theirs, so that the command line can find it."""
    path = settings.paths.run / "server.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not hold_lock(path, "server"):
        raise SettingsError(f"a server runs on {settings.home} already; `clary down --home {settings.home}` stops it")
    yield


def _listen(settings: Settings) -> socket.socket:
    """The control port, before anything else is started. Raises SettingsError where it is taken."""
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
    except OSError as error:
        raise SettingsError(
            f"port {settings.port} on {settings.host} cannot be used ({error.strerror or error}): end what uses it, or "
            "choose another with --port"
        ) from error
    return listening
