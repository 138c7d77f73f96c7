"""What a server uses while it gets no requests: one endpoint in service, 10,000 finished jobs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.figures import Figure
from bench.models import deploy, invoke, model_file, register
from bench.records import RECORDS, fill
from bench.servers import Server, stopped_server
from clary.detached.lock import read_lock

ABOUT = "one XGBoost endpoint in service, 10,000 finished jobs in the store (quick: 500), no requests"

# Long enough for the server to list all records again, as it does every 30 s (resync_s).
SECONDS, SECONDS_QUICK = 32, 5

AIM_MB = 150.0
AIM_PERCENT = 1.0
MB = 1e6

# What the parts are made of, with nothing of Clary's: the memory that these libraries take by themselves.
SERVER_PEER = "import botocore.session, sqlalchemy, starlette.applications, uvicorn, uvloop, structlog, alembic"
REPLICA_PEER = "import sys, xgboost; model = xgboost.Booster(model_file=sys.argv[1])"
WAIT = "; print('ready', flush=True); sys.stdin.read()"


def measure(quick: bool) -> Iterator[Figure]:
    seconds, records = (SECONDS_QUICK, 500) if quick else (SECONDS, RECORDS)
    with stopped_server() as live, peers() as peer:
        fill(live, records)
        live.up()
        register(live)
        deploy(live, "idle")
        invoke(live, "idle")
        parts = processes(live)
        time.sleep(3)  # until nothing of the start is still under way
        used = cpu_percent(parts, seconds)
        yield from memory(parts, peer)
        for part, percent in used.items():
            below = AIM_PERCENT if part == "server" else None
            yield Figure(f"{part}: CPU of one core, over {seconds} s", "%", [percent], below=below)
        yield Figure("all together: CPU of one core", "%", [sum(used.values())])


def memory(parts: dict[str, list[psutil.Process]], peer: dict[str, psutil.Process]) -> Iterator[Figure]:
    names = {"server": "its libraries, imported", "replica": "XGBoost with the model, imported"}
    total = 0.0
    for part, found in parts.items():
        rss = sum(process.memory_info().rss for process in found) / MB
        pss = sum(process.memory_full_info().pss for process in found) / MB
        total += pss
        beside = peer.get(part)
        for measure, size in (("RSS", rss), ("PSS", pss)):
            yield Figure(
                f"{part}: {measure}",
                "MB",
                [size],
                names[part] if beside else "",
                [getattr(beside.memory_full_info(), measure.lower()) / MB] if beside else [],
                below=AIM_MB if part == "server" and measure == "RSS" else None,
            )
    yield Figure("all together: PSS", "MB", [total])


def processes(live: Server) -> dict[str, list[psutil.Process]]:
    """The parts; a replica is all that its supervisor started."""
    status = live.status()
    parts = {name: [psutil.Process(status[name]["pid"])] for name in ("server", "gateway", "s3")}
    (lock,) = live.home.glob("tasks/*/supervisor.lock")
    content = read_lock(lock)
    assert content is not None
    supervisor = psutil.Process(content[1])
    return {**parts, "supervisor": [supervisor], "replica": supervisor.children(recursive=True)}


def cpu_percent(parts: dict[str, list[psutil.Process]], seconds: float) -> dict[str, float]:
    before = {part: _cpu_s(found) for part, found in parts.items()}
    time.sleep(seconds)
    return {part: (_cpu_s(found) - before[part]) / seconds * 100 for part, found in parts.items()}


def _cpu_s(found: list[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in found))


@contextmanager
def peers() -> Iterator[dict[str, psutil.Process]]:
    """Processes that hold what the peers' memory is measured by."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.ubj"
        model.write_bytes(model_file())
        started = {
            name: subprocess.Popen(
                [sys.executable, "-c", f"import sys; {code}{WAIT}", str(model)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for name, code in (("server", SERVER_PEER), ("replica", REPLICA_PEER))
        }
        try:
            for process in started.values():
                assert process.stdout is not None
                process.stdout.readline()
            yield {name: psutil.Process(process.pid) for name, process in started.items()}
        finally:
            for process in started.values():
                process.kill()
                process.communicate()
