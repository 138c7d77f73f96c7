"""What the gateway counts, per endpoint and variant, under CloudWatch's names; `GET /metrics` shows it to Prometheus.

Latencies are in microseconds, as CloudWatch has them. In memory the counts start at zero with the process, and with a
new endpoint under an old name; `metrics_spool` writes what was added to them to disk.
Reference: "Monitor Amazon SageMaker with Amazon CloudWatch", endpoint invocation metrics; Prometheus text format 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clary.core.routes import Route
from clary.gateway.histogram import Histogram
from clary.gateway.statistic_set import StatisticSet, occurrences

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# CloudWatch's name -> the attribute of VariantMetrics.
_COUNTS = {
    "Invocations": "invocations",
    "Invocation4XXErrors": "errors_4xx",
    "Invocation5XXErrors": "errors_5xx",
    "InvocationModelErrors": "model_errors",
}
LATENCIES = {"ModelLatency": "model_latency", "OverheadLatency": "overhead_latency"}


@dataclass(slots=True)
class VariantMetrics:
    """Counts of a variant. A request without any answer (time-out, broken connection) is a 5XX: AWS's text for it
    says `server error (0)`, and an alarm on errors should see it."""

    invocations: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    model_errors: int = 0
    in_flight: int = 0
    model_latency: Histogram = field(default_factory=Histogram)
    overhead_latency: Histogram = field(default_factory=Histogram)
    _taken: dict[str, tuple[float, int]] = field(default_factory=dict)  # name -> sum and count at the last `take`

    def count_model_error(self, status: int) -> None:
        """An answer of the container that was not 2xx; 0 where there was none."""
        self.model_errors += 1
        if 400 <= status < 500:
            self.errors_4xx += 1
        else:
            self.errors_5xx += 1

    def take(self) -> dict[str, StatisticSet]:
        """What was added to each metric since the last call; metrics without a new value are left out."""
        taken = {}
        for name, attribute in _COUNTS.items():
            total, count = self._added(name, getattr(self, attribute), self.invocations)
            if total or count:
                taken[name] = occurrences(int(total), count)
        for name, attribute in LATENCIES.items():
            histogram: Histogram = getattr(self, attribute)
            total, count = self._added(name, histogram.total_us, histogram.count)
            if count:
                taken[name] = StatisticSet(total, count, histogram.min_us, histogram.max_us)
                histogram.reset_extremes()
        return taken

    def _added(self, name: str, total: float, count: int) -> tuple[float, int]:
        total_before, count_before = self._taken.get(name, (0, 0))
        self._taken[name] = (total, count)
        return total - total_before, count - count_before

    def summary(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, attribute) for name, attribute in _COUNTS.items()},
            "InFlight": self.in_flight,
            **{name: _quantiles(getattr(self, attribute)) for name, attribute in LATENCIES.items()},
        }

    def to_json(self) -> dict[str, Any]:
        numbers = {attribute: getattr(self, attribute) for attribute in (*_COUNTS.values(), "in_flight")}
        return numbers | {attribute: getattr(self, attribute).to_json() for attribute in LATENCIES.values()}

    def add_json(self, raw: Mapping[str, Any]) -> None:
        """Add what `to_json` of another gave."""
        for attribute in (*_COUNTS.values(), "in_flight"):
            setattr(self, attribute, getattr(self, attribute) + raw[attribute])
        for attribute in LATENCIES.values():
            getattr(self, attribute).add_json(raw[attribute])


def _quantiles(histogram: Histogram) -> dict[str, float]:
    mean = histogram.total_us / histogram.count if histogram.count else 0.0
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    return {"mean": mean} | {name: histogram.quantile(share) for name, share in shares.items()}


class MetricKey(NamedTuple):
    endpoint: str
    variant: str
    name: str


class Metrics:
    """All counts of a process, or of all gateway processes of a home together."""

    def __init__(self) -> None:
        self._variants: dict[tuple[str, str], tuple[str, VariantMetrics]] = {}
        self._replaced: list[tuple[str, str, VariantMetrics]] = []  # of endpoints that are deleted, not yet taken
        self.waiting = 0  # requests that wait for a replica
        self.connections = 0

    def for_variant(self, route: Route, variant: str) -> VariantMetrics:
        """The counts of a variant; new ones for an endpoint that was created again."""
        key = (route.endpoint, variant)
        uid, counts = self._variants.get(key, ("", None))
        if counts is None or uid != route.uid:
            self._remove(key)
            counts = VariantMetrics()
            self._variants[key] = (route.uid, counts)
        return counts

    def keep(self, routes: Mapping[str, Route]) -> None:
        """Remove endpoints that were deleted; what they counted since the last `take` is still taken."""
        for key, (uid, _) in list(self._variants.items()):
            if key[0] not in routes or routes[key[0]].uid != uid:
                self._remove(key)

    def _remove(self, key: tuple[str, str]) -> None:
        if key in self._variants:
            self._replaced.append((*key, self._variants.pop(key)[1]))

    def take(self) -> dict[MetricKey, StatisticSet]:
        """What was added to each metric since the last call."""
        taken: dict[MetricKey, StatisticSet] = {}
        present = [(endpoint, variant, counts) for (endpoint, variant), (_, counts) in self._variants.items()]
        for endpoint, variant, counts in (*self._replaced, *present):
            for name, values in counts.take().items():
                key = MetricKey(endpoint, variant, name)
                taken[key] = taken[key].merged(values) if key in taken else values
        self._replaced = [replaced for replaced in self._replaced if replaced[2].in_flight]
        return taken

    def to_json(self) -> dict[str, Any]:
        variants = [
            {"endpoint": endpoint, "variant": variant, **counts.to_json()}
            for (endpoint, variant), (_, counts) in self._variants.items()
        ]
        return {"waiting": self.waiting, "connections": self.connections, "variants": variants}

    @classmethod
    def total(cls, processes: Iterable[Mapping[str, Any]]) -> Metrics:
        """The sum of what `to_json` of several processes gave."""
        total = cls()
        for raw in processes:
            total.waiting += raw["waiting"]
            total.connections += raw["connections"]
            for counts in raw["variants"]:
                key = (counts["endpoint"], counts["variant"])
                total._variants.setdefault(key, ("", VariantMetrics()))[1].add_json(counts)
        return total

    def summary(self) -> list[dict[str, Any]]:
        """An entry per endpoint and variant, for programs."""
        return [
            {"EndpointName": endpoint, "VariantName": variant, **counts.summary()}
            for (endpoint, variant), (_, counts) in sorted(self._variants.items())
        ]

    def text(self) -> str:
        """Prometheus's text format."""
        return "".join(line + "\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        rows = [
            (f'endpoint="{endpoint}",variant="{variant}"', counts)
            for (endpoint, variant), (_, counts) in sorted(self._variants.items())
        ]
        for name, attribute, kind, text in _PROMETHEUS_NUMBERS:
            yield from _heading(name, kind, text)
            yield from (f"{name}{{{labels}}} {getattr(counts, attribute)}" for labels, counts in rows)
        for name, attribute, text in _PROMETHEUS_HISTOGRAMS:
            yield from _heading(name, "histogram", text)
            for labels, counts in rows:
                yield from _histogram(name, labels, getattr(counts, attribute))
        yield from _heading("clary_gateway_held_requests", "gauge", "Requests waiting for a replica.")
        yield f"clary_gateway_held_requests {self.waiting}"
        yield from _heading("clary_gateway_connections", "gauge", "Open connections of clients.")
        yield f"clary_gateway_connections {self.connections}"


