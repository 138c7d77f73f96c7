"""Where a page of a list ends and the next starts, as a token for callers to hand back.

A position is what the list is ordered by and the name of the last record shown: records that come and go meanwhile
shift nothing. A token carries a fingerprint of its query, since a position means nothing in another query.
"""

from __future__ import annotations

import base64
import hashlib
import json
import operator
from datetime import datetime
from typing import NamedTuple

from clary.core.records import Record
from clary.store.base import Page, Query
from clary.store.codec import decode_time, encode_time

LONGEST = 4096  # characters of a token; names, the longest part, are far shorter


class Position(NamedTuple):
    """What a query orders by, and the name, which orders the records that are equal otherwise."""

    value: datetime | str
    name: str


def position(query: Query, record: Record) -> Position:
    """Where a record stands in the order of a query."""
    return Position(getattr(record, query.order), record.name)


def check(query: Query) -> None:
    """Raises ValueError for a query that no store can answer."""
    if query.limit < 1:
        raise ValueError(f"limit = {query.limit}: a page holds at least one record")
    for path, _ in query.equals:
        if len(path) < 2 or path[0] not in ("spec", "state"):
            raise ValueError(f"equals {path!r}: must be a path into spec or state")


def page(query: Query, found: list[Record]) -> Page:
    """A page of what was found, up to one record more than fits."""
    records = found[: query.limit]
    return Page(records, _token(query, records[-1]) if len(found) > query.limit else "")


def _token(query: Query, last: Record) -> str:
    """What callers hand back to get what follows `last`."""
    value, name = position(query, last)
    content = [_fingerprint(query), value if isinstance(value, str) else encode_time(value), name]
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode()


def start(query: Query) -> Position | None:
    """The position after which the page starts; None for the first. Raises ValueError for a token not made here."""
    if not query.after:
        return None
    try:
        content = base64.b64decode(query.after[:LONGEST], altchars=b"-_", validate=True)
        if base64.urlsafe_b64encode(content).decode() != query.after:  # too long, or more padding than needed
            raise ValueError
        fingerprint, value, name = json.loads(content)
        if query.order in ("created", "modified"):
            value = decode_time(operator.index(value))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise ValueError("the token is not one that a list gave out") from None
    fits = isinstance(name, str) and isinstance(value, datetime if query.order in ("created", "modified") else str)
    if not fits or fingerprint != _fingerprint(query):
        raise ValueError("the token belongs to a list with other filters or another order")
    return Position(value, name)


def _fingerprint(query: Query) -> str:
    moments = (query.created_after, query.created_before, query.modified_after, query.modified_before)
    parts = [
        *(query.kind, query.name_contains, sorted(query.status)),
        *(moment and encode_time(moment) for moment in moments),
        *(sorted((list(path), value) for path, value in query.equals), query.order, query.descending),
        *([str(query.owned_by.ref), query.owned_by.uid] if query.owned_by else ()),
    ]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=6).hexdigest()
