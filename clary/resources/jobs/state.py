"""The state of a job's record: what has become known since its request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from clary.core import structured
from clary.core.records import JSON
from clary.core.tasks import Resources

# 1 had no `version`: see `upgraded`.
VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """What the states of all families of jobs hold.

    resources    of each host, clamped to this machine
    attempt      counts from 0; each is a task of its own
    stages       the names of this attempt's stages that are in the record's history
    started_at, ended_at   when it got its instances, and when all of it was over; epoch seconds
    """

    arn: str
    resources: Resources
    attempt: int = 0
    stages: tuple[str, ...] = ()
    started_at: float | None = None
    ended_at: float | None = None
    version: int = VERSION

    def to_json(self) -> dict[str, JSON]:
        return structured.to_members(self)


StateT = TypeVar("StateT", bound=JobState)


def read_state(cls: type[StateT], state: Mapping[str, JSON]) -> StateT:
    """The state of a record, also of one that an earlier version wrote. Raises ValueError for what is no state."""
    return structured.from_json(cls, state if "version" in state else upgraded(state))


# version 1 -> version 2
_RENAMED = {
    "told": "stages",
    "training_start": "started_at",
    "training_end": "ended_at",
    "processing_start": "started_at",
    "processing_end": "ended_at",
}


def upgraded(state: Mapping[str, JSON]) -> dict[str, JSON]:
    """A state of version 1 as version 2 writes it: members that each family had under its own name share one."""
    return {_RENAMED.get(name, name): value for name, value in state.items()} | {"version": VERSION}
