"""What a family decides: a *Move*, a *Do* or a *Wait*, and the actions a Do may name.

`decide` takes what is known and returns one next step. A step changes the status or acts, not both: intent is written
first and acted on next, so after a crash the record still holds what is wanted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from clary.core.facts import Facts
from clary.core.records import JSON, ChildrenPolicy, Record, Ref, Transition
from clary.core.routes import Route
from clary.core.tasks import ABSENT, Task, TaskState


@dataclass(frozen=True, slots=True)
class Launch:
    """Start a task; if it exists, nothing happens."""

    task: Task


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask tasks to end. Replicas are first given up to `drain_s` to finish the requests they have."""

    task_ids: tuple[str, ...]
    grace_s: float
    drain_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Forget:
    """Remove what a finished task left on the machine (its log stays)."""

    task_id: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Have the gateway send an endpoint's requests there."""

    route: Route


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Have the gateway forget an endpoint."""

    endpoint: str


@dataclass(frozen=True, slots=True)
class Create:
    """Create a record that this record owns; if it exists already, nothing happens.

    name    from `Record.child_name`
    spec    a Create request of that kind, which holds the name too
    If it cannot be created (the name is taken, the request does not fit), `Seen.refusal` gives the reason from then on.
    """

    kind: str
    name: str
    spec: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Erase:
    """Remove the record: nothing is left that belongs to it, but for children that are released.

    children   "refuse": it is tried again until there are none, as a family that deletes its children first expects
    """

    children: ChildrenPolicy = "refuse"


Action = Launch | Stop | Forget | Publish | Withdraw | Create | Erase


@dataclass(frozen=True, slots=True)
class Move:
    """Write a new status (or a new detail of the same one) and what goes with it.

    detail, message   a line of history where there is a message: for a training job, SecondaryStatus and StatusMessage
    reason            FailureReason, where there is one now
    state             the record's new state, whole; None where it stays as it is
    at                when it came about, where that is known better than "now"
    """

    status: str
    detail: str = ""
    message: str = ""
    reason: str = ""
    state: Mapping[str, JSON] | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Do:
    """Act; then decide again."""

    action: Action


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until something changes, or until this moment."""

    until: datetime | None = None


Decision = Move | Do | Wait


@dataclass(frozen=True, slots=True)
class Watch:
    """What a family wants to see before it decides.

    route      an endpoint's name
    children   kind -> statuses: its children of that kind, in one of these statuses, () for all of them
    """

    tasks: Collection[str] = ()
    route: str = ""
    children: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was observed for the decision about one record.

    records    the children that are watched
    refusals   kind/name of a child -> why it cannot be created
    """

    tasks: Mapping[str, TaskState] = field(default_factory=dict)
    route: Route | None = None
    records: Mapping[Ref, Record] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)

    def task(self, task_id: str) -> TaskState:
        return self.tasks.get(task_id, ABSENT)

    def refusal(self, child: Ref) -> str:
        """Why a child cannot be created; "" while no reason is known."""
        return self.refusals.get(str(child), "")


# Among a status's transitions: the record is erased. Not a status of AWS's.
ERASED = "erased"


class NoStatus(StrEnum):
    """The statuses of a resource that has none: it exists, or it does not."""


Operation = Callable[[Any, dict[str, Any]], Awaitable[dict[str, Any]]]

# What is not built of one operation: path of a request's member -> what to do instead.
# `[]` after a list's name, `=VALUE` at the end for a single value of the member.
Unbuilt = Mapping[str, str]


def _nothing_to_watch(record: Record) -> Watch:
    return Watch()


def _nothing_to_do(record: Record, seen: Seen, now: datetime) -> Decision:
    return Wait()


def _no_message(record: Record) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of resource and its behaviour, as a value.

    kind          also the resource part of its ARN
    status        its statuses as AWS spells them; NoStatus where AWS has none (the record's status is then "")
    transitions   from each status, those it may move to; a new record has the first. ERASED is the end of the record
    terminal      statuses in which nothing is left to do but to clear up a task that is still there, which leads to the
                  record by itself. In all others the loop comes back to the record until it has moved on or is erased
    watch, decide what the loop calls; a family whose records need no work leaves them out
    operations    AWS operation name -> async function of (context, request) giving the response
    unbuilt       AWS operation name -> the members of its request that nothing here would act on; they are refused
    new_record    the record of a Create request, for the operation as for a record that creates others; pure, so it
                  checks nothing that needs I/O. Raises ValidationException
    creation_message  of the first line of a new record's history; "" where its history does not begin with one
    """

    kind: str
    status: type[StrEnum]
    transitions: Mapping[str, Collection[str]]
    operations: Mapping[str, Operation]
    new_record: Callable[[Mapping[str, Any], Facts], Record]
    unbuilt: Mapping[str, Unbuilt] = field(default_factory=dict)
    creation_message: Callable[[Record], str] = _no_message
    watch: Callable[[Record], Watch] = _nothing_to_watch
    decide: Callable[[Record, Seen, datetime], Decision] = _nothing_to_do
    terminal: Collection[str] = ()

    def first_transition(self, record: Record) -> Transition | None:
        """The first line of a new record's history, if it has one."""
        message = self.creation_message(record)
        return Transition(record.detail or record.status, message, record.created) if message else None
