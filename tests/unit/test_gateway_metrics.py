"""Counts, quantiles, and the text that Prometheus reads."""

import random
from itertools import pairwise

import pytest

from clary.core.routes import Route
from clary.gateway.histogram import UPPER_US, Histogram
from clary.gateway.metrics import Metrics, VariantMetrics


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
    counts = metrics.of(Route("e", "u", "InService"), "v")
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
    metrics.of(first, "v").invocations = 5
    assert metrics.of(first, "v").invocations == 5
    assert metrics.of(second, "v").invocations == 0
    metrics.keep({})
    assert metrics.summary() == []
