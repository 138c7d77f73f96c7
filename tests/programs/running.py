"""Run the programs of clary.tasks as real processes, in a /opt/ml of the test's own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

DEADLINE_S = 20


def until(condition: Callable[[], T], awaited: str) -> T:
    """The first true result of `condition`; fails after a deadline."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if response := condition():
            return response
        time.sleep(0.01)
    raise AssertionError(f"{awaited}: not within {DEADLINE_S} s")


def opt_ml(folder: Path, hyperparameters: Mapping[str, str] | None = None, **files: Any) -> Path:
    """A base directory with its three configuration files; `files` are other contents of resourceconfig and so on."""
    config = folder / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    (folder / "model").mkdir(exist_ok=True)
    (folder / "output").mkdir(exist_ok=True)
    contents = {"hyperparameters": hyperparameters or {}, "inputdataconfig": {}, **files}
    contents.setdefault("resourceconfig", {"current_host": "algo-1", "hosts": ["algo-1"]})
    for name, value in contents.items():
        (config / f"{name}.json").write_text(json.dumps(value))
    return folder


def environment_of(base: Path, **variables: str) -> dict[str, str]:
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**keep, "SAGEMAKER_BASE_DIR": str(base), **variables}


def run(base: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`python -m clary.tasks.… train` to its end."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        env=environment_of(base, **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def wheel(folder: Path, module: str, text: str) -> Path:
    """A package to install without a build and without an index."""
    path = folder / f"{module}-1.0-py3-none-any.whl"
    about = f"{module}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{module}.py", text)
        file.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")
    return path


class Response(NamedTuple):
    status: int
    body: bytes
    content_type: str | None

    @property
    def text(self) -> str:
        return self.body.decode()


class Host:
    """A model host that runs."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def port(self) -> int:
        """Known once the host listens: the system chooses it."""

        def condition() -> re.Match[str] | None:
            assert self.process.poll() is None, self.log.read_text()
            return re.search(r"answering on 127\.0\.0\.1:(\d+)", self.log.read_text())

        return int(until(condition, "the host answers")[1])

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)

    def invoke(
        self, body: bytes | None = None, path: str = "/invocations", method: str = "POST", **headers: str
    ) -> Response:
        """One request on a connection of its own; headers as content_type="…"."""
        with contextlib.closing(self.connection()) as connection:
            return invoke_on(connection, method, path, body, headers)

    def ping(self) -> Response:
        return self.invoke(path="/ping", method="GET")

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)


def invoke_on(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
) -> Response:
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    return Response(response.status, response.read(), response.headers["content-type"])


@contextlib.contextmanager
def started(command: list[str], base: Path, **variables: str) -> Iterator[Host]:
    """A host as a child process, which has ended afterwards."""
    log = base / f"log-{time.monotonic_ns()}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            env=environment_of(base, **{"SAGEMAKER_BIND_TO_PORT": "0", **variables}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Host(process, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
