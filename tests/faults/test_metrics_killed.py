"""What a program prints as a metric is in the tables once, whoever is killed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from clary.core.metrics import Sample, Series
from clary.store.database import Database
from clary.store.engine import sqlite_url
from clary.store.metrics.sql import SqlMetricStore
from tests.faults.live_world import PATIENCE_S, SCIKIT_LEARN, LiveWorld, live_world
from tests.live import kill, until

# Prints metrics for as long as the gate is closed, so that some are printed whenever something dies; then how many.
PRINTING = """
import os, select, socket
name = os.environ["TRAINING_JOB_NAME"]
with socket.create_connection(("127.0.0.1", {port})) as gate:
    gate.sendall(name.encode() + b"\\n")
    count = 0
    while not select.select([gate], [], [], 0.002)[0]:
        print(f"step={{count}};", flush=True)
        count += 1
print(f"PRINTED {{count}}", flush=True)
"""
METRICS = {
    "AlgorithmSpecification": {
        "TrainingImage": SCIKIT_LEARN,
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "step", "Regex": r"step=(\d+);"}],
    }
}


@pytest.fixture(scope="module")
def world() -> Iterator[LiveWorld]:
    with live_world() as world:
        yield world


def stored_values(world: LiveWorld, job: str) -> list[float]:
    """The values of the job's metric in the server's database, as printed."""
    series = Series.of("/aws/sagemaker/TrainingJobs", "step", {"TrainingJobName": job})
    return [sample.sum for sample in samples(world, series)]


def samples(world: LiveWorld, series: Series) -> Sequence[Sample]:
    async def read() -> Sequence[Sample]:
        database = Database(sqlite_url(world.home / "clary.db"))
        now = datetime.now(UTC)
        try:
            return await SqlMetricStore(database).read(series, now - timedelta(days=1), now + timedelta(days=1))
        finally:
            await database.close()

    return asyncio.run(read())


def wait_for_more_values(world: LiveWorld, job: str) -> None:
    before = len(stored_values(world, job))
    until(lambda: True if len(stored_values(world, job)) > before else None, PATIENCE_S, f"more metrics of {job}")


def printed(world: LiveWorld, job: str) -> int:
    (line,) = [line for line in world.log_of(job).splitlines() if " PRINTED " in line]
    return int(line.split()[-1])


def test_metrics_are_kept_once_however_often_the_server_dies(world: LiveWorld) -> None:
    job = "server-dies"
    world.start_job(job, world.script(PRINTING.format(port=world.gate.port)), **METRICS)
    world.gate.arrived(job)
    for _ in range(3):
        wait_for_more_values(world, job)
        world.kill()
        world.up()
    wait_for_more_values(world, job)
    world.kill()
    world.gate.open(job)  # the rest is printed, and the job ends, while no server runs
    until(lambda: True if " PRINTED " in world.log_of(job) else None, PATIENCE_S, "the job's last line")
    world.up()
    assert world.job(job)["TrainingJobStatus"] == "Completed"
    wanted = [float(step) for step in range(printed(world, job))]
    until(lambda: True if len(stored_values(world, job)) >= len(wanted) else None, PATIENCE_S, "the last metrics")
    assert stored_values(world, job) == wanted


def test_metrics_of_a_job_whose_supervisor_dies_are_kept_and_its_spool_file_goes(world: LiveWorld) -> None:
    job = "supervisor-dies"
    world.start_job(job, world.script(PRINTING.format(port=world.gate.port)), **METRICS)
    world.gate.arrived(job)
    wait_for_more_values(world, job)
    (task,) = world.tasks(job)
    kill(world.supervisor(task.name))
    assert world.job(job)["TrainingJobStatus"] == "Failed"
    until(lambda: None if list((world.home / "metrics").iterdir()) else True, PATIENCE_S, "no spool file to be left")
    values = stored_values(world, job)
    assert values == [float(step) for step in range(len(values))]


def test_what_a_gateway_counted_outlives_it(world: LiveWorld) -> None:
    world.make_model("counted")
    world.sagemaker.create_endpoint(EndpointName="counted", EndpointConfigName="counted")
    world.gate.open("counted")
    dimensions = {"EndpointName": "counted", "VariantName": "main"}

    def counts(name: str, unit: str = "None") -> tuple[float, float]:
        found = samples(world, Series.of("AWS/SageMaker", name, dimensions, unit))
        return sum(sample.sum for sample in found), sum(sample.count for sample in found)

    sent = 0
    for requests in (3, 2):
        world.endpoint("counted", "InService")
        for _ in range(requests):
            world.invoke("counted", retries={"total_max_attempts": 5, "mode": "standard"})
        sent += requests
        world.down()  # the gateway writes what it has counted as it ends
        world.up()
        until(lambda sent=sent: True if counts("Invocations") == (sent, sent) else None, PATIENCE_S, "all counts")
    assert counts("Invocation5XXErrors") == (0, sent)
    microseconds, count = counts("ModelLatency", "Microseconds")
    assert count == sent
    assert microseconds > 0
    world.delete_endpoint("counted")
