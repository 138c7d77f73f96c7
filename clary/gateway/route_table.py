"""The routes as the gateway knows them, read from `<home>/routes`; the server need not run.

A refresh costs a stat of the folder. There is one on each hint of the control loop, every half second, and before a
request is refused because its endpoint does not exist.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from clary.core.routes import Route
from clary.gateway.replicas import host_and_port

SERVING = frozenset({"InService", "Updating", "RollingBack", "SystemUpdating", "UpdateRollbackFailed"})

# A file system's clock moves in steps (4 to 10 ms): a folder changed this recently may change again unnoticed.
_CLOCK_STEP_NS = 100_000_000

_FileVersion = tuple[int, int, int]  # time of change, size, inode

log = structlog.get_logger()


class RouteTable:
    """Endpoint name -> Route."""

    def __init__(self, folder: Path, on_change: Callable[[], None] = lambda: None) -> None:
        self.routes: dict[str, Route] = {}
        self._folder = folder
        self._on_change = on_change
        self._folder_read_ns = -1
        self._file_versions: dict[str, _FileVersion] = {}
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}

    def refresh(self) -> None:
        """Read what changed, if anything did. A file that cannot be read leaves its old route in place."""
        changed_ns = self._folder_changed_ns()
        if changed_ns == self._folder_read_ns:
            return
        settled = time.time_ns() - changed_ns > _CLOCK_STEP_NS
        try:
            changed = self._read_folder()
        except OSError as error:
            log.warning("routes_unreadable", folder=str(self._folder), error=str(error))
            return
        self._folder_read_ns = changed_ns if settled else -1
        if changed:
            self._on_change()
            self._wake(changed)

    async def poll(self, every_s: float) -> None:
        """Refresh until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            self.refresh()

    async def changed(self, endpoint: str, timeout_s: float) -> None:
        """Return when the endpoint's route has changed, or the time is over."""
        waiter = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(endpoint, set())
        waiters.add(waiter)
        try:
            await asyncio.wait((waiter,), timeout=timeout_s)
        finally:
            waiters.discard(waiter)
            if not waiters and self._waiters.get(endpoint) is waiters:
                del self._waiters[endpoint]

    def _folder_changed_ns(self) -> int:
        try:
            return os.stat(self._folder).st_mtime_ns  # noqa: PTH116 a Path's stat takes three times as long
        except OSError:
            return 0

    def _read_folder(self) -> set[str]:
        """Read the files that changed; the names of the endpoints that are new, changed or deleted."""
        found: dict[str, _FileVersion] = {}
        changed: set[str] = set()
        for name, version in self._files():
            found[name] = version
            if self._file_versions.get(name) != version and self._read(name):
                changed.add(name)
        for name in self.routes.keys() - found.keys():
            log.info("route_withdrawn", endpoint=name)
            del self.routes[name]
            changed.add(name)
        self._file_versions = found
        return changed

    def _files(self) -> list[tuple[str, _FileVersion]]:
        files = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(".json") and not entry.name.startswith("."):
                    with contextlib.suppress(FileNotFoundError):  # deleted since the folder was listed
                        stat = entry.stat()
                        version = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                        files.append((entry.name.removesuffix(".json"), version))
        return files

    def _read(self, name: str) -> bool:
        path = self._folder / f"{name}.json"
        try:
            route = Route.from_json(path.read_text(encoding="utf-8"))
            _check(route, name)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            kept = name in self.routes
            log.warning("route_unreadable", path=str(path), error=f"{type(error).__name__}: {error}", kept_old=kept)
            return False
        if self.routes.get(name) == route:
            return False
        self.routes[name] = route
        replicas = {variant.name: len(variant.replicas) for variant in route.variants}
        log.info("route", endpoint=name, status=route.status, replicas=replicas)
        return True

    def _wake(self, endpoints: set[str]) -> None:
        for endpoint in endpoints:
            for waiter in self._waiters.get(endpoint, ()):
                if not waiter.done():
                    waiter.set_result(None)


def _check(route: Route, name: str) -> None:
    """Raise ValueError or TypeError for values that would only fail later, in the middle of a request."""
    if route.endpoint != name:
        raise ValueError(f"the file is the route of {route.endpoint!r}")
    for variant in route.variants:
        if not (math.isfinite(variant.weight) and variant.weight >= 0):
            raise ValueError(f"weight {variant.weight!r} of variant {variant.name!r} is not a number from 0")
        for replica in variant.replicas:
            for container in (replica, *replica.further_containers()):
                host_and_port(container.address)
