"""Requests of the control loop to the inference gateways: `<home>/run/gateways/<pid>.sock`, JSON lines.

A home may have several gateway processes, on one port; each has a socket of its own, and every question goes to all of
them. The routes' files are the truth; all this is for speed and for draining. No gateway listening is no error: then
no request is under way, and the next gateway reads the routes when it starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ENDPOINT_KIND = "endpoint"  # of the records whose routes the gateways follow
WAKE_SOCKET = (
    "wake.sock"  # in the other direction: the server reconciles the record a datagram names, [kind, name, uid]
)

_FOLDER = "gateways"
_SOCKET_OF_0_1 = "gateway.sock"  # version 0.1 had one gateway, which listened there; it may still run
_TIMEOUT_S = 2.0


def socket_of(run_dir: Path, pid: int) -> Path:
    """Where the gateway of this pid listens."""
    return run_dir / _FOLDER / f"{pid}.sock"


def gateway_sockets(run_dir: Path) -> list[Path]:
    """The sockets of gateways that may be running. Those that dead processes left are removed."""
    found = []
    for path in sorted((run_dir / _FOLDER).glob("*.sock")):
        if _is_alive(path.stem):
            found.append(path)
        else:
            path.unlink(missing_ok=True)
    single = run_dir / _SOCKET_OF_0_1
    return [*found, single] if single.exists() else found


def _is_alive(pid: str) -> bool:
    return pid.isdecimal() and Path(f"/proc/{pid}").exists()


@contextlib.contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """An address for the Unix socket at `path`, which may be longer than the 107 bytes that an address holds."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def publish_hint(run_dir: Path) -> None:
    """Let the gateways read the routes now. Never waits and never raises."""
    with contextlib.suppress(OSError):
        for path in gateway_sockets(run_dir):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.setblocking(False)
                with socket_address(path) as address:
                    connection.connect(address)
                connection.send(b'{"op": "routes"}\n')


async def in_flight(run_dir: Path, task_id: str) -> int | None:
    """How many requests a replica has now; None where no gateway listens."""
    answers = await _ask_all(run_dir, {"op": "in_flight", "task_id": task_id}, _TIMEOUT_S)
    return sum(int(answer["in_flight"]) for answer in answers) if answers else None


async def drained(run_dir: Path, task_id: str, timeout_s: float) -> bool:
    """True once a replica has no requests of any gateway; False where it still has some after `timeout_s`.

    Each gateway reads the routes first: where the replica was taken out of its route, it gets no new ones meanwhile.
    """
    question = {"op": "drained", "task_id": task_id, "timeout_s": timeout_s}
    return all(answer["drained"] for answer in await _ask_all(run_dir, question, timeout_s + _TIMEOUT_S))


async def metrics(run_dir: Path) -> list[dict[str, Any]]:
    """Per endpoint and variant what CloudWatch would have, of all gateways together; latencies in microseconds.

    [] where no gateway listens.
    """
    for path in gateway_sockets(run_dir):
        if (answer := await _ask(path, {"op": "metrics"}, 2 * _TIMEOUT_S)) is not None:
            return list(answer["metrics"])
    return []


async def counts(run_dir: Path, besides: int) -> list[dict[str, Any]]:
    """What each gateway has counted by itself, without the one of the pid `besides`: for a gateway's own sums."""
    answers = await _ask_all(run_dir, {"op": "counts"}, _TIMEOUT_S, besides)
    return [dict(answer["counts"]) for answer in answers if "counts" in answer]


async def ports(run_dir: Path, besides: int) -> set[int]:
    """The ports that gateways of this home listen on, without the one of the pid `besides`."""
    answers = await _ask_all(run_dir, {"op": "port"}, _TIMEOUT_S, besides)
    return {int(answer["port"]) for answer in answers if "port" in answer}


async def _ask_all(
    run_dir: Path, question: Mapping[str, Any], timeout_s: float, besides: int | None = None
) -> Sequence[dict[str, Any]]:
    paths = [path for path in gateway_sockets(run_dir) if path.stem != str(besides)]
    answers = await asyncio.gather(*(_ask(path, question, timeout_s) for path in paths))
    return [answer for answer in answers if answer is not None]


async def _ask(path: Path, question: Mapping[str, Any], timeout_s: float) -> dict[str, Any] | None:
    """The answer; None where no gateway listens there, or it does not answer in time."""
    try:
        async with asyncio.timeout(timeout_s):
            with socket_address(path) as address:
                reader, writer = await asyncio.open_unix_connection(address, limit=16 * 1024 * 1024)
            try:
                writer.write(json.dumps(question).encode() + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    return dict(json.loads(line)) if line else None
