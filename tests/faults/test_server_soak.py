"""Jobs and endpoints come and go while everything is killed at random; afterwards nothing is lost, doubled or stuck."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.faults.live_world import PATIENCE_S, LiveWorld, live_world
from tests.live import kill, until

pytestmark = pytest.mark.slow

LASTS_S = 30.0
SEED = 20260101
RETRIES = 2
# Few CPUs: jobs queue.
SETTINGS = "cpus = 6\nlease_s = 600\n"

PROGRAM = """
import os, socket, sys, time
name = os.environ["TRAINING_JOB_NAME"]
with socket.create_connection(("127.0.0.1", {port})) as gate:
    gate.sendall(name.encode() + b"\\n")
    gate.makefile().readline()
time.sleep({lasts_s})
with open(os.environ["SM_MODEL_DIR"] + "/model", "w") as file:
    file.write(name)
sys.exit({code})
"""
SERVE = """
def model_fn(model_dir):
    return open(model_dir + "/model").read()
def transform_fn(model, body, content_type, accept):
    return model, "text/plain"
"""
CODES = {"quick": (0, 0), "slow": (3, 0), "bad": (0, 7)}


@dataclass
class Known:
    """What the test requested, and which processes it killed."""

    jobs: dict[str, str] = field(default_factory=dict)  # name -> kind, of those that the server accepted
    outcome_unknown_jobs: dict[str, str] = field(default_factory=dict)  # it was killed while it answered
    stopped: set[str] = field(default_factory=set)
    lost_processes: set[str] = field(default_factory=set)  # their supervisor, or their replica, was killed
    endpoints: dict[str, set[str]] = field(default_factory=dict)  # name -> models that may answer
    # The server died while it created or deleted them.
    outcome_unknown_endpoints: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)


class Chaos:
    """One step at a time, drawn by a seeded generator."""

    def __init__(self, world: LiveWorld, generator: random.Random) -> None:
        self.world = world
        self.random = generator
        self.known = Known()
        self.serial = 0
        self.codes = {
            kind: world.script(PROGRAM.format(port=world.gate.port, lasts_s=lasts_s, code=code))
            for kind, (lasts_s, code) in CODES.items()
        }
        for model in ("red", "blue"):
            world.make_model(model, SERVE)
        self.steps: dict[Callable[[], None], int] = {
            self.start_job: 8,
            self.start_job_as_the_server_dies: 2,
            self.stop_job: 3,
            self.start_endpoint: 3,
            self.update_endpoint: 3,
            self.delete_endpoint: 1,
            self.invoke: 4,
            self.kill_server: 3,
            self.kill_gateway: 1,
            self.kill_s3: 1,
            self.kill_replica: 2,
            self.kill_supervisor: 2,
        }

    def step(self) -> None:
        (chosen,) = self.random.choices(list(self.steps), list(self.steps.values()))
        self.known.done.append(chosen.__name__)
        with contextlib.suppress(BotoCoreError, ClientError):  # refused, or nobody there
            chosen()
        if self.world.pid() is None:
            self.world.up()

    def a_name(self, kind: str) -> str:
        self.serial += 1
        return f"{kind}-{self.serial}"

    # what users do

    def start_job(self) -> None:
        kind = self.random.choice(list(CODES))
        name = self.a_name(kind)
        self.known.outcome_unknown_jobs[name] = kind
        self.world.start_job(name, self.codes[kind], RetryStrategy={"MaximumRetryAttempts": RETRIES})
        self.known.jobs[name] = self.known.outcome_unknown_jobs.pop(name)

    def start_job_as_the_server_dies(self) -> None:
        killer = threading.Timer(self.random.uniform(0, 0.03), self.world.kill)
        killer.start()
        try:
            self.start_job()
        finally:
            killer.join()

    def stop_job(self) -> None:
        if self.known.jobs:
            name = self.random.choice(sorted(self.known.jobs))
            self.known.stopped.add(name)
            self.world.sagemaker.stop_training_job(TrainingJobName=name)

    def start_endpoint(self) -> None:
        if len(self.known.endpoints) < 4:
            name, model = self.a_name("endpoint"), self.random.choice(["red", "blue"])
            self.known.endpoints[name] = {model}
            with self.outcome_known_when_answered(name):
                self.world.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=model)

    def update_endpoint(self) -> None:
        if self.known.endpoints:
            name, model = self.random.choice(sorted(self.known.endpoints)), self.random.choice(["red", "blue"])
            self.known.endpoints[name].add(model)
            self.world.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=model)

    def delete_endpoint(self) -> None:
        if self.known.endpoints:
            name = self.random.choice(sorted(self.known.endpoints))
            with self.outcome_known_when_answered(name):
                self.world.sagemaker.delete_endpoint(EndpointName=name)
            del self.known.endpoints[name]

    @contextlib.contextmanager
    def outcome_known_when_answered(self, endpoint: str) -> Iterator[None]:
        """Without an answer it is not known whether the request was carried out."""
        try:
            yield
        except BotoCoreError:
            self.known.outcome_unknown_endpoints.add(endpoint)
            raise

    def invoke(self) -> None:
        if self.known.endpoints:
            name = self.random.choice(sorted(self.known.endpoints))
            assert self.world.invoke(name) in self.known.endpoints[name]

    # failures

    def kill_server(self) -> None:
        self.world.kill()

    def kill_gateway(self) -> None:
        self.kill_part("gateway")

    def kill_s3(self) -> None:
        self.kill_part("s3")

    def kill_part(self, part: str) -> None:
        if self.world.pid(part) is not None:  # not already dead
            self.world.kill(part)

    def kill_replica(self) -> None:
        if task := self.a_task("endpoint-"):
            self.known.lost_processes.add(task.rsplit("-", 2)[0])
            with contextlib.suppress(FileNotFoundError):  # it has just ended by itself
                for pid in self.world.programs(task)[:1]:
                    kill(pid)

    def kill_supervisor(self) -> None:
        if task := self.a_task(""):
            self.known.lost_processes.add(task.rsplit("-", 2)[0])
            with contextlib.suppress(ProcessLookupError):
                kill(self.world.supervisor(task))

    def a_task(self, start: str) -> str:
        """One that has a supervisor."""
        names = [path.name for path in self.world.tasks() if path.name.startswith(start)]
        supervised = sorted(name for name in names if self.supervised(name))
        return self.random.choice(supervised) if supervised else ""

    def supervised(self, task: str) -> bool:
        try:
            return self.world.supervisor(task) > 0
        except ProcessLookupError:
            return False


@pytest.fixture
def world() -> Iterator[LiveWorld]:
    with live_world(SETTINGS, opened=True) as world:
        yield world


@pytest.mark.timeout(300)
def test_nothing_is_lost_doubled_or_stuck(world: LiveWorld) -> None:
    chaos = Chaos(world, random.Random(SEED))
    deadline = time.monotonic() + LASTS_S
    while time.monotonic() < deadline:
        chaos.step()
    known = chaos.known
    for name, kind in {**known.jobs, **known.outcome_unknown_jobs}.items():
        check_job(world, known, name, kind)
    for name, models in known.endpoints.items():
        check_endpoint(world, known, name, models)
    world.all_is_quiet()
    status = world.status()
    assert all(status[part]["healthy"] for part in ("server", "gateway", "s3"))


def check_job(world: LiveWorld, known: Known, name: str, kind: str) -> None:
    if name in known.outcome_unknown_jobs and not listed(world, name):
        assert world.gate.arrivals[name] == 0, f"{name} was never created, and ran"
        return
    job = world.job(name, within_s=120)
    ran, status, reason = world.gate.arrivals[name], job["TrainingJobStatus"], job.get("FailureReason", "")
    summary = f"{name}: {status} {reason!r}, ran {ran} times, processes killed: {name in known.lost_processes}"
    assert ran <= (1 + RETRIES if name in known.lost_processes else 1), summary
    match status:
        case "Completed":
            assert kind != "bad", summary
            assert ran, summary
            assert world.model_of(name) == name.encode(), summary
        case "Stopped":
            assert name in known.stopped, summary
        case "Failed":
            assert (kind == "bad" and "ExitCode 7" in reason) or "InternalServerError" in reason, summary
            assert "InternalServerError" not in reason or name in known.lost_processes, summary


def listed(world: LiveWorld, name: str) -> bool:
    found = world.sagemaker.list_training_jobs(NameContains=name, MaxResults=100)["TrainingJobSummaries"]
    return name in [job["TrainingJobName"] for job in found]


def check_endpoint(world: LiveWorld, known: Known, name: str, models: set[str]) -> None:
    found = [endpoint["EndpointName"] for endpoint in world.sagemaker.list_endpoints(MaxResults=100)["Endpoints"]]
    if name not in found:
        assert name in known.outcome_unknown_endpoints, f"{name} is lost"
        return
    endpoint = world.endpoint(
        name, "InService", "Failed", *(["Deleting"] if name in known.outcome_unknown_endpoints else [])
    )
    match endpoint["EndpointStatus"]:
        case "InService":
            assert {world.invoke(name) for _ in range(5)} <= models
        case "Failed":  # it had not been in service when a replica of it was killed
            assert name in known.lost_processes, f"{name}: {endpoint['FailureReason']}"
    until(lambda: True if deleted(world, name) else None, PATIENCE_S, f"{name} to accept its deletion")
    world.wait_until_deleted(name)


def deleted(world: LiveWorld, name: str) -> bool:
    """Whether it is on its way out: False while it is busy with something else."""
    try:
        world.sagemaker.delete_endpoint(EndpointName=name)
    except ClientError as error:
        return "Could not find" in str(error) or "in status Deleting" in str(error)
    return True
