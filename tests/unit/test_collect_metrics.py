"""Metrics from spool files into tables: once, whatever happens in between."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from clary.control.collect_metrics import CHUNK_BYTES, DOWNSAMPLE_EVERY, QUIET_ROUNDS, MetricsCollector
from clary.core.errors import StoreError
from clary.core.metrics import Sample, Series, Spool, to_line
from clary.store.database import open_database
from clary.store.metrics.base import Retention
from clary.store.metrics.sql import SqlMetricStore
from clary.testing.clock import ManualClock
from clary.testing.metrics import FOR_EVER, LOSS, SECOND, T0, a_set

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def metrics(tmp_path):
    database = await open_database(f"sqlite:///{tmp_path}/clary.db")
    yield SqlMetricStore(database)
    await database.close()


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "spool", "job-1")
    yield spool
    spool.close()


@pytest.fixture
def new_collector(tmp_path, metrics):
    """As each start of the server makes it."""
    return lambda: MetricsCollector(tmp_path / "spool", metrics, ManualClock(T0), Retention())


async def values(metrics, series=LOSS):
    return [sample.sum for sample in await metrics.read(series, *FOR_EVER)]


def printed(*numbers):
    return [(LOSS, Sample.value(T0 + number * SECOND, float(number))) for number in numbers]


async def test_what_is_appended_is_in_the_table_after_the_next_round(spool, metrics, new_collector):
    collector = new_collector()
    await collector.collect()
    spool.append(printed(1, 2))
    await collector.collect()
    assert await values(metrics) == [1.0, 2.0]
    spool.append(printed(3))
    await collector.collect()
    await collector.collect()
    assert await values(metrics) == [1.0, 2.0, 3.0]


async def test_a_server_that_starts_anew_goes_on_where_the_last_one_was(spool, metrics, new_collector):
    spool.append(printed(1))
    await new_collector().collect()
    spool.append(printed(2))
    await new_collector().collect()
    assert await values(metrics) == [1.0, 2.0]


@pytest.mark.parametrize("moment", ["before the write", "after the write"])
async def test_killed_at_the_write_each_sample_is_kept_once(moment, spool, metrics, new_collector, monkeypatch):
    class Killed(BaseException):
        pass

    put = SqlMetricStore.put

    async def killed(self, *args):
        if moment == "after the write":
            await put(self, *args)
        raise Killed

    spool.append(printed(1, 2))
    with monkeypatch.context() as patch:
        patch.setattr(SqlMetricStore, "put", killed)
        with pytest.raises(Killed):
            await new_collector().collect()
    await new_collector().collect()
    assert await values(metrics) == [1.0, 2.0]


async def test_half_a_line_waits_for_its_end(tmp_path, metrics, new_collector):
    line = to_line(*printed(1)[0]).encode()
    (tmp_path / "spool").mkdir()
    path = tmp_path / "spool" / "job-1.jsonl"
    path.write_bytes(line[:30])
    collector = new_collector()
    await collector.collect()
    assert await values(metrics) == []
    path.write_bytes(line)
    await collector.collect()
    assert await values(metrics) == [1.0]


async def test_lines_that_are_no_metrics_are_left_out(tmp_path, metrics, new_collector):
    (tmp_path / "spool").mkdir()
    lines = [b"\xff\xfe\n", b"{}\n", to_line(*printed(1)[0]).encode(), b"[" * CHUNK_BYTES * 2, b"\n"]
    (tmp_path / "spool" / "job-1.jsonl").write_bytes(b"".join(lines))
    collector = new_collector()
    for _ in range(3):
        await collector.collect()
    assert await values(metrics) == [1.0]


async def test_more_than_is_read_at_once_is_kept_in_one_round(spool, metrics, new_collector):
    numbers = range(CHUNK_BYTES // 100)
    spool.append(printed(*numbers))
    assert spool.path.stat().st_size > CHUNK_BYTES
    await new_collector().collect()
    assert await values(metrics) == [float(number) for number in numbers]


async def test_the_file_of_a_process_that_ended_is_removed_when_all_is_kept(spool, metrics, new_collector):
    collector = new_collector()
    spool.append(printed(1))
    for _ in range(QUIET_ROUNDS * 2):
        await collector.collect()
    assert spool.path.exists()
    spool.append(printed(2))
    spool.close()
    for _ in range(QUIET_ROUNDS + 1):
        await collector.collect()
    assert not spool.path.exists()
    assert await values(metrics) == [1.0, 2.0]
    assert await metrics.position(spool.path.name) == 0


async def test_a_server_killed_between_removing_a_file_and_forgetting_it_loses_nothing(spool, metrics, new_collector):
    spool.append(printed(1))
    await new_collector().collect()
    spool.close()
    spool.path.unlink()
    await new_collector().collect()
    assert await values(metrics) == [1.0]


async def test_one_file_that_cannot_be_read_does_not_keep_the_others_waiting(tmp_path, spool, metrics, new_collector):
    spool.append(printed(1))
    (tmp_path / "spool" / "a-folder.jsonl").mkdir()
    (tmp_path / "spool" / "a-link.jsonl").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "spool" / "a-pipe.jsonl")
    (tmp_path / "spool" / "something-else").write_text("…")
    await new_collector().collect()
    assert await values(metrics) == [1.0]


async def test_a_database_that_fails_is_tried_again(spool, metrics, new_collector, monkeypatch):
    spool.append(printed(1))
    collector = new_collector()

    async def refuse(self, *args):
        raise StoreError("the database refused: disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(SqlMetricStore, "put", refuse)
        with pytest.raises(StoreError):
            await collector.collect()
    await collector.collect()
    assert await values(metrics) == [1.0]


async def test_two_that_write_the_same_series_add_up(tmp_path, metrics, new_collector):
    """Two gateways of one endpoint, in the same ten seconds."""
    requests = Series.of("AWS/SageMaker", "Invocations", {"EndpointName": "e", "VariantName": "v"}, "Count")
    spools = [Spool(tmp_path / "spool", f"gateway-{number}") for number in (1, 2)]
    for spool in spools:
        spool.append([(requests, a_set(T0, 1.0, 1.0, period_s=10))])
    await new_collector().collect()
    assert await values(metrics, requests) in ([4.0], [2.0, 2.0])
    for spool in spools:
        spool.close()


async def test_old_samples_are_downsampled_every_hour(tmp_path, spool, metrics):
    clock = ManualClock(T0)
    collector = MetricsCollector(tmp_path / "spool", metrics, clock, Retention(single_values=timedelta(minutes=10)))
    spool.append(printed(1, 2))
    await collector.collect()
    await collector.downsample_when_due()
    assert len(await values(metrics)) == 2
    clock.advance(DOWNSAMPLE_EVERY.total_seconds())
    await collector.downsample_when_due()
    assert await values(metrics) == [3.0]
