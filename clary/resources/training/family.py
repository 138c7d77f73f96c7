"""Training jobs as a family: what the control loop and the API call."""

from __future__ import annotations

from functools import partial

from clary.core.decisions import Family
from clary.resources.jobs.decide import decide, watch
from clary.resources.jobs.status import FINISHED
from clary.resources.training import KIND, TRANSITIONS, TrainingJobStatus, operations
from clary.resources.training.kind import TRAINING

FAMILY = Family(
    kind=KIND,
    status=TrainingJobStatus,
    transitions=TRANSITIONS,
    watch=watch,
    decide=partial(decide, TRAINING),
    terminal=FINISHED,
    new_record=operations.new_training_job,
    creation_message=operations.creation_message,
    operations={
        "CreateTrainingJob": operations.create,
        "DescribeTrainingJob": operations.describe,
        "ListTrainingJobs": operations.list_jobs,
        "StopTrainingJob": operations.stop,
        "DeleteTrainingJob": operations.delete,
    },
    unbuilt={"CreateTrainingJob": operations.UNBUILT},
)
