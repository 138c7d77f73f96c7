"""One replica of several containers: each has its own program, model, environment, port and log; they live together."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import tarfile
import urllib.request
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from clary.compute.plan import Plan, Process
from clary.core.tasks import Cause, Input, Phase, PipelineContainer, Serve, Task
from tests.faults.supervised import SANDBOXES, Make, Running, maker, until

SERVER = """
import http.server, os, pathlib
base = pathlib.Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
answer = os.environ["WHO"] + " " + (base / "model" / "weights").read_text()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if (base / "model" / "ready").exists() else 503)
        self.end_headers()
        self.wfile.write(answer.encode())
    def log_message(self, *_): pass
print(answer, flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""
HOSTS = ("first", "second")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    yield from maker(tmp_path)


def pipeline(make: Make, kind: str = "none", second: str = SERVER, ready: tuple[str, ...] = HOSTS) -> Running:
    """A replica of two containers, of which those named in `ready` answer pings."""
    running = make(SERVER, kind)
    links, executions = {}, {}
    for host in HOSTS:
        files = {"weights": f"of {host}", **({"ready": ""} if host in ready else {})}
        _store(running.home / "s3" / "bucket" / f"{host}.tar.gz", files)
        model = Input("archive", f"s3://bucket/{host}.tar.gz", "model", writable=False)
        links[host] = PipelineContainer("", {"WHO": host}, (model,))
        program = SERVER if host == "first" else second
        executions[host] = Process((sys.executable, "-c", program), sys.executable, {}, kind)  # type: ignore[arg-type]
    task = dataclasses.replace(
        running.task, serve=Serve(startup_timeout_s=20, ping_interval_s=0.05), hosts=HOSTS, pipeline=links
    )
    plan = dataclasses.replace(running.plan, execution=executions["first"], pipeline=executions)
    (running.folder / "task.json").write_text(task.to_json())
    (running.folder / "plan.json").write_text(plan.to_json())
    return running


def _store(path: Path, files: dict[str, str]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, BytesIO(text.encode()))


def test_the_task_and_plan_of_a_pipeline_are_read_as_they_were_written(make: Make) -> None:
    running = pipeline(make)
    text = (running.folder / "task.json").read_text()
    task = Task.from_json(text)
    assert task.to_json() == text
    assert task.for_host("second").environment == {"WHO": "second"}
    text = (running.folder / "plan.json").read_text()
    plan = Plan.from_json(text)
    assert plan.to_json() == text
    assert plan.for_host("second").execution == plan.pipeline["second"]


@SANDBOXES
def test_each_container_has_its_own_model_and_all_answer(make: Make, kind: str) -> None:
    running = pipeline(make, kind)
    running.start()
    state = until(lambda: running.state() if running.state().phase is Phase.READY else None)
    assert len(state.pipeline_addresses) == 1
    for host, address in zip(HOSTS, (state.address, *state.pipeline_addresses), strict=True):
        with urllib.request.urlopen(f"{address}/ping", timeout=5) as answer:
            assert answer.read().decode() == f"{host} of {host}"
        assert running.log(host).strip() == f"{host} of {host}"
    running.stop(5)
    state = running.over()
    assert (state.cause, state.failure, state.address, state.pipeline_addresses) == (Cause.STOPPED, "", "", ())
    assert not running.processes()


def test_it_is_ready_when_all_are(make: Make) -> None:
    running = pipeline(make, ready=("first",))
    running.start()
    host = running.folder / "hosts" / "second" / "ml" / "model"
    until(lambda: running.log("second"))
    assert running.state().phase is Phase.RUNNING
    (host / "ready").touch()
    until(lambda: running.state().phase is Phase.READY)


def test_a_container_that_is_never_ready_is_named(make: Make) -> None:
    running = pipeline(make, ready=("first",))
    task = Task.from_json((running.folder / "task.json").read_text())
    task = dataclasses.replace(task, serve=Serve(startup_timeout_s=0.6))
    (running.folder / "task.json").write_text(task.to_json())
    state = running.finish()
    assert "did not pass the ping health check within 0.6 s (container second)" in state.failure
    assert not running.processes()


def test_a_container_that_cannot_start_ends_the_other(make: Make) -> None:
    running = pipeline(make, second="raise SystemExit('no luck')")
    state = running.finish()
    assert state.exit_code == 1
    assert "second" in state.failure
    assert "no luck" in state.failure
    assert not running.processes()


def test_a_container_that_dies_ends_the_other(make: Make) -> None:
    running = pipeline(make)
    running.start()
    until(lambda: running.state().phase is Phase.READY)
    second = next(pid for pid in running.processes() if b"WHO=second" in Path(f"/proc/{pid}/environ").read_bytes())
    os.kill(second, signal.SIGKILL)
    state = running.over()
    assert state.phase is Phase.EXITED
    assert "second" in state.failure
    assert not running.processes()


def test_a_model_that_is_not_there_fails_it(make: Make) -> None:
    running = pipeline(make)
    (running.home / "s3" / "bucket" / "second.tar.gz").unlink()
    state = running.finish()
    assert "s3://bucket/second.tar.gz" in state.failure
