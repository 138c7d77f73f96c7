"""A model host as a real process: what it answers, and how it starts and ends."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.programs.running import Host, invoke_on, opt_ml, started, until

# A program with handlers as people write them; the body of a request names what it shall do.
PROGRAM = """
import os, threading, time
from pathlib import Path
from clary.tasks.host.handlers import RequestError
from clary.tasks.host.server import serve

both = threading.Barrier(2, timeout=10)

def wait_for(name):
    Path(os.environ["HERE"], name + "-waits").touch()
    while not Path(os.environ["HERE"], name).exists():
        time.sleep(0.005)

class Handlers:
    def load(self, model_dir):
        if os.environ.get("LOAD") == "fails":
            raise RuntimeError("no such layer")
        if os.environ.get("LOAD") == "waits":
            wait_for("load")
        return model_dir.name

    def transform(self, model, body, content_type, accept):
        match body:
            case b"refuse": raise RequestError(415, "not this type")
            case b"fail": raise ValueError("secret of the model")
            case b"exit": raise SystemExit(3)
            case b"nothing": return b"", ""
            case b"meet": both.wait()
            case b"wait": wait_for("go")
            case b"pid": return str(os.getpid()).encode(), "text/plain"
            case b"die": os._exit(9)
        return body, f"{model};{content_type};{accept}"

    def execution_parameters(self):
        return {"MaxConcurrentTransforms": 4}

