"""What the server knows of the built-in algorithms without importing them: their metrics."""

from __future__ import annotations

from typing import Any

from clary.compute.images import built_in
from clary.tasks.xgboost.metrics import METRIC_DEFINITIONS as XGBOOST_METRICS

_METRICS = {"xgboost": XGBOOST_METRICS}


def metric_definitions(algorithm: dict[str, Any]) -> list[list[str]]:
    """(name, regex) pairs: the request's own, else those of the built-in algorithm its image names.

    AWS refuses MetricDefinitions for its built-in images; here a script that runs in such an image may define its own.
    """
    if given := algorithm.get("MetricDefinitions"):
        return [[definition["Name"], definition["Regex"]] for definition in given]
    image = built_in(algorithm["TrainingImage"])
    return [[name, regex] for name, regex in _METRICS.get(image.name if image else "", ())]
