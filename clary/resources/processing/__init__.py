"""Processing jobs: any program of any image, with data in and data out.

    InProgress ──> Completed | Failed | Stopped (past its time limit)
         └──> Stopping ──> Stopped
    Completed | Failed | Stopped ──> gone

There are no secondary statuses. A job that has ended can be deleted, and its record goes at once: AWS has no word for a
job that is being deleted, and a task without a record is swept.
Reference: CreateProcessingJob, DescribeProcessingJob, ListProcessingJobs, StopProcessingJob, DeleteProcessingJob.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from clary.core.decisions import ERASED

KIND = "processing-job"


class ProcessingJobStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


Status = ProcessingJobStatus

TRANSITIONS: Mapping[str, Collection[str]] = {
    Status.IN_PROGRESS: (Status.COMPLETED, Status.FAILED, Status.STOPPING, Status.STOPPED),
    Status.STOPPING: (Status.STOPPED,),
    Status.COMPLETED: (ERASED,),
    Status.FAILED: (ERASED,),
    Status.STOPPED: (ERASED,),
}
