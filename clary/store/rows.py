"""What the store does to single records, each function inside one transaction of its caller's."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from clary.core.errors import ChildrenExist, RecordMissing, StaleWrite
from clary.core.records import ChildrenPolicy, Record, Ref, Transition
from clary.store import codec
from clary.store.schema import leases, members, records, transitions

_FIELDS = [field.name for field in dataclasses.fields(Record) if field.name != "owner"]
_AFTER_OWNER = [field.name for field in dataclasses.fields(Record)].index("owner")
COLUMNS = [*(records.c[name] for name in _FIELDS), records.c.owner_kind, records.c.owner_name]


def to_record(row: Sequence[Any]) -> Record:
    """`row` holds COLUMNS: Record's fields in their order, but for the owner, whose two columns come last."""
    owner = None if row[-2] is None else Ref(row[-2], row[-1])
    fields: list[Any] = [*row[:_AFTER_OWNER], owner, *row[_AFTER_OWNER:-2]]
    return Record(*fields)


def create(connection: Connection, record: Record, history: Transition | None) -> Record:
    if record.owner:
        _check_owner(connection, record)
    made = connection.execute(insert(records).values(**_values(record), lower_name=record.name.lower()))
    assert made.inserted_primary_key is not None
    record_id: int = made.inserted_primary_key[0]
    _index(connection, record_id, record)
    if history:
        _append(connection, record_id, history)
    return record


def get(connection: Connection, ref: Ref) -> Record:
    row = connection.execute(select(*COLUMNS).where(records.c.kind == ref.kind, records.c.name == ref.name)).first()
    if row is None:
        raise RecordMissing(f"there is no {ref}")
    return to_record(row)


def find(connection: Connection, kind: str, lower_name: str) -> Record:
    named = select(*COLUMNS).where(records.c.kind == kind, records.c.lower_name == lower_name)
    row = connection.execute(named.order_by(records.c.created.desc(), records.c.name.desc()).limit(1)).first()
    if row is None:
        raise RecordMissing(f"there is no {Ref(kind, lower_name)}")
    return to_record(row)


def replace(connection: Connection, old: Record, new: Record, history: Transition | None) -> Record:
    values = _values(new)
    for name in ("kind", "name", "uid", *(["created"] if new.created == old.created else ())):
        del values[name]  # they stay: SQLite would write anew each index that has them
    if not connection.execute(update(records).where(_at_version(old)).values(**values)).rowcount:
        raise StaleWrite(f"{old.ref} is not at version {old.version} any more")
    record_id = connection.execute(select(records.c.id).where(_at_version(new))).scalar_one()
    _index(connection, record_id, new)
    if history:
        _append(connection, record_id, history)
    return new


def delete_record(connection: Connection, record: Record, children: ChildrenPolicy) -> None:
    # Locked first: a child that is being created at the same moment is there, or finds its owner gone.
    if connection.execute(select(records.c.id).where(_at_version(record)).with_for_update()).first() is None:
        raise StaleWrite(f"{record.ref} is not at version {record.version} any more")
    if children == "release":
        no_owner = {"owner_kind": None, "owner_name": None, "owner_uid": "", "version": records.c.version + 1}
        connection.execute(update(records).where(owned_by(record)).values(no_owner))
    elif child := connection.execute(select(records.c.kind, records.c.name).where(owned_by(record)).limit(1)).first():
        raise ChildrenExist(f"{record.ref} owns {Ref(*child)}")
    connection.execute(delete(records).where(_at_version(record)))


def history(connection: Connection, record: Record) -> Sequence[Transition]:
    lines = select(transitions.c.status, transitions.c.message, transitions.c.at).join(records)
    of_record = lines.where(records.c.kind == record.kind, records.c.name == record.name, records.c.uid == record.uid)
    return [Transition(*row) for row in connection.execute(of_record.order_by(transitions.c.line))]


