"""The metrics of a training job: those that the request defines, or those of the built-in algorithm."""

from __future__ import annotations

from typing import Any

from clary.compute.images import built_in


def metric_definitions(algorithm: dict[str, Any]) -> list[list[str]]:
    """(name, regex) pairs: the request's own, else those of the built-in algorithm its image names.

    AWS refuses MetricDefinitions for its built-in images; here a script that runs in such an image may define its own.
    """
    if given := algorithm.get("MetricDefinitions"):
        return [[definition["Name"], definition["Regex"]] for definition in given]
    image = built_in(algorithm["TrainingImage"])
    return [[metric.name, metric.regex] for metric in image.algorithm.metrics] if image else []
