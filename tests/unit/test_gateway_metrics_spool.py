"""The files in which a gateway's counts wait for the server, on a clock moved by hand and a disk that fills up."""

import asyncio
import os

import pytest

from clary.core.metrics import Series, from_line, is_abandoned
from clary.core.routes import Route
from clary.gateway.metrics import Metrics
from clary.gateway.metrics_spool import MetricsSpool
from clary.testing.clock import START, ManualClock

pytestmark = pytest.mark.anyio

ROUTE = Route("e", "u", "InService")


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Spool:
    """A spool with the metrics it writes, and its files as a reader gets them."""

    def __init__(self, folder, max_bytes=10**6):
        self.folder = folder
        self.metrics = Metrics()
        self.clock = ManualClock()
        self.spool = MetricsSpool(self.metrics, folder, self.clock, max_bytes)

    def request(self, model_us=100.0, variant="v"):
        counts = self.metrics.for_variant(ROUTE, variant)
        counts.invocations += 1
        counts.model_latency.add(model_us)
        counts.overhead_latency.add(10.0)

    async def write(self, after_s=10.0):
        self.clock.advance(after_s)
        await self.spool.write()

    @property
    def files(self):
        return sorted(self.folder.glob("*.jsonl"))

    def read(self):
        return [from_line(line) for file in self.files for line in file.read_text().splitlines()]

    def values(self, name):
        """(seconds since the start, period, sum, count, minimum, maximum) of each line of a metric."""
        return [
            ((s.at - START).total_seconds(), s.period_s, s.sum, s.count, s.minimum, s.maximum)
            for series, s in self.read()
            if series.name == name
        ]


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "metrics")


async def test_a_line_per_metric_that_was_added_to(spool):
    spool.request(model_us=100.0)
    spool.request(model_us=300.0)
    await spool.write()
    [file] = spool.files
    assert file.name == f"gateway-{os.getpid()}-{int((START.timestamp() + 10) * 1e9)}.jsonl"
    assert file.stat().st_mode & 0o077 == 0
    assert not is_abandoned(file)
    await spool.spool.close()
    assert is_abandoned(file)
    dimensions = {"EndpointName": "e", "VariantName": "v"}
    samples = dict(spool.read())
    assert samples.keys() == {
        Series.of("AWS/SageMaker", name, dimensions, unit)
        for name, unit in {
            "Invocations": "None",
            "Invocation4XXErrors": "None",
            "Invocation5XXErrors": "None",
            "InvocationModelErrors": "None",
            "ModelLatency": "Microseconds",
            "OverheadLatency": "Microseconds",
        }.items()
    }
    assert spool.values("Invocations") == [(10, 10, 2, 2, 1, 1)]
    assert spool.values("Invocation5XXErrors") == [(10, 10, 0, 2, 0, 0)]
    assert spool.values("ModelLatency") == [(10, 10, 400, 2, 100, 300)]


async def test_each_period_has_its_own_numbers_and_one_without_requests_has_none(spool):
    spool.request(model_us=100.0)
    await spool.write()
    await spool.write()
    spool.request(model_us=50.0)
    spool.request(model_us=70.0)
    await spool.write()
    assert spool.values("Invocations") == [(10, 10, 1, 1, 1, 1), (30, 10, 2, 2, 1, 1)]
    assert spool.values("ModelLatency") == [(10, 10, 100, 1, 100, 100), (30, 10, 120, 2, 50, 70)]


async def test_no_request_no_file(spool):
    await spool.write()
    assert not spool.folder.exists()


async def test_it_writes_every_period(spool):
    running = asyncio.create_task(spool.spool.run(10.0))
    for number in range(3):
        while not spool.clock.waking:
            await asyncio.sleep(0)
        spool.request(model_us=number)
        spool.clock.advance(9.9)
        await asyncio.sleep(0)
        assert len(spool.values("Invocations")) == number
        spool.clock.advance(0.1)
        while len(spool.values("Invocations")) == number:
            await asyncio.sleep(0)
    running.cancel()
    assert [values[0] for values in spool.values("Invocations")] == [10, 20, 30]


async def test_what_cannot_be_written_is_kept_and_reported_once(spool, capsys):
    spool.folder.write_text("a file where the folder should be")
    for model_us in (5.0, 500.0, 50.0):
        spool.request(model_us)
        await spool.write()
    spool.folder.unlink()
    await spool.write()
    assert spool.values("Invocations") == [(40, 40, 3, 3, 1, 1)]
    assert spool.values("ModelLatency") == [(40, 40, 555, 3, 5, 500)]
    logged = capsys.readouterr().out
    assert logged.count("metrics_not_written") == logged.count("metrics_written_again") == 1


@pytest.mark.parametrize("room", [0, 1, 150, 10**6])
async def test_a_disk_that_is_full_for_a_while_loses_and_doubles_nothing(spool, monkeypatch, room):
    """The file system has room for so many bytes of each write, and raises at the next."""
    write = os.write
    full = True

    def write_a_part(file, data):
        if not full:
            return write(file, data)
        if len(data) > room:
            write(file, data[:room])
            raise OSError(28, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(os, "write", write_a_part)
    for number in range(5):
        full = number < 3
        spool.request(model_us=100.0 * (number + 1))
        await spool.write()
    assert sum(values[2] for values in spool.values("Invocations")) == 5
    assert sum(values[3] for values in spool.values("Invocation4XXErrors")) == 5
    latencies = spool.values("ModelLatency")
    assert sum(values[2] for values in latencies) == 1500
    assert min(values[4] for values in latencies) == 100
    assert max(values[5] for values in latencies) == 500


async def test_a_writer_that_is_cancelled_writes_nothing_twice(spool):
    for _ in range(5):
        spool.request()
        writing = asyncio.create_task(spool.spool.write())
        await asyncio.sleep(0)
        writing.cancel()
        await spool.spool.write()
    assert sum(values[2] for values in spool.values("Invocations")) == 5


async def test_a_large_file_is_followed_by_another(tmp_path):
    spool = Spool(tmp_path, max_bytes=2000)
    for _ in range(6):
        spool.request()
        await spool.write()
    assert len(spool.files) > 1
    assert all(file.stat().st_size < 4000 for file in spool.files)
    assert [values[2] for values in spool.values("Invocations")] == [1] * 6
