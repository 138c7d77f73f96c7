"""The pools of connections to replicas, and what is known of each: requests under way, when it last failed one."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import urlsplit

from clary.core.errors import ClaryError
from clary.core.routes import Replica
from clary.gateway.limits import Limits
from clary.gateway.replica_connection import ReplicaConnection

_REST_S = (0.05, 0.1, 0.2, 0.5, 1.0)  # how long a replica that refused or broke a connection is left alone


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
    """Connects, counts, and lets go."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._idle: dict[Replica, list[ReplicaConnection]] = {}
        self.outstanding: dict[str, int] = {}
        self._resting: dict[str, tuple[int, float]] = {}  # task id -> (refusals in a row, not before)
        self._drained: dict[str, set[asyncio.Future[None]]] = {}

    def ready(self, replicas: Collection[Replica], now: float) -> list[Replica]:
        """Those that have not just refused or broken a connection."""
        if not self._resting:
            return list(replicas)
        return [replica for replica in replicas if self._resting.get(replica.task_id, (0, 0.0))[1] <= now]

    def next_try(self, replicas: Collection[Replica]) -> float:
        """When the first of these may be tried again, loop time; infinity where there is none."""
        return min((self._resting.get(r.task_id, (0, 0.0))[1] for r in replicas), default=float("inf"))

    async def connect(self, replica: Replica) -> ReplicaConnection:
        """A connection of our own until `release`. Raises ReplicaUnreachable."""
        self.outstanding[replica.task_id] = self.outstanding.get(replica.task_id, 0) + 1
        try:
            return self._kept(replica) or await self._open(replica)
        except BaseException:
            self._count_down(replica)
            raise

    def broke(self, replica: Replica) -> None:
        """A connection to it broke under a request: its others are not trusted, and it is left alone for a moment.

        A replica that dies closes its connections one after the other; a request sent by the next one would be lost.
        """
        for known in [one for one in self._idle if one.task_id == replica.task_id]:  # of a pipeline, all containers
            for connection in self._idle.pop(known):
                connection.abort()
        self._rest(replica)

    def release(self, replica: Replica, connection: ReplicaConnection) -> None:
        """The request is over, well or not."""
        if connection.reusable:
            connection.rest_in_pool()
            self._idle.setdefault(replica, []).append(connection)
        else:
            connection.abort()
        self._count_down(replica)

    async def drained(self, task_id: str, timeout_s: float) -> bool:
        """True once no request of the replica is under way."""
        if task_id not in self.outstanding:
            return True
        waiter = asyncio.get_running_loop().create_future()
        self._drained.setdefault(task_id, set()).add(waiter)
        try:
            await asyncio.wait((waiter,), timeout=timeout_s)
        finally:
            if waiting := self._drained.get(task_id):
                waiting.discard(waiter)
        return task_id not in self.outstanding

    def sweep(self, now: float, known: Collection[Replica]) -> None:
        """Close connections that have been idle too long, or whose replica is in no route any more."""
        for replica, connections in list(self._idle.items()):
            oldest = now - self._limits.replica_idle_s if replica in known else float("inf")
            stay = [c for c in connections if not c.closed and c.idle_since > oldest]
            for connection in connections:
                if connection not in stay:
                    connection.abort()
            if stay:
                self._idle[replica] = stay
            else:
                del self._idle[replica]
        known_ids = {replica.task_id for replica in known}
        for task_id in [task_id for task_id in self._resting if task_id not in known_ids]:
            del self._resting[task_id]

    def close(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    def _kept(self, replica: Replica) -> ReplicaConnection | None:
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
            self._rest(replica)
            raise ReplicaUnreachable(f"{replica.address}: {error or 'no connection in time'}") from error
        self._resting.pop(replica.task_id, None)
        return connection

    def _rest(self, replica: Replica) -> None:
        refusals = self._resting.get(replica.task_id, (0, 0.0))[0] + 1
        rest_s = _REST_S[min(refusals, len(_REST_S)) - 1]
        self._resting[replica.task_id] = (refusals, asyncio.get_running_loop().time() + rest_s)

    def _count_down(self, replica: Replica) -> None:
        left = self.outstanding[replica.task_id] - 1
        if left:
            self.outstanding[replica.task_id] = left
            return
        del self.outstanding[replica.task_id]
        for waiter in self._drained.pop(replica.task_id, ()):
            if not waiter.done():
                waiter.set_result(None)
