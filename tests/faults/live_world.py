"""Jobs and endpoints whose scripts report how far they are, for tests that kill what runs them.

A program connects to the test's Gate, names itself, and waits until it may go on: so a test knows where a program
stands, and how often it has run, whoever died meanwhile.
"""

from __future__ import annotations

import collections
import contextlib
import io
import json
import socketserver
import tarfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from clary.core.tasks import Phase, TaskState
from tests.live import LiveServer, live_server, until

SCIKIT_LEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
PATIENCE_S = 60.0
# Jobs of these tests do next to nothing: they need not wait for one another. And no server waits until the lease of a
# dead one has run out.
ROOMY = "cpus = 64\nmemory_mib = 262144\nlease_s = 600\n"

TRAIN = """
import os, socket
name = os.environ["TRAINING_JOB_NAME"]
print("RAN", name, flush=True)
with socket.create_connection(("127.0.0.1", {port})) as gate:
    gate.sendall(name.encode() + b"\\n")
    assert gate.makefile().readline() == "go\\n", "the test is over"
with open(os.environ["SM_MODEL_DIR"] + "/model", "wb") as file:
    file.write(name.encode() + os.urandom({megabytes} << 20))
"""
SERVE = """
import os, socket, time
def model_fn(model_dir):
    name = open(model_dir + "/model").read()
    with socket.create_connection(("127.0.0.1", {port})) as gate:
        gate.sendall(name.encode() + b"\\n")
        assert gate.makefile().readline() == "go\\n", "the test is over"
    return name
def transform_fn(model, body, content_type, accept):
    if body == "wait":
        with socket.create_connection(("127.0.0.1", {port})) as gate:
            gate.sendall(b"request\\n")
            gate.makefile().readline()
    return model, "text/plain"
"""


