"""The gateway's administrative socket, on which the control loop gives hints and asks for the requests under way.

A JSON object per line, answered by a line; `clary.core.gateway_client` is its client.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clary.core import gateway_client
from clary.gateway.metrics import Metrics
from clary.gateway.replicas import Replicas
from clary.gateway.route_table import RouteTable

_MAX_DRAIN_S = 3600.0


class AdminSocket:
    """Listens on `<home>/run/gateways/<pid>.sock`. `counts` gives what this process has counted, `Metrics.to_json`."""

    def __init__(
        self, run_dir: Path, table: RouteTable, replicas: Replicas, counts: Callable[[], dict[str, Any]]
    ) -> None:
        self.port = 0  # where the gateway listens, or is about to
        self._run_dir = run_dir
        self._path = gateway_client.socket_of(run_dir, os.getpid())
        self._table = table
        self._replicas = replicas
        self._counts = counts
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """Only the owner of the home may connect."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)  # of an earlier process that had the same pid
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old_mask = os.umask(0o177)
        try:
            with gateway_client.socket_address(self._path) as address:
                listener.bind(address)
        finally:
            os.umask(old_mask)
        self._server = await asyncio.start_unix_server(self._converse, sock=listener)

    async def close(self) -> None:
        if self._server is not None:
            self._path.unlink(missing_ok=True)
            self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    async def all_metrics(self) -> Metrics:
        """The counts of all gateway processes of this home together."""
        others = await gateway_client.counts(self._run_dir, besides=os.getpid())
        return Metrics.total([self._counts(), *others])

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            pass  # the client left, or sent a line without end
        finally:
            self._conversations.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        self._table.refresh()  # so that the answer holds for the routes as they are on disk
        try:
            match json.loads(line):
                case {"op": "routes"}:
                    return {"routes": len(self._table.routes)}
                case {"op": "in_flight", "task_id": str(task_id)}:
                    return {"in_flight": self._replicas.outstanding.get(task_id, 0)}
                case {"op": "drained", "task_id": str(task_id), "timeout_s": float() | int() as timeout_s}:
                    wait_s = min(max(0.0, float(timeout_s)), _MAX_DRAIN_S)
                    return {"drained": await self._replicas.drained(task_id, wait_s)}
                case {"op": "metrics"}:
                    return {"metrics": (await self.all_metrics()).summary()}
                case {"op": "counts"}:
                    return {"counts": self._counts()}
                case {"op": "port"}:
                    return {"port": self.port}
        except json.JSONDecodeError:
            pass
        return {"error": "not understood: op is one of routes, in_flight, drained, metrics, counts, port"}
