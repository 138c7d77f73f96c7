"""What a training job has of its own among jobs: its stages, and what is kept of its task."""

from __future__ import annotations

from dataclasses import replace

from clary.core.tasks import TaskState
from clary.resources.jobs.kind import JobKind, downloading, running, uploading, waiting
from clary.resources.jobs.status import SecondaryStatus
from clary.resources.training import KIND
from clary.resources.training.state import TrainingState
from clary.resources.training.task import training_task


def _with_results(state: TrainingState, task: TaskState) -> TrainingState:
    return replace(
        state,
        metrics={name: (metric.value, metric.at) for name, metric in task.metrics.items()},
        model_artifacts=task.uploaded.get("model"),
    )


TRAINING = JobKind(
    kind=KIND,
    noun="training job",
    state=TrainingState,
    stages=(
        waiting("Training job waiting for capacity"),
        downloading("Downloading input data"),
        running(SecondaryStatus.TRAINING, "Training image download completed. Training in progress."),
        uploading("Uploading generated training model"),
    ),
    task=training_task,
    with_results=_with_results,
)
