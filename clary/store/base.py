"""What a store promises."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from clary.core.records import ChildrenPolicy, Record, Ref, Transition


@dataclass(frozen=True, slots=True)
class Query:
    """Which records of a kind, in which order. All conditions must hold; None and () set none.

    *_after and *_before are inclusive. `name_contains` ignores case, as AWS does.
    equals         (path, value) pairs: spec or state members that must equal a text, e.g.
                   (("spec", "EndpointConfigName"), "c1"); found at once at the top of spec or state, by reading every
                   record of the kind where the path is longer
    owned_by       the record whose children are asked for; None: whoever owns them
    order          by this, then by name, which no other record of the kind has, so that pages never overlap
    """

    kind: str
    name_contains: str = ""
    status: Collection[str] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None
    modified_after: datetime | None = None
    modified_before: datetime | None = None
    equals: Collection[tuple[tuple[str, ...], str]] = ()
    owned_by: Record | None = None
    order: Literal["created", "modified", "name", "status"] = "created"
    descending: bool = False
    limit: int = 10
    after: str = ""  # the `next` of the page before


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, and where the next page starts ("" where there is none)."""

    records: Sequence[Record]
    next: str = ""


class Store(Protocol):
    """Keeps records. Every write names the version it read, so no update is lost. Safe to use from many tasks.

    Any text is kept as it is, and so is any JSON. Raises ValueError for spec, state or tags that are not JSON (NaN is
    not) and for times without a zone, StoreError where the database itself fails: full, locked, out of reach.
    """

    async def create(self, record: Record, history: Transition | None = None) -> Record:
        """Keep a new record, at version 1.

        Raises RecordExists where its name is taken (names differ by case), RecordMissing where it has an owner that is
        not, or no longer, there.
        """
        ...

    async def get(self, ref: Ref) -> Record:
        """Raises RecordMissing."""
        ...

    async def find(self, kind: str, lower_name: str) -> Record:
        """By the name as ARNs have it, lower-cased; the newest of several. Raises RecordMissing."""
        ...

    async def replace(self, old: Record, new: Record, history: Transition | None = None) -> Record:
        """Write `new` in place of `old` and add a line of history, both or neither.

        Returns `new` with its version. A line whose status equals the last line's updates its
        message in place. Raises StaleWrite where the stored version is not `old.version`, or the record is gone.
        """
        ...

    async def delete(self, record: Record, children: ChildrenPolicy = "refuse") -> None:
        """Remove a record and its history. Raises StaleWrite as `replace` does.

        children   what becomes of the records it owns: "refuse" raises ChildrenExist where there are any, "release"
                   leaves them without an owner
        """
        ...

    async def list(self, query: Query) -> Page:
        """Raises ValueError where `query.after` is not from a list with the same filters and order."""
        ...

    async def history(self, record: Record) -> Sequence[Transition]:
        """Oldest first."""
        ...

    async def in_status(self, kind: str, statuses: Collection[str]) -> Sequence[Ref]:
        """Every record of a kind in one of these statuses, oldest first."""
        ...

    async def count(self, kind: str) -> dict[str, int]:
        """How many records of a kind are in each status."""
        ...

    async def acquire(self, lease: str, holder: str, now: datetime, until: datetime) -> bool:
        """Take or renew a lease until then; False while somebody else holds it. One that reached its end is free."""
        ...

    async def is_held(self, lease: str, now: datetime) -> bool:
        """Whether anybody holds a lease."""
        ...

    async def release(self, lease: str, holder: str) -> None:
        """Give a lease back; nothing happens where `holder` does not have it."""
        ...

    async def close(self) -> None:
        """Finish what was begun, and let go."""
        ...
