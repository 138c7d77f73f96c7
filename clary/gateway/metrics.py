"""What the gateway counts, per endpoint and variant, under CloudWatch's names; `GET /metrics` shows it to Prometheus.

Latencies are in microseconds, as CloudWatch has them. Kept in memory: they start at zero with the gateway, and with a
new endpoint under an old name.
Reference: "Monitor Amazon SageMaker with Amazon CloudWatch", endpoint invocation metrics; Prometheus text format 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from clary.core.routes import Route
from clary.gateway.histogram import Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class VariantMetrics:
    """Counts of one variant. A request without any answer (time-out, broken connection) is a 5XX: AWS's text for it
    says `server error (0)`, and an alarm on errors should see it."""

    invocations: int = 0
    errors_4xx: int = 0
    errors_5xx: int = 0
    model_errors: int = 0
    in_flight: int = 0
    model_latency: Histogram = field(default_factory=Histogram)
    overhead_latency: Histogram = field(default_factory=Histogram)

    def count_model_error(self, status: int) -> None:
        """An answer of the container that was not 2xx; 0 where there was none."""
        self.model_errors += 1
        if 400 <= status < 500:
            self.errors_4xx += 1
        else:
            self.errors_5xx += 1

    def summary(self) -> dict[str, Any]:
        return {
            "Invocations": self.invocations,
            "Invocation4XXErrors": self.errors_4xx,
            "Invocation5XXErrors": self.errors_5xx,
            "InvocationModelErrors": self.model_errors,
            "InFlight": self.in_flight,
            "ModelLatency": _quantiles(self.model_latency),
            "OverheadLatency": _quantiles(self.overhead_latency),
        }


def _quantiles(histogram: Histogram) -> dict[str, float]:
    mean = histogram.total_us / histogram.count if histogram.count else 0.0
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    return {"mean": mean} | {name: histogram.quantile(share) for name, share in shares.items()}


class Metrics:
    """All counts of this process."""

    def __init__(self) -> None:
        self._variants: dict[tuple[str, str], tuple[str, VariantMetrics]] = {}
        self.held = 0
        self.connections = 0

    def of(self, route: Route, variant: str) -> VariantMetrics:
        """The counts of a variant; new ones for an endpoint that was made anew."""
        key = (route.endpoint, variant)
        uid, counts = self._variants.get(key, ("", None))
        if counts is None or uid != route.uid:
            counts = VariantMetrics()
            self._variants[key] = (route.uid, counts)
        return counts

    def keep(self, routes: Mapping[str, Route]) -> None:
        """Forget endpoints that are gone."""
        for endpoint, variant in [key for key in self._variants if key[0] not in routes]:
            del self._variants[endpoint, variant]

    def summary(self) -> list[dict[str, Any]]:
        """One entry per endpoint and variant, for programs."""
        return [
            {"EndpointName": endpoint, "VariantName": variant, **counts.summary()}
            for (endpoint, variant), (_, counts) in sorted(self._variants.items())
        ]

    def text(self) -> str:
        """What Prometheus reads."""
        return "".join(line + "\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        rows = [
            (f'endpoint="{endpoint}",variant="{variant}"', counts)
            for (endpoint, variant), (_, counts) in sorted(self._variants.items())
        ]
        for name, attribute, kind, text in _SIMPLE:
            yield from _heading(name, kind, text)
            yield from (f"{name}{{{labels}}} {getattr(counts, attribute)}" for labels, counts in rows)
        for name, attribute, text in _HISTOGRAMS:
            yield from _heading(name, "histogram", text)
            for labels, counts in rows:
                yield from _histogram(name, labels, getattr(counts, attribute))
        yield from _heading("clary_gateway_held_requests", "gauge", "Requests waiting for a replica.")
        yield f"clary_gateway_held_requests {self.held}"
        yield from _heading("clary_gateway_connections", "gauge", "Open connections of callers.")
        yield f"clary_gateway_connections {self.connections}"


_SIMPLE = (
    ("clary_invocations_total", "invocations", "counter", "Requests for a variant (Invocations)."),
    ("clary_invocation_4xx_errors_total", "errors_4xx", "counter", "4xx of the container (Invocation4XXErrors)."),
    (
        "clary_invocation_5xx_errors_total",
        "errors_5xx",
        "counter",
        "5xx of the container, time-outs, no replica (Invocation5XXErrors).",
    ),
    ("clary_invocation_model_errors_total", "model_errors", "counter", "Not answered 2xx (InvocationModelErrors)."),
    ("clary_in_flight_requests", "in_flight", "gauge", "Requests being answered or held."),
)
_HISTOGRAMS = (
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
