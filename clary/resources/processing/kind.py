"""What a processing job has of its own among jobs: its stages, and what is kept of its task."""

from __future__ import annotations

from dataclasses import replace

from clary.core.records import Record
from clary.core.tasks import TaskState
from clary.resources.jobs.kind import JobKind, downloading, running, uploading, waiting
from clary.resources.jobs.status import SecondaryStatus
from clary.resources.processing import KIND
from clary.resources.processing.state import ProcessingState
from clary.resources.processing.task import processing_task, request_of, stopping_condition


def _with_results(state: ProcessingState, task: TaskState) -> ProcessingState:
    return replace(state, exit_message=task.message or None)


def _time_limit_reason(job: Record) -> str:
    """AWS gives none; whoever finds a job stopped that nobody stopped wants to know why."""
    return (
        "MaxRuntimeExceeded: The job ran longer than StoppingCondition.MaxRuntimeInSeconds = "
        f"{stopping_condition(request_of(job))['MaxRuntimeInSeconds']}."
    )


PROCESSING = JobKind(
    kind=KIND,
    noun="processing job",
    state=ProcessingState,
    stages=(
        waiting("Processing job waiting for capacity"),
        downloading("Downloading input data"),
        running(SecondaryStatus.PROCESSING, "Processing in progress"),
        uploading("Uploading output data"),
    ),
    task=processing_task,
    with_results=_with_results,
    time_limit_reason=_time_limit_reason,
)
