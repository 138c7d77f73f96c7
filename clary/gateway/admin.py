"""The gateway's other end: a Unix socket on which the control loop gives hints and asks what is under way.

One JSON object per line, one answer per line; `clary.core.gateway_client` speaks it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from pathlib import Path
from typing import Any

from clary.core.errors import SettingsError
from clary.gateway.metrics import Metrics
from clary.gateway.replicas import Replicas
from clary.gateway.table import RouteTable

_LONGEST_WAIT_S = 3600.0


class Admin:
    """Answers on `<home>/run/gateway.sock`."""

    def __init__(self, table: RouteTable, replicas: Replicas, metrics: Metrics) -> None:
        self._table = table
        self._replicas = replicas
        self._metrics = metrics
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def listen(self, path: Path) -> None:
        """Only the owner of the home may connect. Raises SettingsError where another gateway listens there."""
        if _is_answered(path):
            raise SettingsError(f"a gateway runs already for {path.parent.parent}; `clary down` stops it")
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old_mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(old_mask)
        self._server = await asyncio.start_unix_server(self._talk, sock=listener)

    async def close(self, path: Path) -> None:
        if self._server is not None:
            path.unlink(missing_ok=True)
            self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            pass  # a caller that left, or a line without end
        finally:
            self._talks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        self._table.look()  # so that what is said below holds for the routes as they are written
        try:
            match json.loads(line):
                case {"op": "routes"}:
                    return {"routes": len(self._table.routes)}
                case {"op": "in_flight", "task_id": str(task_id)}:
                    return {"in_flight": self._replicas.outstanding.get(task_id, 0)}
                case {"op": "drained", "task_id": str(task_id), "timeout_s": float() | int() as timeout_s}:
                    wait_s = min(max(0.0, float(timeout_s)), _LONGEST_WAIT_S)
                    return {"drained": await self._replicas.drained(task_id, wait_s)}
                case {"op": "metrics"}:
                    return {"metrics": self._metrics.summary()}
        except json.JSONDecodeError:
            pass
        return {"error": "not understood: op is one of routes, in_flight, drained, metrics"}


def _is_answered(path: Path) -> bool:
    """Whether somebody listens; a socket left by a process that was killed refuses."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        try:
            caller.connect(str(path))
        except BlockingIOError:
            return True  # somebody, and busy
        except OSError:
            return False
    return True
