"""Records in memory, for tests: the same promises, kept by the same code where there is code to share."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime

from clary.core.errors import ChildrenExist, RecordExists, RecordMissing, StaleWrite
from clary.core.records import ChildrenPolicy, Record, Ref, Transition
from clary.store import codec, pages
from clary.store.base import Page, Query


class MemoryStore:
    """A Store that forgets everything. For one event loop: nothing here awaits, so nothing comes in between."""

    def __init__(self) -> None:
        self._records: dict[Ref, Record] = {}
        self._history: dict[Ref, list[Transition]] = {}
        self._leases: dict[str, tuple[str, datetime]] = {}

    async def create(self, record: Record, history: Transition | None = None) -> Record:
        if taken := self._records.get(record.ref):
            raise RecordExists(taken)
        if record.owner:
            owner = self._records.get(record.owner)
            if owner is None or not record.is_child_of(owner):
                raise RecordMissing(f"there is no {record.owner} ({record.owner_uid}) to own {record.ref}")
        kept = _copy(dataclasses.replace(record, version=1))
        self._records[record.ref] = kept
        self._history[record.ref] = [history] if history else []
        return _copy(kept)

    async def get(self, ref: Ref) -> Record:
        if ref not in self._records:
            raise RecordMissing(f"there is no {ref}")
        return _copy(self._records[ref])

    async def find(self, kind: str, lower_name: str) -> Record:
        named = [r for r in self._records.values() if r.kind == kind and r.name.lower() == lower_name]
        if not named:
            raise RecordMissing(f"there is no {Ref(kind, lower_name)}")
        return _copy(max(named, key=lambda r: (r.created, codec.escape(r.name))))

    async def replace(self, old: Record, new: Record, history: Transition | None = None) -> Record:
        if (old.ref, old.uid) != (new.ref, new.uid):
            raise ValueError(f"{new.ref} ({new.uid}) cannot stand in place of {old.ref} ({old.uid})")
        kept = _copy(dataclasses.replace(new, version=old.version + 1))
        self._check(old)
        self._records[old.ref] = kept
        if history:
            _append(self._history[old.ref], history)
        return _copy(kept)

    async def delete(self, record: Record, children: ChildrenPolicy = "refuse") -> None:
        self._check(record)
        for child in [r for r in self._records.values() if r.is_child_of(record)]:
            if children == "refuse":
                raise ChildrenExist(f"{record.ref} owns {child.ref}")
            released = dataclasses.replace(child, owner=None, owner_uid="", version=child.version + 1)
            self._records[child.ref] = released
        del self._records[record.ref], self._history[record.ref]

    async def list(self, query: Query) -> Page:
        pages.check(query)
        after = pages.start(query)

        def order(position: pages.Position) -> tuple[datetime | str, str]:
            value, name = position
            return (codec.escape(value) if isinstance(value, str) else value, codec.escape(name))

        found = [r for r in self._records.values() if _matches(query, r)]
        found.sort(key=lambda r: order(pages.position(query, r)), reverse=query.descending)
        if after:
            start = order(after)
            places = [order(pages.position(query, r)) for r in found]
            found = [r for r, at in zip(found, places, strict=True) if (at < start if query.descending else at > start)]
        return pages.page(query, [_copy(r) for r in found[: query.limit + 1]])

    async def history(self, record: Record) -> Sequence[Transition]:
        kept = self._records.get(record.ref)
        return list(self._history[record.ref]) if kept and kept.uid == record.uid else []

    async def in_status(self, kind: str, statuses: Collection[str]) -> Sequence[Ref]:
        found = [r for r in self._records.values() if r.kind == kind and r.status in statuses]
        return [r.ref for r in sorted(found, key=lambda r: (r.created, codec.escape(r.name)))]

    async def count(self, kind: str) -> dict[str, int]:
        return dict(Counter(r.status for r in self._records.values() if r.kind == kind))

    async def acquire(self, lease: str, holder: str, now: datetime, until: datetime) -> bool:
        held_by, held_until = self._leases.get(lease, (holder, until))
        if held_by != holder and held_until > now:
            return False
        self._leases[lease] = (holder, until)
        return True

    async def is_held(self, lease: str, now: datetime) -> bool:
        return lease in self._leases and self._leases[lease][1] > now

    async def release(self, lease: str, holder: str) -> None:
        if self._leases.get(lease, ("", None))[0] == holder:
            self._leases.pop(lease, None)

    async def close(self) -> None:
        pass

    def _check(self, read: Record) -> None:
        kept = self._records.get(read.ref)
        if kept is None or (kept.uid, kept.version) != (read.uid, read.version):
            raise StaleWrite(f"{read.ref} is not at version {read.version} any more")


def _append(lines: list[Transition], line: Transition) -> None:
    if lines and lines[-1].status == line.status:
        lines[-1] = dataclasses.replace(lines[-1], message=line.message)
    else:
        lines.append(line)


def _copy(record: Record) -> Record:
    """Shares nothing with the original that anybody could change, and holds what a database could hold."""
    codec.encode_time(record.created)
    codec.encode_time(record.modified)
    spec, state = (codec.decode_json(codec.encode_json(members)) for members in (record.spec, record.state))
    for texts in (record.tags, record.placements, record.refusals):
        codec.encode_json(texts)
    tags, placements, refusals = dict(record.tags), dict(record.placements), dict(record.refusals)
    return dataclasses.replace(record, spec=spec, state=state, tags=tags, placements=placements, refusals=refusals)


def _matches(query: Query, record: Record) -> bool:
    return (
        record.kind == query.kind
        and codec.escape(query.name_contains.lower()) in codec.escape(record.name.lower())
        and (not query.status or record.status in query.status)
        and (query.created_after is None or record.created >= query.created_after)
        and (query.created_before is None or record.created <= query.created_before)
        and (query.modified_after is None or record.modified >= query.modified_after)
        and (query.modified_before is None or record.modified <= query.modified_before)
        and all(codec.member(record, path) == value for path, value in query.equals)
        and (query.owned_by is None or record.is_child_of(query.owned_by))
    )
