"""A record: one stored resource, and the history of what became of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

# What json.loads gives, to be read and not changed. Code that reads a member has to check its type, as
# clary.core.structured does.
JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

# What becomes of the records that a deleted one owns: they keep it from being deleted, or stay without an owner.
ChildrenPolicy = Literal["refuse", "release"]


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Which record: its family's kind and its name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Transition:
    """One line of a record's history; for a training job, one of its SecondaryStatusTransitions."""

    status: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """One stored resource. A value: the store hands out new ones, nobody changes one in place.

    uid       new for each creation, so that a new job under an old name shares nothing with the old
    status    one of the family's statuses, in AWS's spelling
    detail    the finer status where the family has one (SecondaryStatus of a training job), else ""
    spec      the Create request as received: members and types are those of its shape in AWS's service model, against
              which it was checked
    state     what has become known since; the family has a dataclass for it
    reason    FailureReason, "" while there is none
    created, modified   aware datetimes in UTC; modified moves with every change that callers can see
    version   counts writes; a write names the version it read
    owner     the record that created this one and is responsible for it, None where a caller made it
    owner_uid the owner's uid: a later record of the owner's name owns nothing of it
    node      the node whose server works on the record, "" where any may: the one that holds the control lease does
    placements  task id -> the node it was placed on, written before the task is launched
    refusals    task id, or kind/name of a child, -> why it will never start, or never be created
    """

    kind: str
    name: str
    uid: str
    status: str
    spec: Mapping[str, Any]
    created: datetime
    modified: datetime
    detail: str = ""
    state: Mapping[str, JSON] = field(default_factory=dict)
    reason: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    version: int = 0
    owner: Ref | None = None
    owner_uid: str = ""
    node: str = ""
    placements: Mapping[str, str] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)

    @property
    def ref(self) -> Ref:
        return Ref(self.kind, self.name)

    def with_state(self, **changes: JSON) -> Record:
        """The same record with these members of `state` set."""
        return replace(self, state={**self.state, **changes})

    def owned_by(self, owner: Record) -> Record:
        """The same record as a child of `owner`."""
        return replace(self, owner=owner.ref, owner_uid=owner.uid)

    def child_name(self, label: str, longest: int = 63) -> str:
        """The name of a child: the same however often it is created, and no other owner's.

        longest   characters that AWS allows in the child's name
        """
        ending = f"-{label}-{self.uid}"
        return self.name[: longest - len(ending)] + ending

    def is_child_of(self, owner: Record) -> bool:
        return (self.owner, self.owner_uid) == (owner.ref, owner.uid)


def new_uid() -> str:
    """Twelve hex digits: unique enough beside the name it always stands with."""
    return secrets.token_hex(6)
