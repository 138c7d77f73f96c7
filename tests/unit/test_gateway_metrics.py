"""Counts, quantiles, and the text that Prometheus reads."""

import json
import random
from itertools import pairwise

import pytest

from clary.core.routes import Route
from clary.gateway.histogram import UPPER_US, Histogram
from clary.gateway.metrics import MetricKey, Metrics, VariantMetrics
from clary.gateway.statistic_set import StatisticSet


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("scale", [500.0, 30_000.0, 2_000_000.0])
def test_quantiles_are_close(share, scale):
    dice = random.Random(1)
    durations = sorted(dice.lognormvariate(0, 0.7) * scale for _ in range(5000))
    histogram = Histogram()
    for duration in durations:
        histogram.add(duration)
    exact = durations[max(0, int(share * len(durations)) - 1)]
    assert histogram.quantile(share) == pytest.approx(exact, rel=0.12)


@pytest.mark.parametrize(("duration", "low", "high"), [(0.5, 0, 10), (1e12, 9.1e8, 9.1e8), (10, 0, 10), (10.1, 10, 11)])
def test_durations_at_the_edges(duration, low, high):
    histogram = Histogram()
    histogram.add(duration)
    assert low <= histogram.quantile(1.0) <= high


def test_nothing_counted_yet():
    assert Histogram().quantile(0.99) == 0.0


def test_bounds_grow_by_a_tenth():
    steps = [b / a for a, b in pairwise(UPPER_US)]
    assert 1.05 < min(steps) <= max(steps) < 1.21


@pytest.mark.parametrize(
    ("status", "expected"), [(400, (1, 0)), (499, (1, 0)), (500, (0, 1)), (302, (0, 1)), (0, (0, 1))]
)
def test_model_errors(status, expected):
    counts = VariantMetrics()
    counts.count_model_error(status)
    assert (counts.errors_4xx, counts.errors_5xx, counts.model_errors) == (*expected, 1)


def test_the_text_is_prometheus():
    metrics = Metrics()
    counts = metrics.for_variant(Route("e", "u", "InService"), "v")
    counts.invocations = 3
    for duration in (40, 90, 700_000_000):
        counts.model_latency.add(duration)
    lines = metrics.text().splitlines()
    labels = 'endpoint="e",variant="v"'
    for line in (
        "# TYPE clary_invocations_total counter",
        f"clary_invocations_total{{{labels}}} 3",
        "# TYPE clary_model_latency_microseconds histogram",
        f'clary_model_latency_microseconds_bucket{{{labels},le="20"}} 0',
        f'clary_model_latency_microseconds_bucket{{{labels},le="50"}} 1',
        f'clary_model_latency_microseconds_bucket{{{labels},le="100"}} 2',
        f'clary_model_latency_microseconds_bucket{{{labels},le="500000000"}} 2',
        f'clary_model_latency_microseconds_bucket{{{labels},le="+Inf"}} 3',
        f"clary_model_latency_microseconds_sum{{{labels}}} 700000130",
        f"clary_model_latency_microseconds_count{{{labels}}} 3",
        "clary_gateway_held_requests 0",
    ):
        assert line in lines
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


def test_counts_belong_to_one_life_of_an_endpoint():
    metrics = Metrics()
    first, second = Route("e", "u1", "InService"), Route("e", "u2", "InService")
    metrics.for_variant(first, "v").invocations = 5
    assert metrics.for_variant(first, "v").invocations == 5
    assert metrics.for_variant(second, "v").invocations == 0
    metrics.keep({})
    assert metrics.summary() == []


def a_count(metrics, uid="u", endpoint="e"):
    return metrics.for_variant(Route(endpoint, uid, "InService"), "v")


