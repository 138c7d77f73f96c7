"""A family for tests whose records own others: a batch of training jobs, as a tuning job is one.

InProgress ──> Completed | Failed (a job could not be created)
InProgress | Completed | Failed ──> Deleting ──> erased; the jobs stay
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from clary.core.clock import Clock
from clary.core.decisions import Create, Decision, Do, Erase, Family, Move, Seen, Wait, Watch
from clary.core.facts import Facts
from clary.core.records import Record, Ref, new_uid
from clary.resources.jobs.status import FINISHED
from clary.store.base import Store
from tests.context import a_training_job

KIND = "batch"
JOBS = "training-job"


class BatchStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    DELETING = "Deleting"


Status = BatchStatus


def watch(batch: Record) -> Watch:
    return Watch(children={JOBS: ()})


def decide(batch: Record, seen: Seen, now: datetime) -> Decision:
    if batch.status == Status.DELETING:
        return Do(Erase(children="release"))
    if batch.status != Status.IN_PROGRESS:
        return Wait()
    for name in job_names(batch):
        job = Ref(JOBS, name)
        if why := seen.refusal(job):
            return Move(Status.FAILED, reason=why)
        if job not in seen.records:
            return Do(Create(JOBS, name, {**a_training_job(name), **batch.spec["job"]}))
    if all(job.status in FINISHED for job in seen.records.values()):
        return Move(Status.COMPLETED)
    return Wait()


def job_names(batch: Record) -> list[str]:
    return [batch.child_name(f"{number:03}") for number in range(batch.spec["count"])]


def new_record(request: Mapping[str, Any], facts: Facts) -> Record:
    raise NotImplementedError("tests make their batches by `a_batch`")


def a_batch(clock: Clock, name: str, count: int, **job: Any) -> Record:
    """A batch of so many jobs; `job` are members of their requests."""
    now = clock.now()
    return Record(KIND, name, new_uid(), Status.IN_PROGRESS, {"count": count, "job": job}, created=now, modified=now)


async def delete(store: Store, name: str) -> None:
    batch = await store.get(Ref(KIND, name))
    await store.replace(batch, replace(batch, status=Status.DELETING))


FAMILY = Family(
    kind=KIND,
    status=BatchStatus,
    transitions={
        Status.IN_PROGRESS: {Status.COMPLETED, Status.FAILED, Status.DELETING},
        Status.COMPLETED: {Status.DELETING},
        Status.FAILED: {Status.DELETING},
        Status.DELETING: (),
    },
    operations={},
    new_record=new_record,
    watch=watch,
    decide=decide,
    terminal=(Status.COMPLETED, Status.FAILED),
)
