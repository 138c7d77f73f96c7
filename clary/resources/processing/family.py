"""Processing jobs as a family: what the control loop and the API call."""

from __future__ import annotations

from functools import partial

from clary.core.decisions import Family
from clary.resources.jobs.decide import decide, watch
from clary.resources.jobs.status import FINISHED
from clary.resources.processing import KIND, TRANSITIONS, ProcessingJobStatus, operations
from clary.resources.processing.kind import PROCESSING

FAMILY = Family(
    kind=KIND,
    status=ProcessingJobStatus,
    transitions=TRANSITIONS,
    watch=watch,
    decide=partial(decide, PROCESSING),
    terminal=FINISHED,
    new_record=operations.new_processing_job,
    creation_message=operations.creation_message,
    operations={
        "CreateProcessingJob": operations.create,
        "DescribeProcessingJob": operations.describe,
        "ListProcessingJobs": operations.list_jobs,
        "StopProcessingJob": operations.stop,
        "DeleteProcessingJob": operations.delete,
    },
    unbuilt={"CreateProcessingJob": operations.UNBUILT},
)