def in_status(connection: Connection, kind: str, statuses: Collection[str]) -> Sequence[Ref]:
    found = select(records.c.created, records.c.name).where(records.c.kind == kind, records.c.status.in_(statuses))
    # Sorted here: SQLite would rather read every record in order than sort the few there are.
    oldest_first = sorted((created, codec.escape(name), name) for created, name in connection.execute(found))
    return [Ref(kind, name) for _, _, name in oldest_first]


def count(connection: Connection, kind: str) -> dict[str, int]:
    numbers = select(records.c.status, func.count()).where(records.c.kind == kind).group_by(records.c.status)
    return dict(connection.execute(numbers).all())


def acquire(connection: Connection, lease: str, holder: str, now: datetime, until: datetime) -> bool:
    """Of two callers at once the first updates or inserts; the second finds the lease held, or its insert refused."""
    free = and_(leases.c.name == lease, or_(leases.c.holder == holder, leases.c.until <= now))
    if connection.execute(update(leases).where(free).values(holder=holder, until=until)).rowcount:
        return True
    if connection.execute(select(leases.c.name).where(leases.c.name == lease)).first():
        return False
    connection.execute(insert(leases).values(name=lease, holder=holder, until=until))
    return True


def is_held(connection: Connection, lease: str, now: datetime) -> bool:
    held = select(leases.c.name).where(leases.c.name == lease, leases.c.until > now)
    return connection.execute(held).first() is not None


def release(connection: Connection, lease: str, holder: str) -> None:
    connection.execute(delete(leases).where(leases.c.name == lease, leases.c.holder == holder))


def _at_version(record: Record) -> ColumnElement[bool]:
    """This record, not a later record of its name, at the version that was read."""
    return and_(*(records.c[name] == getattr(record, name) for name in ("kind", "name", "uid", "version")))


def owned_by(owner: Record) -> ColumnElement[bool]:
    """The children of this record, not of an earlier record of its name."""
    columns = (records.c.owner_uid, records.c.owner_kind, records.c.owner_name)
    return and_(*(column == value for column, value in zip(columns, (owner.uid, owner.kind, owner.name), strict=True)))


def _check_owner(connection: Connection, record: Record) -> None:
    """Raises RecordMissing where the owner is gone. Until the transaction ends nobody can delete it."""
    assert record.owner
    owner = and_(
        records.c.kind == record.owner.kind, records.c.name == record.owner.name, records.c.uid == record.owner_uid
    )
    if connection.execute(select(records.c.id).where(owner).with_for_update(key_share=True, read=True)).first() is None:
        raise RecordMissing(f"there is no {record.owner} ({record.owner_uid}) to own {record.ref}")


def _values(record: Record) -> dict[str, Any]:
    owner = record.owner
    return {
        **{name: getattr(record, name) for name in _FIELDS},
        "owner_kind": owner.kind if owner else None,
        "owner_name": owner.name if owner else None,
    }


def _index(connection: Connection, record_id: int, record: Record) -> None:
    """Bring the record's rows in `members` up to date with its spec and state."""
    stored = select(members.c.digest).where(members.c.record_id == record_id)
    before = {bytes(digest) for digest in connection.execute(stored).scalars()}
    after = codec.members(record)
    if removed := before - after:
        connection.execute(delete(members).where(members.c.record_id == record_id, members.c.digest.in_(removed)))
    if added := after - before:
        connection.execute(insert(members), [{"digest": digest, "record_id": record_id} for digest in sorted(added)])


def _append(connection: Connection, record_id: int, history: Transition) -> None:
    """Add a line, or change the message of the last one where the status stays. The caller holds the record's row."""
    lines = select(transitions.c.line, transitions.c.status).where(transitions.c.record_id == record_id)
    last = connection.execute(lines.order_by(transitions.c.line.desc()).limit(1)).first()
    if last and last.status == history.status:
        last_line = and_(transitions.c.record_id == record_id, transitions.c.line == last.line)
        connection.execute(update(transitions).where(last_line).values(message=history.message))
    else:
        line = last.line + 1 if last else 0
        connection.execute(
            insert(transitions).values(
                record_id=record_id, line=line, status=history.status, message=history.message, at=history.at
            )
        )
