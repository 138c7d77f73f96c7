"""A real server for tests: started by the command line in a home of its own, on free ports, and stopped afterwards.

with live_server() as server:
    server.sagemaker.create_training_job(...)
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import boto3
import psutil
from botocore.config import Config

from clary.demo.server import free_port
from clary.detached import process
from clary.detached.lock import read_lock

T = TypeVar("T")
Server = TypeVar("Server", bound="LiveServer")


class LiveServer:
    """One home and the server on it, with plain boto3 clients."""

    def __init__(self, home: Path, settings: str = "") -> None:
        self.home = home
        self.port = free_port()
        home.mkdir(parents=True, exist_ok=True)
        # Tests describe what is under way: no Describe is held back for them.
        (home / "clary.toml").write_text(
            settings if "describe_wait_s" in settings else f"describe_wait_s = 0\n{settings}"
        )
        self._clients: dict[str, Any] = {}
        self.verify: str | None = None  # a CA bundle, where the server speaks TLS

    # ---- the command line ----

    def clary(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a verb on this home."""
        argv = [sys.executable, "-m", "clary", *arguments, "--home", str(self.home)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("CLARY_", "AWS_"))}
        return subprocess.run(argv, capture_output=True, text=True, check=check, env=clean, timeout=100)

    def up(self) -> None:
        done = self.clary("up", "--detach", "--port", str(self.port), check=False)
        assert done.returncode == 0, done.stderr

    def down(self) -> None:
        self.clary("down")

    def status(self) -> dict[str, Any]:
        """What `clary status --json` prints."""
        return json.loads(self.clary("status", "--json", check=False).stdout)

    @cached_property
    def environment(self) -> dict[str, str]:
        return json.loads(self.clary("env", "--json").stdout)

    # ---- its processes ----

    def pid(self, part: str = "server") -> int | None:
        """The process that is the server, or one of its services now."""
        with process.found(self.home / "run" / f"{part}.lock") as running:
            return running.pid if running else None

    def kill(self, part: str = "server") -> int:
        """kill -9, as a crash would; the pid that was. Returns when it has ended."""
        pid = self.pid(part)
        assert pid is not None, f"{part} does not run"
        kill(pid)
        return pid

    def supervisor(self, task_id: str) -> int:
        """The supervisor of a task. Raises ProcessLookupError while it has none."""
        content = read_lock(self.home / "tasks" / task_id / "supervisor.lock")
        if content is None:
            raise ProcessLookupError(f"{task_id} has no supervisor")
        return content[1]

    def processes(self) -> list[psutil.Process]:
        """Everything that runs for this home: its path is in what they were started with."""
        return [found for found in psutil.process_iter() if found.pid != os.getpid() and _is_of(found, self.home)]

    def end(self) -> None:
        """Stop the server, then whatever is left: jobs outlive a server, those of a test do not outlive the test."""
        try:
            self.clary("down")
        finally:
            for _ in range(10):  # a process may start another while they are searched
                if not (left := self.processes()):
                    break
                for found in left:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        found.kill()
                psutil.wait_procs(left, timeout=10)

    # ---- its clients ----

    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client that knows nothing but the environment `clary env` prints. It asks once: no hidden retries."""
        key = f"{service}{sorted(config.items())}"
        if key not in self._clients:
            environment = self.environment
            variable = {"s3": "_S3", "sagemaker-runtime": "_SAGEMAKER_RUNTIME"}.get(service, "")
            session = boto3.Session(
                environment["AWS_ACCESS_KEY_ID"],
                environment["AWS_SECRET_ACCESS_KEY"],
                region_name=environment["AWS_DEFAULT_REGION"],
            )
            options = {"retries": {"total_max_attempts": 1}, "s3": {"addressing_style": "path"}, **config}
            if service == "s3":
                options |= {
                    "request_checksum_calculation": "when_required",
                    "response_checksum_validation": "when_required",
                }
            self._clients[key] = session.client(
                service,
                endpoint_url=environment[f"AWS_ENDPOINT_URL{variable}"],
                config=Config(**options),
                verify=self.verify,
            )
        return self._clients[key]

    @property
    def sagemaker(self) -> Any:
        return self.client("sagemaker")

    @property
    def runtime(self) -> Any:
        return self.client("sagemaker-runtime")

    @property
    def s3(self) -> Any:
        return self.client("s3")

    @property
    def bucket(self) -> str:
        return str(self.environment["SAGEMAKER_DEFAULT_BUCKET"])

    @property
    def role(self) -> str:
        return str(self.environment["SAGEMAKER_ROLE_ARN"])

    # ---- waiting ----

    def job(self, name: str, *statuses: str, within_s: float = 60) -> dict[str, Any]:
        """The training job's description, once it is in one of these statuses (any final one by default)."""
        wanted = statuses or ("Completed", "Failed", "Stopped")

        def reached() -> dict[str, Any] | None:
            job: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
            return job if job["TrainingJobStatus"] in wanted or job["SecondaryStatus"] in wanted else None

        return until(reached, within_s, f"training job {name} to be {' or '.join(wanted)}")

    def endpoint(self, name: str, *statuses: str, within_s: float = 60) -> dict[str, Any]:
        """The endpoint's description, once it is in one of these statuses (InService or Failed by default)."""
        wanted = statuses or ("InService", "Failed")

        def reached() -> dict[str, Any] | None:
            endpoint: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
            return endpoint if endpoint["EndpointStatus"] in wanted else None

        return until(reached, within_s, f"endpoint {name} to be {' or '.join(wanted)}")


def until(condition: Callable[[], T | None], within_s: float, awaited: str) -> T:
    """What `condition` returns, as soon as it is not None."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if (found := condition()) is not None:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {within_s} s in vain for {awaited}")


def kill(pid: int) -> None:
    """kill -9. Returns when the process has ended, and what it held is free."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            assert select.select([handle], [], [], 30)[0], f"process {pid} is still there"
        finally:
            os.close(handle)


def _is_of(found: psutil.Process, home: Path) -> bool:
    try:
        if found.status() == psutil.STATUS_ZOMBIE:
            return False
        command_and_environment = " ".join([*found.cmdline(), *found.environ().values()])
    except (psutil.Error, OSError):
        return False
    return str(home) in command_and_environment


@contextlib.contextmanager
def live_server(settings: str = "", kind: type[Server] = LiveServer) -> Iterator[Server]:  # type: ignore[assignment]
    """A server that runs, and afterwards has ended with everything it started."""
    with tempfile.TemporaryDirectory(prefix="clary-", ignore_cleanup_errors=True) as folder:
        server = kind(Path(folder) / "home", settings)
        try:
            server.up()
            yield server
        finally:
            server.end()
