"""Servers to measure: each in a home and on ports of its own, ended with all it started."""

from __future__ import annotations

import contextlib
import json
import os
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

from clary.compute.sandbox import probe
from clary.demo.server import free_port
from clary.detached.lock import read_lock

T = TypeVar("T")

SCIKIT_LEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


class Server:
    """One home, the server on it, and boto3 clients that ask once: no hidden retries."""

    def __init__(self, home: Path, settings: str) -> None:
        self.home = home
        self.port = free_port()
        home.mkdir(parents=True)
        (home / "clary.toml").write_text(settings)
        self._clients: dict[str, Any] = {}

    # ---- the command line ----

    def clary(self, *arguments: str, check: bool = True) -> str:
        """Run a verb on this home; what it printed."""
        argv = [sys.executable, "-m", "clary", *arguments, "--home", str(self.home)]
        done = subprocess.run(argv, capture_output=True, text=True, env=clean_environment(), check=False)
        if check and done.returncode:
            raise RuntimeError(f"clary {arguments[0]}: {done.stderr or done.stdout}")
        return done.stdout

    def up(self) -> None:
        self.clary("up", "--detach", "--port", str(self.port))

    def status(self) -> dict[str, Any]:
        return json.loads(self.clary("status", "--json"))

    @cached_property
    def environment(self) -> dict[str, str]:
        """Asked for once: asking takes longer than much of what is measured."""
        return json.loads(self.clary("env", "--json"))

    # ---- its clients ----

    @property
    def sagemaker(self) -> Any:
        return self._client("sagemaker", "AWS_ENDPOINT_URL")

    @property
    def runtime(self) -> Any:
        return self._client("sagemaker-runtime", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME")

    @property
    def s3(self) -> Any:
        return self._client("s3", "AWS_ENDPOINT_URL_S3")

    @property
    def bucket(self) -> str:
        return self.environment["SAGEMAKER_DEFAULT_BUCKET"]

    @property
    def role(self) -> str:
        return self.environment["SAGEMAKER_ROLE_ARN"]

    def _client(self, service: str, variable: str) -> Any:
        if service not in self._clients:
            environment = self.environment
            keys = environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
            session = boto3.Session(*keys, region_name=environment["AWS_DEFAULT_REGION"])
            config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
            self._clients[service] = session.client(service, endpoint_url=environment[variable], config=config)
        return self._clients[service]

    # ---- training jobs ----

    def start_job(self, name: str, algorithm: dict[str, Any], **more: Any) -> float:
        """CreateTrainingJob with the least it needs; the moment before the call."""
        client, request = self.sagemaker, self._request(name, algorithm, more)
        at = time.time()
        client.create_training_job(**request)
        return at

    def _request(self, name: str, algorithm: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
        return {
            "TrainingJobName": name,
            "AlgorithmSpecification": {"TrainingInputMode": "File", **algorithm},
            "RoleArn": self.role,
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/output"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            **more,
        }

    def channel(self, name: str, prefix: str) -> dict[str, Any]:
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self.bucket}/{prefix}"}
        return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}

    def completed(self, name: str) -> dict[str, Any]:
        """The job's description, as soon as it is Completed. Raises RuntimeError for any other end."""

        def ended() -> dict[str, Any] | None:
            job: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
            return job if job["TrainingJobStatus"] not in ("InProgress", "Stopping") else None

        job = soon(ended, 300, f"training job {name} to end")
        if job["TrainingJobStatus"] != "Completed":
            raise RuntimeError(f"training job {name}: {job['TrainingJobStatus']}: {job.get('FailureReason')}")
        return job

    def log_of(self, job: str) -> str:
        """What the job has printed by now, each line after its time in milliseconds."""
        files = list((self.home / "logs/aws/sagemaker/TrainingJobs" / job).glob("algo-1-*.log"))
        return files[0].read_text(encoding="utf-8") if files else ""


def clean_environment() -> dict[str, str]:
    """Without what would lead clients or the command line elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("CLARY_", "AWS_"))}


def soon(condition: Callable[[], T | None], within_s: float, awaited: str, every_s: float = 0.005) -> T:
    """What `condition` returns once it is not None, to a few milliseconds."""
    deadline = time.monotonic() + within_s
    while (found := condition()) is None:
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {within_s} s in vain for {awaited}")
        time.sleep(every_s)
    return found


@contextlib.contextmanager
def server(settings: str = "") -> Iterator[Server]:
    with stopped_server(settings) as made:
        made.up()
        yield made


@contextlib.contextmanager
def stopped_server(settings: str = "") -> Iterator[Server]:
    """A home on which no server runs yet."""
    with tempfile.TemporaryDirectory(prefix="clary-bench-", ignore_cleanup_errors=True) as folder:
        made = Server(Path(folder) / "home", settings)
        try:
            yield made
        finally:
            made.clary("down", check=False)
            _end_supervisors(made.home)


def _end_supervisors(home: Path) -> None:
    """Jobs outlive their server; those of a measurement that broke off do not outlive it."""
    for lock in home.glob("tasks/*/supervisor.lock"):
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            content = read_lock(lock)
            if content and str(lock.parent) in (process := psutil.Process(content[1])).cmdline():
                process.kill()


def sandboxes() -> dict[str, str]:
    """Name -> settings: with bubblewrap, where it works, and without."""
    without = {"no sandbox": 'sandbox = "none"\n'}
    return without if probe() else {"bubblewrap": 'sandbox = "bubblewrap"\n', **without}
