"""The pools of connections to replicas; of each replica, its requests under way and its back-off after failures."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import urlsplit

from clary.core.errors import ClaryError
from clary.core.routes import Replica
from clary.gateway.limits import Limits
from clary.gateway.replica_connection import ReplicaConnection

# How long a replica that refused or broke a connection is not tried: after the first failure, the second, …
_BACKOFF_S = (0.05, 0.1, 0.2, 0.5, 1.0)


class ReplicaUnreachable(ClaryError):
    """No connection: nothing was sent, so another replica may have the request."""


@lru_cache(maxsize=1024)
def host_and_port(address: str) -> tuple[str, int]:
    """Raises ValueError for anything but http://host:port."""
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.hostname or not parts.port:
        raise ValueError(f"address {address!r} is not of the form http://host:port")
    return parts.hostname, parts.port


class Replicas:
    """Connections to replicas, and the counts of their requests."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._idle: dict[Replica, list[ReplicaConnection]] = {}
        self.outstanding: dict[str, int] = {}
        self._backoff: dict[str, tuple[int, float]] = {}  # task id -> (failures in a row, not to be tried before)
        self._drain_waiters: dict[str, set[asyncio.Future[None]]] = {}

    def ready(self, replicas: Collection[Replica], now: float) -> list[Replica]:
        """Those that are not in back-off."""
        if not self._backoff:
            return list(replicas)
        return [replica for replica in replicas if self._backoff.get(replica.task_id, (0, 0.0))[1] <= now]

    def next_try(self, replicas: Collection[Replica]) -> float:
        """When the first of these may be tried again, in loop time; infinity where there is none."""
        return min((self._backoff.get(r.task_id, (0, 0.0))[1] for r in replicas), default=float("inf"))

    async def connect(self, replica: Replica) -> ReplicaConnection:
        """A connection for one request, until `release`. Raises ReplicaUnreachable."""
        self.outstanding[replica.task_id] = self.outstanding.get(replica.task_id, 0) + 1
        try:
            return self._pooled(replica) or await self._open(replica)
        except BaseException:
            self._count_down(replica)
            raise

    def connection_broke(self, replica: Replica) -> None:
        """A connection broke under a request: close the replica's idle ones, and do not try it for a moment.

        A replica that dies closes its connections one after the other; a request sent by the next one would be lost.
        """
        containers = [container for container in self._idle if container.task_id == replica.task_id]
        for container in containers:  # of a pipeline, all of them
            for connection in self._idle.pop(container):
                connection.abort()
        self._back_off(replica)

    def release(self, replica: Replica, connection: ReplicaConnection) -> None:
        """The request is over, well or not."""
        if connection.reusable:
            connection.mark_idle()
            self._idle.setdefault(replica, []).append(connection)
        else:
            connection.abort()
        self._count_down(replica)

    async def drained(self, task_id: str, timeout_s: float) -> bool:
        """True once no request of the replica is under way."""
        if task_id not in self.outstanding:
            return True
        waiter = asyncio.get_running_loop().create_future()
        self._drain_waiters.setdefault(task_id, set()).add(waiter)
        try:
            await asyncio.wait((waiter,), timeout=timeout_s)
        finally:
            if waiters := self._drain_waiters.get(task_id):
                waiters.discard(waiter)
        return task_id not in self.outstanding

    def sweep(self, now: float, routed: Collection[Replica]) -> None:
        """Close connections that have been idle too long, or whose replica is in no route any more."""
        for replica, connections in list(self._idle.items()):
            oldest = now - self._limits.replica_idle_s if replica in routed else float("inf")
            kept = [c for c in connections if not c.closed and c.idle_since > oldest]
            for connection in connections:
                if connection not in kept:
                    connection.abort()
            if kept:
                self._idle[replica] = kept
            else:
                del self._idle[replica]
        routed_ids = {replica.task_id for replica in routed}
        for task_id in [task_id for task_id in self._backoff if task_id not in routed_ids]:
            del self._backoff[task_id]

    def close(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    def _pooled(self, replica: Replica) -> ReplicaConnection | None:
        oldest = asyncio.get_running_loop().time() - self._limits.replica_idle_s
        connections = self._idle.get(replica, [])
        while connections:
            connection = connections.pop()
            if not connection.closed and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    async def _open(self, replica: Replica) -> ReplicaConnection:
        loop = asyncio.get_running_loop()
        host, port = host_and_port(replica.address)
        try:
            async with asyncio.timeout(self._limits.connect_s):
                _, connection = await loop.create_connection(ReplicaConnection, host, port)
        except (OSError, TimeoutError) as error:
            self._back_off(replica)
            raise ReplicaUnreachable(f"{replica.address}: {error or 'no connection in time'}") from error
        self._backoff.pop(replica.task_id, None)
        return connection

    def _back_off(self, replica: Replica) -> None:
        failures = self._backoff.get(replica.task_id, (0, 0.0))[0] + 1
        wait_s = _BACKOFF_S[min(failures, len(_BACKOFF_S)) - 1]
        self._backoff[replica.task_id] = (failures, asyncio.get_running_loop().time() + wait_s)

    def _count_down(self, replica: Replica) -> None:
        remaining = self.outstanding[replica.task_id] - 1
        if remaining:
            self.outstanding[replica.task_id] = remaining
            return
        del self.outstanding[replica.task_id]
        for waiter in self._drain_waiters.pop(replica.task_id, ()):
            if not waiter.done():
                waiter.set_result(None)
