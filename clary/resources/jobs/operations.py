"""What the operations of all families of jobs share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from clary.core.errors import ResourceInUse, ValidationException
from clary.core.facts import Facts
from clary.core.instances import is_clamped
from clary.core.records import Record, Ref
from clary.resources.context import Context
from clary.resources.jobs.kind import JobKind
from clary.resources.jobs.state import JobState, StateT, read_state
from clary.resources.jobs.status import FINISHED, JobStatus, SecondaryStatus
from clary.resources.long_poll import long_poll
from clary.resources.operations import Request, Response, edit, find, new_record
from clary.resources.operations import create as create_record

Status = JobStatus


def new_job(kind: str, name: str, request: Mapping[str, Any], facts: Facts, state: JobState) -> Record:
    return new_record(
        kind,
        name,
        request,
        facts,
        status=Status.IN_PROGRESS,
        detail=SecondaryStatus.STARTING,
        state=state.to_json(),
    )


def creation_message(kind: JobKind[StateT], instance_type: str, job: Record) -> str:
    """Names what a host has on this machine, where that is less than its instance type has at AWS."""
    message = f"Starting the {kind.noun}"
    resources = read_state(JobState, job.state).resources
    if not is_clamped(resources, instance_type):
        return message
    memory_gib = resources.memory_mib / 1024
    return f"{message} (of {instance_type} this machine gives {resources.cpus:g} CPUs and {memory_gib:.1f} GiB)"


async def create(context: Context, kind: JobKind[StateT], request: Request) -> str:
    """The ARN of the new job. Raises ResourceInUse."""
    return await create_record(
        context,
        kind.kind,
        request,
        taken=ResourceInUse,
        taken_text=f"{kind.noun.capitalize()} names must be unique within an AWS account and region, and a {kind.noun} "
        "with this name already exists ({arn})",
    )


async def find_for_describe(context: Context, ref: Ref, missing: str) -> Record:
    """The record of a Describe, which may wait for a job under way to end."""
    return await long_poll(context, partial(find, context, ref, missing), is_active)


def is_active(job: Record) -> bool:
    """Whether it may end any moment; so may a job that waits for room, where those before it are short."""
    return job.status in (Status.IN_PROGRESS, Status.STOPPING)


async def stop(context: Context, kind: JobKind[StateT], name: str, missing: str) -> Response:
    """The Stop of a family. Raises ValidationException for a job that has ended."""

    def stopping(job: Record) -> Record | None:
        if job.status == Status.STOPPING:
            return None
        if job.status != Status.IN_PROGRESS:
            raise ValidationException(f"The request was rejected because the {kind.noun} is in status {job.status}.")
        return replace(job, status=Status.STOPPING, detail=SecondaryStatus.STOPPING)

    await edit(context, Ref(kind.kind, name), missing, stopping, f"Stopping the {kind.noun}")
    return {}


def check_ended(kind: JobKind[StateT], job: Record) -> None:
    """Raise ResourceInUse where a job that is to be deleted has not ended."""
    if job.status not in FINISHED:
        raise ResourceInUse(f"The {kind.noun} is in status {job.status}: stop it, and delete it when it has ended.")


def check_instances(kind: JobKind[StateT], path: str, resources: Request) -> None:
    """Raise ValidationException where the request does not give at `path` the type and number of its hosts."""
    for member in ("InstanceType", "InstanceCount"):
        if member not in resources:
            raise ValidationException(f"{path}.{member} is missing: a {kind.noun} needs it.")
    if resources["InstanceCount"] < 1:
        raise ValidationException(f"{path}.InstanceCount = 0: a {kind.noun} needs at least 1.")


def times(state: JobState) -> tuple[datetime | None, datetime | None]:
    """When a job got its instances, and when all of it was over; None until then."""
    return _moment(state.started_at), _moment(state.ended_at)


def _moment(epoch_s: float | None) -> datetime | None:
    return datetime.fromtimestamp(epoch_s, UTC) if epoch_s else None
