"""What the control loop says to the inference gateway, and asks of it: `<home>/run/gateway.sock`, JSON lines.

The routes' files are the truth; all this is for speed and for draining. No gateway listening is no error: then nothing
is under way, and the next one reads the routes when it starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from typing import Any

SOCKET = "gateway.sock"
_PATIENCE_S = 2.0


def publish_hint(run_dir: Path) -> None:
    """Tell the gateway that routes have changed. Never waits and never raises."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        caller.connect(str(run_dir / SOCKET))
        caller.send(b'{"op": "routes"}\n')


async def in_flight(run_dir: Path, task_id: str) -> int | None:
    """How many requests a replica has now; None where no gateway listens."""
    answer = await _ask(run_dir, {"op": "in_flight", "task_id": task_id}, _PATIENCE_S)
    return None if answer is None else int(answer["in_flight"])


async def drained(run_dir: Path, task_id: str, timeout_s: float) -> bool:
    """True once a replica has no requests; False where it still has some after `timeout_s`.

    The gateway takes up the routes first: where the replica was taken out of its route, it gets no new ones meanwhile.
    """
    question = {"op": "drained", "task_id": task_id, "timeout_s": timeout_s}
    answer = await _ask(run_dir, question, timeout_s + _PATIENCE_S)
    return answer is None or bool(answer["drained"])


async def metrics(run_dir: Path) -> list[dict[str, Any]]:
    """Per endpoint and variant what CloudWatch would have, latencies in microseconds; [] where no gateway listens."""
    answer = await _ask(run_dir, {"op": "metrics"}, _PATIENCE_S)
    return [] if answer is None else list(answer["metrics"])


async def _ask(run_dir: Path, question: dict[str, Any], patience_s: float) -> dict[str, Any] | None:
    try:
        async with asyncio.timeout(patience_s):
            reader, writer = await asyncio.open_unix_connection(str(run_dir / SOCKET), limit=16 * 1024 * 1024)
            try:
                writer.write(json.dumps(question).encode() + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    return dict(json.loads(line)) if line else None
