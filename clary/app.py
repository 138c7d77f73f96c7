"""The composition root: settings in, a running server out. The one file that knows every part."""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta
from functools import partial

import structlog
import uvloop

from clary.artifacts.logs import LogStreams
from clary.artifacts.stores import open_store as open_object_store
from clary.artifacts.stores import s3_access
from clary.compute.backends import check_image, make_backend
from clary.compute.events import Events
from clary.connection import environment, save_started_settings
from clary.control.collect_metrics import MetricsCollector
from clary.control.effects import World
from clary.control.leases import RenewedLeases, node_of
from clary.control.loop import Loop
from clary.control.run import control
from clary.core import gateway_client
from clary.core.changes import Changes
from clary.core.clock import SystemClock
from clary.core.credentials import Credentials, credentials_for
from clary.core.errors import SettingsError
from clary.core.files import sweep
from clary.core.records import Record, Ref
from clary.core.settings import Settings
from clary.detached.lock import hold_lock
from clary.resources import FAMILIES, OPERATIONS
from clary.resources.children import Children
from clary.resources.context import Context
from clary.resources.long_poll import DescribedStatuses
from clary.server.http import http_server, listen, serve_beside
from clary.server.processes import platform_of, services_of
from clary.server.status import status_route
from clary.server.stopping import stop_services_and_replicas
from clary.services.manager import ServiceManager
from clary.startup import allow_many_connections, configure_logging
from clary.store.database import Database, open_database
from clary.store.engine import sqlite_url
from clary.store.metrics.base import Retention
from clary.store.metrics.sql import SqlMetricStore
from clary.store.notifications import Notifications
from clary.store.reporting import ReportingStore
from clary.store.sql import SqlStore
from clary.wire.server import make_app

log = structlog.get_logger()


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises SettingsError where it cannot start."""
    configure_logging(settings.log_level)
    allow_many_connections()
    _lock(settings)
    uvloop.run(serve(settings))


def _lock(settings: Settings) -> None:
    """Until this process ends, no other server has this home; the command line finds the holder of the lock."""
    path = settings.paths.run / "server.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not hold_lock(path, "server"):
        raise SettingsError(f"a server runs on {settings.home} already; `clary down --home {settings.home}` stops it")


async def serve(settings: Settings) -> None:
    """Everything, from the first directory made to the last process stopped."""
    paths = settings.paths
    for folder in (paths.tasks, paths.logs, paths.routes, paths.run):
        folder.mkdir(parents=True, exist_ok=True)
    sweep(paths.routes)
    credentials = credentials_for(settings)
    listening = listen(settings)
    save_started_settings(settings)
    environment(settings)  # writes the SDKs' configuration file
    database = await open_database(settings.database_url or sqlite_url(paths.database))
    parts = _Parts(settings, credentials, database)
    await parts.backend.open()
    parts.open_wake_socket()
    try:
        await parts.service_manager.start()
        # What is loaded now stays: the garbage collector need not visit it again, which took tens of milliseconds.
        gc.collect()
        gc.freeze()
        log.info("up", url=settings.url(settings.port), home=str(settings.home))
        background = (parts.control(), parts.notifications.run(), parts.service_manager.run(), parts.collector.run())
        await serve_beside(parts.http, listening, *background)
    finally:
        await stop_services_and_replicas(parts.backend, parts.service_manager)
        parts.wake_events.close()
        await parts.backend.close()
        await database.close()
    log.info("down")


class _Parts:
    """The parts that need one another, put together."""

    def __init__(self, settings: Settings, credentials: Credentials, database: Database) -> None:
        paths = settings.paths
        clock = SystemClock()
        changes = Changes()
        self.changes = changes
        self.resync = asyncio.Event()
        self.notifications = Notifications(database, changes.notify, self._notifications_missed)
        store = ReportingStore(SqlStore(database), self._written)
        families = {family.kind: family for family in FAMILIES}
        self.settings = settings
        self.clock = clock
        self.service_manager = ServiceManager(services_of(settings, credentials))
        self.backend = make_backend(settings, platform_of(settings, credentials), self._reconcile_owner)
        children = Children(families, settings, self.backend.machine, clock)
        world = World(store, self.backend, paths.routes, paths.run, children.new_record)
        self.leases = RenewedLeases(store, node_of(paths.node), clock, settings.lease_s, self.resync.set)
        self.loop = Loop(store, FAMILIES, world, clock, self.leases)
        changes.subscribe(self.loop.queue.put)
        metrics = SqlMetricStore(database)
        self.collector = MetricsCollector(paths.metrics, metrics, clock, _retention(settings))
        self.wake_events = Events(paths.run / gateway_client.WAKE_SOCKET, self._reconcile_owner)
        context = Context(
            settings=settings,
            account=settings.account,
            credentials=credentials,
            clock=clock,
            store=store,
            backend=self.backend,
            object_store=open_object_store(s3_access(settings, credentials)),
            log_streams=LogStreams(paths.logs),
            machine=self.backend.machine,
            families=families,
            image_problem=partial(check_image, settings=settings),
            changes=changes,
            described=DescribedStatuses(),
        )
        operations = {key: partial(operation, context) for key, operation in OPERATIONS.items()}
        status = status_route(self.service_manager.services, store, families, credentials, settings, clock)
        self.http = http_server(make_app(operations, credentials, settings, clock, [status]), settings)

    def _written(self, record: Record) -> None:
        self.changes.notify_of(record)
        self.notifications.send(record)

    def _notifications_missed(self) -> None:
        self.changes.notify_all()
        self.resync.set()

    def _reconcile_owner(self, owner: tuple[str, str, str]) -> None:
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
        work = partial(
            control, self.loop, self.backend, self.clock, settings.reconcile_workers, settings.resync_s, self.resync
        )
        await self.leases.while_held(work)


def _retention(settings: Settings) -> Retention:
    return Retention(
        single_values=timedelta(days=settings.metrics_single_values_days),
        high_resolution=timedelta(hours=settings.metrics_high_resolution_hours),
        minutes=timedelta(days=settings.metrics_minutes_days),
        five_minutes=timedelta(days=settings.metrics_five_minutes_days),
        hours=timedelta(days=settings.metrics_hours_days),
    )
