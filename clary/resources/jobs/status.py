"""The statuses that all families of jobs share."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """AWS's words; each family has its own enum, named as AWS names it."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    DELETING = "Deleting"


FINISHED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.STOPPED)


class SecondaryStatus(StrEnum):
    """The record's detail. A training job's are AWS's; other jobs do not show theirs."""

    STARTING = "Starting"
    PENDING = "Pending"
    DOWNLOADING = "Downloading"
    TRAINING = "Training"
    PROCESSING = "Processing"
    UPLOADING = "Uploading"
    RESTARTING = "Restarting"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"
