"""The state of a processing job's record."""

from __future__ import annotations

from dataclasses import dataclass

from clary.resources.jobs.state import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingState(JobState):
    """exit_message: what the program left in /opt/ml/output/message, None where it left none."""

    exit_message: str | None = None