_PROMETHEUS_NUMBERS = (
    ("clary_invocations_total", "invocations", "counter", "Requests for a variant (Invocations)."),
    ("clary_invocation_4xx_errors_total", "errors_4xx", "counter", "4xx of the container (Invocation4XXErrors)."),
    (
        "clary_invocation_5xx_errors_total",
        "errors_5xx",
        "counter",
        "5xx of the container, time-outs, no replica (Invocation5XXErrors).",
    ),
    ("clary_invocation_model_errors_total", "model_errors", "counter", "Not answered 2xx (InvocationModelErrors)."),
    ("clary_in_flight_requests", "in_flight", "gauge", "Requests being answered, or waiting for a replica."),
)
_PROMETHEUS_HISTOGRAMS = (
    ("clary_model_latency_microseconds", "model_latency", "From the request's sending to its answer (ModelLatency)."),
    ("clary_overhead_latency_microseconds", "overhead_latency", "All time but the model's (OverheadLatency)."),
)


def _heading(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _histogram(name: str, labels: str, histogram: Histogram) -> Iterator[str]:
    for upper_us, below in histogram.cumulative():
        yield f'{name}_bucket{{{labels},le="{upper_us}"}} {below}'
    yield f'{name}_bucket{{{labels},le="+Inf"}} {histogram.count}'
    yield f"{name}_sum{{{labels}}} {histogram.total_us:.0f}"
    yield f"{name}_count{{{labels}}} {histogram.count}"