class TestTaking:
    """What was added since the last time, as CloudWatch's statistic sets."""

    def test_only_what_was_added(self):
        counts = VariantMetrics()
        assert counts.take() == {}
        counts.invocations = 3
        counts.count_model_error(400)
        for duration in (40.0, 90.0, 20.0):
            counts.overhead_latency.add(duration)
        counts.model_latency.add(7.0)
        assert counts.take() == {
            "Invocations": StatisticSet(3, 3, 1, 1),
            "Invocation4XXErrors": StatisticSet(1, 3, 0, 1),
            "Invocation5XXErrors": StatisticSet(0, 3, 0, 0),
            "InvocationModelErrors": StatisticSet(1, 3, 0, 1),
            "ModelLatency": StatisticSet(7.0, 1, 7.0, 7.0),
            "OverheadLatency": StatisticSet(150.0, 3, 20.0, 90.0),
        }
        assert counts.take() == {}
        counts.invocations = 4
        counts.errors_5xx = 1
        counts.overhead_latency.add(50.0)  # its extremes are those of this period
        assert counts.take() == {
            "Invocations": StatisticSet(1, 1, 1, 1),
            "Invocation4XXErrors": StatisticSet(0, 1, 0, 0),
            "Invocation5XXErrors": StatisticSet(1, 1, 1, 1),
            "InvocationModelErrors": StatisticSet(0, 1, 0, 0),
            "OverheadLatency": StatisticSet(50.0, 1, 50.0, 50.0),
        }

    def test_a_deleted_endpoint_is_taken_to_its_last_request(self):
        metrics = Metrics()
        counts = a_count(metrics)
        counts.invocations, counts.in_flight = 2, 1
        metrics.keep({})
        key = MetricKey("e", "v", "Invocations")
        assert metrics.take()[key].sum == 2
        counts.invocations, counts.in_flight = 3, 0
        assert metrics.take()[key].sum == 1
        assert metrics.take() == {}

    def test_an_endpoint_that_was_created_again(self):
        metrics = Metrics()
        a_count(metrics, "u1").invocations = 2
        a_count(metrics, "u2").invocations = 3
        assert metrics.take()[MetricKey("e", "v", "Invocations")] == StatisticSet(5, 5, 1, 1)
        assert metrics.summary()[0]["Invocations"] == 3

    def test_an_endpoint_that_was_created_again_is_removed(self):
        metrics = Metrics()
        a_count(metrics, "u1").invocations = 2
        metrics.keep({"e": Route("e", "u2", "InService")})
        assert metrics.summary() == []


class TestSumOfProcesses:
    def test_everything_is_added(self):
        processes = []
        for number in (1, 2):
            metrics = Metrics()
            metrics.waiting, metrics.connections = number, 10 * number
            counts = a_count(metrics)
            counts.invocations = number
            counts.in_flight = number
            counts.count_model_error(500)
            for duration in (40, 90 * number, 700_000_000):
                counts.model_latency.add(duration)
            a_count(metrics, endpoint=f"only-{number}").invocations = 7
            processes.append(json.loads(json.dumps(metrics.to_json())))
        total = Metrics.total(processes)
        rows = {row["EndpointName"]: row for row in total.summary()}
        assert rows.keys() == {"e", "only-1", "only-2"}
        assert (rows["e"]["Invocations"], rows["e"]["InFlight"], rows["e"]["Invocation5XXErrors"]) == (3, 3, 2)
        assert rows["e"]["ModelLatency"]["mean"] == pytest.approx((40 + 90 + 40 + 180 + 2 * 700_000_000) / 6)
        lines = total.text().splitlines()
        assert 'clary_model_latency_microseconds_bucket{endpoint="e",variant="v",le="100"} 3' in lines
        assert 'clary_model_latency_microseconds_count{endpoint="e",variant="v"} 6' in lines
        assert "clary_gateway_held_requests 3" in lines
        assert "clary_gateway_connections 30" in lines

    def test_quantiles_are_those_of_all(self):
        parts, whole = [Metrics(), Metrics()], VariantMetrics()
        dice = random.Random(3)
        for _ in range(2000):
            duration = dice.lognormvariate(0, 0.7) * 30_000
            a_count(dice.choice(parts)).model_latency.add(duration)
            whole.model_latency.add(duration)
        [row] = Metrics.total([part.to_json() for part in parts]).summary()
        assert row["ModelLatency"]["p99"] == whole.summary()["ModelLatency"]["p99"]
