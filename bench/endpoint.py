"""How soon an endpoint serves, and how soon the server is back after it was killed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.figures import Figure
from bench.models import ROW, deploy, invoke, model_file, register
from bench.servers import Server, server

ABOUT = "CreateEndpoint to InService; kill -9 of the server to healthy again"

# A process that can answer: XGBoost and the model loaded, one prediction made.
PLAIN = """
import sys
import numpy
import xgboost
model = xgboost.Booster(model_file=sys.argv[1])
row = numpy.array([sys.argv[2].split(",")], dtype=numpy.float32)
model.predict(xgboost.DMatrix(row))
"""
# What a server is made of, imported, and nothing done with it.
LIBRARIES = "import botocore.session, sqlalchemy, starlette.applications, uvicorn, uvloop, structlog"


def measure(quick: bool) -> Iterator[Figure]:
    times = 2 if quick else 5
    with server() as live, tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.ubj"
        model.write_bytes(model_file())
        register(live)
        deploy(live, "warm")
        own, peer = [], []
        for number in range(times):
            own.append(_timed(lambda number=number: deploy(live, f"endpoint-{number}")))
            peer.append(_python(PLAIN, str(model), ROW.decode()))
            live.sagemaker.delete_endpoint(EndpointName=f"endpoint-{number}")
        yield Figure("CreateEndpoint to InService", "s", own, "plain Python: model loaded, one answer", peer)
        yield from _restarts(live, times)


def _restarts(live: Server, times: int) -> Iterator[Figure]:
    own, whole, peer = [], [], []
    with asked_all_the_time(live, "warm") as answers:
        for _ in range(times):
            server_process = psutil.Process(live.status()["server"]["pid"])
            server_process.kill()
            psutil.wait_procs([server_process], timeout=10)
            began = time.perf_counter()
            starting = threading.Thread(target=live.up)
            starting.start()
            until_healthy(live)
            own.append(time.perf_counter() - began)
            starting.join()
            whole.append(time.perf_counter() - began)
            peer.append(_python(LIBRARIES))
    yield Figure("`clary up --detach` after kill -9: healthy", "s", own, "its libraries imported by Python", peer)
    yield Figure("the command has returned", "s", whole, part=True)
    yield Figure("invocations that failed meanwhile", "", [float(answers.count(False))])
    yield Figure("invocations answered meanwhile", "", [float(answers.count(True))])


def until_healthy(live: Server) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{live.port}/healthz", timeout=2).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


@contextmanager
def asked_all_the_time(live: Server, endpoint: str) -> Iterator[list[bool]]:
    """Invocations one after the other, twenty a second at most; whether each was answered."""
    over = threading.Event()
    answers: list[bool] = []
    invoke(live, endpoint)

    def keep_invoking() -> None:
        while not over.wait(0.05):
            try:
                invoke(live, endpoint)
            except Exception:  # whatever it is, the caller was not served
                answers.append(False)
            else:
                answers.append(True)

    thread = threading.Thread(target=keep_invoking)
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _python(code: str, *arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    return time.perf_counter() - began
