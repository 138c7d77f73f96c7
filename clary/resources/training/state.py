"""The state of a training job's record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clary.resources.jobs.state import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState(JobState):
    """
    metric_definitions   (name, regular expression) pairs
    metrics              name -> its last value, and when it was printed (epoch seconds); None until the job has ended
    model_artifacts      the URI of what was uploaded, None where there is nothing
    """

    metric_definitions: tuple[tuple[str, str], ...] = ()
    metrics: Mapping[str, tuple[float, float]] | None = None
    model_artifacts: str | None = None
