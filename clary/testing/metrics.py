"""What every store of metrics must do: subclass MetricStoreContract and give it a `metrics` fixture.

class TestMine(MetricStoreContract):
    @pytest.fixture
    async def metrics(self):
        return await open_mine()
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from clary.core.errors import StaleWrite
from clary.core.metrics import Sample, Series
from clary.store.metrics.base import HIGH_RESOLUTION, MetricStore, Retention

T0 = datetime(2026, 1, 2, 3, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
FOR_EVER = (T0 - 1000 * DAY, T0 + 1000 * DAY)

LOSS = Series.of("/aws/sagemaker/TrainingJobs", "train:loss", {"TrainingJobName": "j1"})
INVOCATIONS = Series.of("AWS/SageMaker", "Invocations", {"EndpointName": "e", "VariantName": "v"}, "Count")


def a_set(at: datetime, *values: float, period_s: int = HIGH_RESOLUTION) -> Sample:
    """The statistic set of these values."""
    return Sample(at, sum(values), len(values), min(values), max(values), period_s)


@pytest.mark.anyio
class MetricStoreContract:
    """A store that is empty at first."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    async def test_samples_come_back_as_they_went_oldest_first(self, metrics: MetricStore) -> None:
        samples = [Sample.value(T0 + i * SECOND, value) for i, value in enumerate((0.5, 1e-300, -1e300, 0.1 + 0.2))]
        await metrics.put([(LOSS, sample) for sample in reversed(samples)])
        assert await metrics.read(LOSS, *FOR_EVER) == samples

    async def test_values_of_one_moment_are_all_kept_in_their_order(self, metrics: MetricStore) -> None:
        samples = [Sample.value(T0, value) for value in (3.0, 1.0, 2.0, 1.0)]
        await metrics.put([(LOSS, sample) for sample in samples], "job.jsonl", 0, 400)
        await metrics.put([(LOSS, Sample.value(T0, 9.0))], "job.jsonl", 400, 500)
        assert [sample.sum for sample in await metrics.read(LOSS, *FOR_EVER)] == [3.0, 1.0, 2.0, 1.0, 9.0]

    async def test_series_differ_by_each_of_their_parts(self, metrics: MetricStore) -> None:
        others = [
            Series.of("other", LOSS.name, dict(LOSS.dimensions)),
            Series.of(LOSS.namespace, "train:Loss", dict(LOSS.dimensions)),
            Series.of(LOSS.namespace, LOSS.name, {"TrainingJobName": "J1"}),
            Series.of(LOSS.namespace, LOSS.name, {**dict(LOSS.dimensions), "Host": "algo-1"}),
            Series.of(LOSS.namespace, LOSS.name, dict(LOSS.dimensions), "Seconds"),
            Series.of(LOSS.namespace, "\x00'; --\ud800", {"π\n": '"]'}),
        ]
        await metrics.put([(series, Sample.value(T0, float(i))) for i, series in enumerate([LOSS, *others])])
        for i, series in enumerate([LOSS, *others]):
            assert [sample.sum for sample in await metrics.read(series, *FOR_EVER)] == [float(i)]
        assert await metrics.read(Series.of("nobody's", "n", {}), *FOR_EVER) == []

    async def test_dimensions_have_no_order(self, metrics: MetricStore) -> None:
        await metrics.put([(Series.of("n", "m", {"a": "1", "b": "2"}), Sample.value(T0, 1.0))])
        assert len(await metrics.read(Series.of("n", "m", {"b": "2", "a": "1"}), *FOR_EVER)) == 1

    async def test_the_start_is_in_and_the_end_is_not(self, metrics: MetricStore) -> None:
        samples = [Sample.value(T0 + i * SECOND, float(i)) for i in range(4)]
        await metrics.put([(LOSS, sample) for sample in samples])
        assert await metrics.read(LOSS, T0 + SECOND, T0 + 3 * SECOND) == samples[1:3]

    async def test_a_source_is_kept_once_however_often_it_is_put(self, metrics: MetricStore) -> None:
        assert await metrics.position("job.jsonl") == 0
        await metrics.put([(LOSS, Sample.value(T0, 1.0))], "job.jsonl", 0, 100)
        assert await metrics.position("job.jsonl") == 100
        for start in (0, 50, 101):
            with pytest.raises(StaleWrite):
                await metrics.put([(LOSS, Sample.value(T0, 1.0))], "job.jsonl", start, 200)
        await metrics.put([], "job.jsonl", 100, 150)  # lines without samples are passed too
        assert await metrics.position("job.jsonl") == 150
        assert [sample.sum for sample in await metrics.read(LOSS, *FOR_EVER)] == [1.0]

    async def test_of_several_that_put_the_same_lines_one_keeps_them(self, metrics: MetricStore) -> None:
        puts = [metrics.put([(LOSS, Sample.value(T0, 1.0))], "job.jsonl", 0, 100) for _ in range(8)]
        results = await asyncio.gather(*puts, return_exceptions=True)
        assert [result for result in results if result is None] == [None]
        assert [sample.count for sample in await metrics.read(LOSS, *FOR_EVER)] == [1.0]

    async def test_a_forgotten_source_leaves_its_samples(self, metrics: MetricStore) -> None:
        await metrics.put([(LOSS, Sample.value(T0, 1.0))], "job.jsonl", 0, 100)
        await metrics.forget_source("job.jsonl")
        await metrics.forget_source("job.jsonl")
        assert await metrics.position("job.jsonl") == 0
        assert len(await metrics.read(LOSS, *FOR_EVER)) == 1

    async def test_statistic_sets_of_one_moment_add_up(self, metrics: MetricStore) -> None:
        """Two gateways count the same endpoint."""
        await metrics.put([(INVOCATIONS, a_set(T0, 1.0, 1.0))])
        await metrics.put([(INVOCATIONS, a_set(T0, 5.0, 0.5, 1.0))])
        (found,) = await metrics.read(INVOCATIONS, *FOR_EVER)
        assert (found.sum, found.count, found.minimum, found.maximum) == (8.5, 5.0, 0.5, 5.0)

    async def test_a_period_begins_at_a_multiple_of_itself(self, metrics: MetricStore) -> None:
        moments = [T0 - SECOND, T0, T0 + 59 * SECOND, T0 + 60 * SECOND]
        await metrics.put([(LOSS, Sample.value(at, float(i))) for i, at in enumerate(moments)])
        assert await metrics.read(LOSS, *FOR_EVER, period_s=60) == [
            a_set(T0 - 60 * SECOND, 0.0, period_s=60),
            a_set(T0, 1.0, 2.0, period_s=60),
            a_set(T0 + 60 * SECOND, 3.0, period_s=60),
        ]

    async def test_the_series_of_a_namespace_are_listed(self, metrics: MetricStore) -> None:
        error = Series.of(LOSS.namespace, "error", dict(LOSS.dimensions))
        of_another = Series.of(LOSS.namespace, "error", {"TrainingJobName": "j2"})
        await metrics.put([(s, Sample.value(T0, 1.0)) for s in (LOSS, error, of_another, INVOCATIONS)])
        assert await metrics.series(LOSS.namespace) == [error, of_another, LOSS]
        assert await metrics.series(LOSS.namespace, "error") == [error, of_another]
        assert await metrics.series(LOSS.namespace, dimensions=LOSS.dimensions) == [error, LOSS]
        assert await metrics.series("nothing") == []

    async def test_old_samples_are_replaced_by_longer_periods_and_at_last_removed(self, metrics: MetricStore) -> None:
        sets = [a_set(T0 + 10 * i * SECOND, float(i), 2.0 * i) for i in range(36)]
        await metrics.put([(INVOCATIONS, sample) for sample in sets])
        total, count = sum(s.sum for s in sets), sum(s.count for s in sets)
        kept = {}
        for name, after in {"soon": DAY / 24, "hours": DAY / 6, "days": 16 * DAY, "months": 70 * DAY}.items():
            await metrics.downsample(T0 + after, Retention())
            samples = await metrics.read(INVOCATIONS, *FOR_EVER)
            kept[name] = (len(samples), {sample.period_s for sample in samples})
            assert (sum(s.sum for s in samples), sum(s.count for s in samples)) == (total, count)
            assert (min(s.minimum for s in samples), max(s.maximum for s in samples)) == (0.0, 70.0)
        assert kept == {"soon": (36, {1}), "hours": (6, {60}), "days": (2, {300}), "months": (1, {3600})}
        await metrics.downsample(T0 + 456 * DAY, Retention())
        assert await metrics.read(INVOCATIONS, *FOR_EVER) == []
        assert await metrics.series(INVOCATIONS.namespace) == []

    async def test_values_of_programs_are_kept_as_printed_for_the_time_that_is_set(self, metrics: MetricStore) -> None:
        samples = [Sample.value(T0 + i * SECOND, float(i)) for i in range(10)]
        await metrics.put([(LOSS, sample) for sample in samples])
        await metrics.downsample(T0 + 14 * DAY, Retention())
        assert await metrics.read(LOSS, *FOR_EVER) == samples
        await metrics.downsample(T0 + 14 * DAY, Retention(single_values=DAY))
        assert await metrics.read(LOSS, *FOR_EVER) == [a_set(T0, *(float(i) for i in range(10)), period_s=300)]

    async def test_a_period_is_replaced_when_all_of_it_is_old(self, metrics: MetricStore) -> None:
        early, late = T0 + 10 * SECOND, T0 + 50 * SECOND
        await metrics.put([(INVOCATIONS, a_set(early, 1.0)), (INVOCATIONS, a_set(late, 1.0))])
        await metrics.downsample(T0 + 3 * DAY / 24 + 30 * SECOND, Retention())
        assert [s.at for s in await metrics.read(INVOCATIONS, *FOR_EVER)] == [early, late]
        await metrics.downsample(T0 + 3 * DAY / 24 + 60 * SECOND, Retention())
        assert [s.at for s in await metrics.read(INVOCATIONS, *FOR_EVER)] == [T0]

    async def test_samples_that_come_late_are_added_to_their_period(self, metrics: MetricStore) -> None:
        for value in (1.0, 3.0):
            await metrics.put([(INVOCATIONS, a_set(T0, value))])
            await metrics.downsample(T0 + DAY, Retention())
        assert await metrics.read(INVOCATIONS, *FOR_EVER) == [a_set(T0, 1.0, 3.0, period_s=60)]