class Gate:
    """Where programs report that they have come so far, and wait until they may go on."""

    def __init__(self, *, opened: bool = False) -> None:
        self.arrivals: collections.Counter[str] = collections.Counter()
        self._all = opened
        self._open: set[str] = set()
        self._changed = threading.Condition()
        self._over = False
        gate = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                if gate._admit(self.rfile.readline().decode().strip()):
                    with contextlib.suppress(OSError):
                        self.wfile.write(b"go\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def _admit(self, name: str) -> bool:
        with self._changed:
            self.arrivals[name] += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._over or self._all or name in self._open)
            return not self._over

    def arrived(self, name: str, times: int = 1) -> None:
        """Return when a program of that name stands here, for the n-th time."""
        with self._changed:
            came = self._changed.wait_for(lambda: self.arrivals[name] >= times, PATIENCE_S)
        assert came, f"{name} came {self.arrivals[name]} times, not {times}"

    def open(self, name: str) -> None:
        """Let it go on, now and whenever it comes again."""
        with self._changed:
            self._open.add(name)
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class LiveWorld(LiveServer):
    """A live server, its gate, and helpers of these tests."""

    gate: Gate

    # ---- jobs ----

    def upload(self, key: str, body: bytes) -> str:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def script(self, text: str, name: str = "train.py") -> str:
        """A source archive in S3 that holds this one script."""
        return self.upload(f"code/{abs(hash(text))}.tar.gz", packed({name: text}))

    def start_job(self, name: str, code: str, **more: Any) -> None:
        """CreateTrainingJob for a source archive in S3."""
        request = {
            "TrainingJobName": name,
            "AlgorithmSpecification": {"TrainingImage": SCIKIT_LEARN, "TrainingInputMode": "File"},
            "RoleArn": self.role,
            "HyperParameters": {
                "sagemaker_program": json.dumps("train.py"),
                "sagemaker_submit_directory": json.dumps(code),
            },
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/models"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        self.sagemaker.create_training_job(**request | more)

    def log_of(self, job: str) -> str:
        """All that a job printed, its attempts together."""
        return "".join(path.read_text() for path in self.home.glob(f"logs/aws/sagemaker/TrainingJobs/{job}/*"))

    def model_of(self, job: str) -> bytes:
        """The start of the file in a job's model.tar.gz, which is read to its end."""
        where = self.sagemaker.describe_training_job(TrainingJobName=job)["ModelArtifacts"]["S3ModelArtifacts"]
        bucket, _, key = where.removeprefix("s3://").partition("/")
        body = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            content = {member.name: archive.extractfile(member).read() for member in archive if member.isreg()}  # type: ignore[union-attr]
        return content["model"]

    # ---- endpoints ----

    def make_model(self, name: str, script: str = "", data: bytes | None = None, **container: Any) -> None:
        """A model whose answer is its name, and an endpoint configuration of the same name with one replica."""
        body = packed({"model": name, "code/inference.py": script or SERVE.format(port=self.gate.port)})
        self.sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=self.role,
            PrimaryContainer={
                "Image": SCIKIT_LEARN,
                "ModelDataUrl": self.upload(f"models/{name}.tar.gz", body if data is None else data),
                "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
            }
            | container,
        )
        self.make_config(name, name)

    def make_config(self, name: str, model: str, replicas: int = 1, **variant: Any) -> None:
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": "main",
                    "ModelName": model,
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": replicas,
                }
                | variant
            ],
        )

    def invoke(self, endpoint: str, body: str = "?", **config: Any) -> str:
        """One invocation, by a client that does not retry by default."""
        client = self.client("sagemaker-runtime", **config)
        answer = client.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=body)
        return str(answer["Body"].read().decode())

    def delete_endpoint(self, name: str) -> None:
        self.sagemaker.delete_endpoint(EndpointName=name)
        self.wait_until_deleted(name)

    def wait_until_deleted(self, endpoint: str) -> None:
        def check() -> bool | None:
            listed = self.sagemaker.list_endpoints(NameContains=endpoint)["Endpoints"]
            return None if any(found["EndpointName"] == endpoint for found in listed) else True

        until(check, PATIENCE_S, f"endpoint {endpoint} to be deleted")

    # ---- tasks ----

    def tasks(self, owner: str = "") -> list[Path]:
        """The folders of a job's or an endpoint's tasks."""
        start = f"{owner}-" if owner else ""
        return [path for path in (self.home / "tasks").iterdir() if path.is_dir() and path.name.startswith(start)]

    def task_appears(self, owner: str) -> None:
        """Return when a task has been launched; polls without a pause."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.tasks(owner):
            assert time.monotonic() < deadline, f"no task of {owner} appeared"

    def tasks_reach(self, owner: str, *phases: Phase) -> None:
        """Return as soon as all of its tasks stand in one of these phases."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._stand_in(owner, phases):
            assert time.monotonic() < deadline, f"the tasks of {owner} did not reach {phases}"

    def tasks_ready(self, owner: str) -> bool:
        """Whether its replicas answer."""
        return self._stand_in(owner, [Phase.READY])

    def _stand_in(self, owner: str, phases: Collection[Phase]) -> bool:
        """By what their supervisors wrote: not by the server."""
        found = []
        for path in self.tasks(owner):
            with contextlib.suppress(OSError, ValueError):
                found.append(TaskState.from_json((path / "state.json").read_text()).phase in phases)
        return bool(found) and all(found)

    def programs(self, task_id: str) -> list[int]:
        """What runs for a task, but for its supervisor."""
        supervisor = self.supervisor(task_id)
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if process.pid != supervisor and f"/tasks/{task_id}" in " ".join(process.cmdline()):
                    found.append(process.pid)
        return found

    def all_is_quiet(self) -> None:
        """Fails where something is left of what has ended: tasks, routes, processes."""

        def check() -> bool | None:
            routes = list((self.home / "routes").glob("*"))
            return True if not (list((self.home / "tasks").iterdir()) or routes or self.strays()) else None

        try:
            until(check, PATIENCE_S, "nothing to be left")
        except AssertionError:
            left = [*self.tasks(), *(self.home / "routes").glob("*"), *self.strays()]
            raise AssertionError(f"left behind: {left}") from None

    def strays(self) -> list[str]:
        """What runs beside the server and its services."""
        own = {self.pid("server"), self.pid("gateway"), self.pid("s3")}
        return [str(found) for found in self.processes() if found.pid not in own]


def packed(files: Mapping[str, str | bytes]) -> bytes:
    """A .tar.gz of these files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in files.items():
            content = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


@contextlib.contextmanager
def live_world(settings: str = ROOMY, *, opened: bool = False) -> Iterator[LiveWorld]:
    gate = Gate(opened=opened)
    try:
        with live_server(settings, LiveWorld) as world:
            world.gate = gate
            yield world
    finally:
        gate.close()


class Caller:
    """Invokes an endpoint again and again in a thread, from entering to leaving; keeps what failed."""

    def __init__(self, call: Callable[[], object], times: int | None = None) -> None:
        """times: how often, if not until it is stopped."""
        self.sent = 0
        self.failures: list[str] = []
        self.slowest_s = 0.0
        self._call = call
        self._times = times
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while self._times != self.sent and not (self._times is None and self._stopping.is_set()):
            began = time.monotonic()
            self.sent += 1
            try:
                self._call()
            except Exception as error:
                self.failures.append(repr(error))
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def more(self, count: int = 20) -> None:
        """Return when so many more were answered."""
        wanted = self.sent + count
        until(lambda: True if self.sent >= wanted else None, PATIENCE_S, f"{count} more invocations")

    def __enter__(self) -> Caller:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
