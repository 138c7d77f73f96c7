"""Two servers with homes of their own on one PostgreSQL: each job runs once, whichever of them is killed when."""

from __future__ import annotations

import collections
import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.faults.live_world import SCIKIT_LEARN
from tests.live import LiveServer, until
from tests.postgres import fresh_database

# Nothing between a job's program and the file where it records that it ran; jobs need not wait for one another.
SETTINGS = """
sandbox = "none"
cpus = 64
memory_mib = 262144
resync_s = {resync_s}
database_url = "{url}"
lease_s = {lease_s}
"""
PATIENCE_S = 60.0


class TwoServers:
    """Servers a and b, both up; the file `ran` has a line for each time that a job's program ran."""

    def __init__(self, folder: Path, lease_s: float, resync_s: float) -> None:
        self.ran = folder / "ran"
        self.ran.touch()
        settings = SETTINGS.format(url=fresh_database("two-servers"), lease_s=lease_s, resync_s=resync_s)
        self.numbers = itertools.count()
        self.jobs: list[str] = []
        self.a = LiveServer(folder / "a" / "home", settings)
        try:
            self.a.up()
            self.b = LiveServer(folder / "b" / "home", settings)  # once the ports of a are taken
            self.b.up()
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        with contextlib.ExitStack() as ending:
            for server in vars(self).values():
                if isinstance(server, LiveServer):
                    ending.callback(server.end)

    def submit(self, jobs: int) -> None:
        """To one and the other, and to the other where one is down."""
        for _ in range(jobs):
            name = f"job-{next(self.numbers)}"
            servers = [self.a, self.b] if len(self.jobs) % 2 else [self.b, self.a]
            assert any(self._accepted(server, name) for server in servers), "both are down"
            self.jobs.append(name)

    def _accepted(self, server: LiveServer, name: str) -> bool:
        try:
            create(server, name, f"echo {name} >> {self.ran}")
        except ClientError as error:
            return error.response["Error"]["Code"] == "ResourceInUse"  # by the other
        except BotoCoreError:
            return False
        return True

    def runs(self) -> collections.Counter[str]:
        return collections.Counter(self.ran.read_text().split())

    def ended(self, server: LiveServer, name: str) -> dict[str, Any]:
        def check() -> dict[str, Any] | None:
            job: dict[str, Any] = server.sagemaker.describe_processing_job(ProcessingJobName=name)
            return job if job["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped") else None

        return until(check, PATIENCE_S, f"{name} to end")


def create(server: LiveServer, name: str, command: str) -> None:
    server.sagemaker.create_processing_job(
        ProcessingJobName=name,
        AppSpecification={"ImageUri": SCIKIT_LEARN, "ContainerEntrypoint": ["/bin/sh", "-c", command]},
        RoleArn=server.role,
        ProcessingResources={"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}},
    )


@contextlib.contextmanager
def two_servers(folder: Path, lease_s: float, resync_s: float = 1.0) -> Iterator[TwoServers]:
    servers = TwoServers(folder, lease_s, resync_s)
    try:
        yield servers
    finally:
        servers.end()


@pytest.mark.timeout(240)
@pytest.mark.slow
def test_no_job_runs_twice_and_none_is_lost_while_servers_die_in_turn(tmp_path):
    with two_servers(tmp_path, lease_s=15) as both:
        for server in (both.a, both.b):
            both.submit(5)
            server.kill()
            both.submit(3)
            server.up()
        both.submit(3)
        both.a.down()  # b gets the control lease
        both.submit(5)
        until(lambda: True if any(both.b.home.glob("logs/aws/sagemaker/*/*")) else None, PATIENCE_S, "b to run jobs")
        both.b.kill()
        both.a.up()
        both.submit(3)
        both.b.up()
        both.submit(3)
        outcomes = {name: both.ended(both.b, name) for name in both.jobs}
        assert {job["ProcessingJobStatus"] for job in outcomes.values()} == {"Completed"}
        assert both.runs() == dict.fromkeys(both.jobs, 1)
        for server in (both.a, both.b):
            until(lambda home=server.home: None if any((home / "tasks").iterdir()) else True, PATIENCE_S, "no task")


def test_a_job_on_a_server_that_stays_away_fails_and_its_program_ends_when_the_server_is_back(tmp_path):
    with two_servers(tmp_path, lease_s=3) as both:
        create(both.a, "cut-off", f"echo cut-off >> {both.ran}; sleep 600")
        until(lambda: True if both.runs()["cut-off"] else None, PATIENCE_S, "the program to run")
        home, other = (both.a, both.b) if any((both.a.home / "tasks").iterdir()) else (both.b, both.a)
        home.kill()
        job = both.ended(other, "cut-off")
        assert job["ProcessingJobStatus"] == "Failed"
        assert job["FailureReason"].startswith("InternalServerError: the server that this ran on")
        create(other, "next", f"echo next >> {both.ran}")
        assert both.ended(other, "next")["ProcessingJobStatus"] == "Completed"
        assert any((home.home / "tasks").iterdir()), "it still runs on the server that is cut off"
        home.up()
        until(lambda: None if any((home.home / "tasks").iterdir()) else True, PATIENCE_S, "the program to be ended")
        assert both.runs() == {"cut-off": 1, "next": 1}


def test_a_request_to_one_server_wakes_the_other(tmp_path):
    with two_servers(tmp_path, lease_s=15, resync_s=600) as both:
        create(both.a, "long", f"echo long >> {both.ran}; sleep 600")
        until(lambda: True if both.runs()["long"] else None, PATIENCE_S, "the program to run")
        other = both.b if any((both.a.home / "tasks").iterdir()) else both.a
        other.sagemaker.stop_processing_job(ProcessingJobName="long")
        assert both.ended(other, "long")["ProcessingJobStatus"] == "Stopped"
