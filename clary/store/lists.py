"""One page of a list.

The page's ids are read from an index alone, which holds every column a filter looks at; only then the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Function, exists, func, select, tuple_

from clary.core.records import Record
from clary.store import codec
from clary.store.base import Query
from clary.store.pages import Position, position
from clary.store.rows import COLUMNS, owned_by, to_record
from clary.store.schema import members, records

# Records found by a member are sorted up to here; where there are more, the list is read in its order, and each record
# asked for the member, until the page is full.
MAX_SORTED = 1000
READ_AT_ONCE = 200  # records read at a time where a condition can only be checked on the record itself

_ORDERS: dict[str, list[Column[Any]]] = {
    "created": [records.c.created, records.c.name],
    "modified": [records.c.modified, records.c.name],
    "status": [records.c.status, records.c.name],
    "name": [records.c.name],
}


def matching(connection: Connection, query: Query, after: Position | None, limit: int) -> list[Record]:
    """The first records that a query asks for, beyond a position."""
    deep = [(path, value) for path, value in query.equals if not codec.is_indexed(path)]
    conditions = [*_where(connection, query), *_filters(connection, query)]
    if not deep:
        return _select(connection, query, conditions, after, limit)
    found: list[Record] = []
    while len(found) < limit:
        chunk = _select(connection, query, conditions, after, READ_AT_ONCE)
        found += [r for r in chunk if all(codec.member(r, path) == value for path, value in deep)]
        if len(chunk) < READ_AT_ONCE:
            break
        after = position(query, chunk[-1])
    return found[:limit]


def _select(
    connection: Connection, query: Query, conditions: Sequence[ColumnElement[bool]], after: Position | None, limit: int
) -> list[Record]:
    columns = _ORDERS[query.order]
    order = [column.desc() if query.descending else column for column in columns]
    ids = select(records.c.id).where(*conditions).order_by(*order).limit(limit)
    if after:
        place, last = tuple_(*columns), after[-len(columns) :]
        ids = ids.where(place < last if query.descending else place > last)
    page = ids.subquery("page")
    rows = select(*COLUMNS).join(page, page.c.id == records.c.id).order_by(*order)
    return [to_record(row) for row in connection.execute(rows)]


def _where(connection: Connection, query: Query) -> Iterator[ColumnElement[bool]]:
    """What leads to the records: their ids, where members or an owner name few of them, or their kind."""
    with_members: set[int] | None = None
    for path, value in query.equals:
        if codec.is_indexed(path):
            has_member = members.c.digest == codec.digest(query.kind, path, value)
            some = select(members.c.record_id).where(has_member).limit(MAX_SORTED + 1)
            ids = connection.execute(some).scalars().all()
            if len(ids) > MAX_SORTED:
                yield exists().where(has_member, members.c.record_id == records.c.id)
            else:
                with_members = set(ids) if with_members is None else with_members.intersection(ids)
    if query.owned_by:
        children = select(records.c.id).where(owned_by(query.owned_by), records.c.kind == query.kind)
        yield records.c.id.in_(children)
    if with_members is not None:
        yield records.c.id.in_(with_members)
    # Digest and owner lead to few records of the kind: a condition on it would tempt SQLite to read its whole index.
    if with_members is None and not query.owned_by:
        yield records.c.kind == query.kind


def _filters(connection: Connection, query: Query) -> Iterator[ColumnElement[bool]]:
    match list(query.status):
        case []:
            pass
        case [status]:
            yield records.c.status == status
        case statuses:
            yield records.c.status.in_(statuses)
    if query.created_after:
        yield records.c.created >= query.created_after
    if query.created_before:
        yield records.c.created <= query.created_before
    if query.modified_after:
        yield records.c.modified >= query.modified_after
    if query.modified_before:
        yield records.c.modified <= query.modified_before
    if query.name_contains:
        yield _index_of(connection, codec.escape(query.name_contains.lower())) > 0


def _index_of(connection: Connection, text: str) -> Function[int]:
    """Not LIKE: in a name, % and _ mean themselves."""
    find = func.instr if connection.dialect.name == "sqlite" else func.strpos
    return find(records.c.lower_name, text)
