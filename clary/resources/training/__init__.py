"""Training jobs.

    InProgress ──> Completed | Failed | Stopped (past its time limit)
         └──> Stopping ──> Stopped
    Completed | Failed | Stopped ──> Deleting ──> gone

The finer SecondaryStatus is the record's detail: Starting, (Pending), Downloading, Training, Uploading, and the end.
Reference: CreateTrainingJob, StopTrainingJob, DescribeTrainingJob (SageMaker API Reference).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from clary.core.decisions import ERASED

KIND = "training-job"


class TrainingJobStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    DELETING = "Deleting"


Status = TrainingJobStatus

TRANSITIONS: Mapping[str, Collection[str]] = {
    Status.IN_PROGRESS: (Status.COMPLETED, Status.FAILED, Status.STOPPING, Status.STOPPED),
    Status.STOPPING: (Status.STOPPED,),
    Status.COMPLETED: (Status.DELETING,),
    Status.FAILED: (Status.DELETING,),
    Status.STOPPED: (Status.DELETING,),
    Status.DELETING: (ERASED,),
}