serve(Handlers())
"""


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    (tmp_path / "program.py").write_text(PROGRAM)
    return [str(tmp_path / "program.py")]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    base = opt_ml(tmp_path_factory.mktemp("host"))
    (base / "program.py").write_text(PROGRAM)
    with started([str(base / "program.py")], base, HERE=str(base), MAX_CONTENT_LENGTH="1000") as host:
        yield host


def test_it_answers_pings(host: Host) -> None:
    assert host.ping() == (200, b"", "text/plain; charset=utf-8")


def test_handlers_get_body_and_headers_as_they_came(host: Host) -> None:
    assert host.invoke(b"1,2\n", content_type="text/csv; x=1", accept="a/b") == (
        200,
        b"1,2\n",
        "model;text/csv; x=1;a/b",
    )


def test_headers_that_were_not_sent_are_none(host: Host) -> None:
    assert host.invoke(b"x").content_type == "model;None;None"


def test_a_refusal_is_reported_with_its_status(host: Host) -> None:
    assert host.invoke(b"refuse") == (415, b"not this type", "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("body", "fragment"), [(b"fail", "ValueError: secret"), (b"exit", "RuntimeError: SystemExit: 3")]
)
def test_an_exception_is_500_and_its_traceback_goes_to_the_log(host: Host, body: bytes, fragment: str) -> None:
    response = host.invoke(body)
    assert response.status == 500
    assert fragment in response.text
    assert "Traceback" not in response.text
    assert "program.py" in host.log.read_text()


def test_no_content_type_means_no_content(host: Host) -> None:
    assert host.invoke(b"nothing") == (204, b"", None)


def test_execution_parameters_are_the_handlers(host: Host) -> None:
    assert host.invoke(path="/execution-parameters", method="GET").text == '{"MaxConcurrentTransforms": 4}'


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/invocations", 405), ("GET", "/x", 404), ("POST", "/ping", 405)]
)
def test_other_routes_have_their_statuses(host: Host, method: str, path: str, status: int) -> None:
    assert host.invoke(method=method, path=path).status == status


def test_a_body_over_the_limit_is_413(host: Host) -> None:
    assert host.invoke(b"x" * 1000).status == 200
    assert host.invoke(b"x" * 1001).status == 413


def test_a_chunked_body_is_counted_as_it_comes(host: Host) -> None:
    with contextlib.closing(host.connection()) as connection:
        connection.request("POST", "/invocations", iter([b"x" * 600, b"x" * 600]), encode_chunked=True)
        assert connection.getresponse().status == 413


def test_connections_are_kept(host: Host) -> None:
    with contextlib.closing(host.connection()) as connection:
        assert invoke_on(connection, "POST", "/invocations", b"a", {}).body == b"a"
        used = connection.sock
        assert invoke_on(connection, "POST", "/invocations", b"b", {}).body == b"b"
        assert connection.sock is used


def test_two_requests_are_worked_on_at_once(host: Host) -> None:
    with ThreadPoolExecutor(2) as callers:
        assert [response.status for response in callers.map(host.invoke, [b"meet", b"meet"])] == [200, 200]


def test_sigterm_lets_running_requests_end(tmp_path: Path, program: list[str]) -> None:
    with started(program, opt_ml(tmp_path), HERE=str(tmp_path)) as host, ThreadPoolExecutor(1) as callers:
        port = host.port
        response = callers.submit(host.invoke, b"wait")
        until((tmp_path / "go-waits").exists, "the request runs")
        host.process.send_signal(signal.SIGTERM)
        until(lambda: _refused(port), "new connections are refused")
        assert not response.done()
        (tmp_path / "go").touch()
        assert response.result().body == b"wait"
        assert host.process.wait(20) == 0


def test_nobody_can_connect_before_the_model_is_loaded(tmp_path: Path, program: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = {"HERE": str(tmp_path), "LOAD": "waits", "SAGEMAKER_BIND_TO_PORT": str(port)}
    with started(program, opt_ml(tmp_path), **settings) as host:
        until((tmp_path / "load-waits").exists, "it loads")
        assert _refused(port)
        (tmp_path / "load").touch()
        assert host.ping().status == 200


def test_sigterm_while_loading_ends_it(tmp_path: Path, program: list[str]) -> None:
    with started(program, opt_ml(tmp_path), HERE=str(tmp_path), LOAD="waits") as host:
        until((tmp_path / "load-waits").exists, "it loads")
        assert host.end() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_model_that_cannot_be_loaded_ends_the_host(tmp_path: Path, program: list[str], workers: str) -> None:
    with started(program, opt_ml(tmp_path), LOAD="fails", SAGEMAKER_MODEL_SERVER_WORKERS=workers) as host:
        assert host.process.wait(20) == 1
        log = host.log.read_text()
        assert "RuntimeError: no such layer" in log
        assert "Traceback" in log


def test_a_taken_port_is_reported(tmp_path: Path, program: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        with started(program, opt_ml(tmp_path), SAGEMAKER_BIND_TO_PORT=port) as host:
            assert host.process.wait(20) == 1
            assert f"cannot listen on 127.0.0.1:{port} (SAGEMAKER_BIND_TO_PORT)" in host.log.read_text()


def test_a_request_over_the_time_limit_is_504_and_a_host_full_of_them_fails_its_ping(
    tmp_path: Path, program: list[str]
) -> None:
    settings = {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "1", "SAGEMAKER_MODEL_SERVER_THREADS": "1", "HERE": str(tmp_path)}
    with started(program, opt_ml(tmp_path), **settings) as host:
        assert host.invoke(b"wait").status == 504
        until(lambda: host.ping().status == 503, "the ping fails")
        assert host.end() == 0


def test_workers_are_processes_and_a_dead_one_is_replaced(tmp_path: Path, program: list[str]) -> None:
    with started(program, opt_ml(tmp_path), HERE=str(tmp_path), SAGEMAKER_MODEL_SERVER_WORKERS="2") as host:
        first = _pids(host, 2)
        assert host.process.pid not in first
        with contextlib.suppress(http.client.HTTPException, ConnectionError):
            host.invoke(b"die")
        until(lambda: len(_pids(host, 2) - first) == 1, "another takes its place")
        assert host.end() == 0
        assert "exit code 9" in host.log.read_text()
        for pid in _alive(first):
            raise AssertionError(f"worker {pid} outlived its host")


def _refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionError:
        return True
    return False


def _pids(host: Host, count: int) -> set[int]:
    """Ask until `count` processes have answered: whoever wakes first takes a connection."""
    seen: set[int] = set()
    lock = threading.Lock()

    def invoke(_: int) -> None:
        with contextlib.suppress(http.client.HTTPException, ConnectionError):
            pid = int(host.invoke(b"pid").text)
            with lock:
                seen.add(pid)

    def condition() -> bool:
        with ThreadPoolExecutor(8) as callers:
            list(callers.map(invoke, range(16)))
        return len(_alive(seen)) >= count

    until(condition, f"{count} workers answer")
    return _alive(seen)


def _alive(pids: set[int]) -> set[int]:
    def lives(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    return {pid for pid in pids if lives(pid)}
