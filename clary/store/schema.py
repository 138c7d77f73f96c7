"""The tables.

`records` holds one row per record, `transitions` its history, `members` under which texts of its spec and state it is
found, `leases` which server may work on what. Lists read one of the indices below from end to end at worst, never the
rows: each holds every column that a filter looks at.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    event,
    text,
)
from sqlalchemy.types import TypeEngine

from clary.core.records import JSON
from clary.store.codec import decode_json, decode_time, encode_json, encode_time, escape, unescape

REVISION = "0003"  # the newest of migrations/versions: what `metadata` looks like


class AnyText(TypeDecorator[str]):
    """Text of any characters, in the order of their code points on every database."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        return Text(collation="C") if dialect.name == "postgresql" else Text()

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else escape(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else unescape(value)


class Moment(TypeDecorator[datetime]):
    """An aware datetime, as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else encode_time(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else decode_time(value)


class Json(TypeDecorator[Mapping[str, JSON]]):
    """A JSON object, as ASCII text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, JSON] | None, dialect: Dialect) -> str | None:
        return None if value is None else encode_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, JSON] | None:
        if value == "{}":  # of most columns in most rows
            return {}
        return None if value is None else decode_json(value)


RowId = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only where they are INTEGER

metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s", "fk": "fk_%(table_name)s", "uq": "uq_%(table_name)s"})


def _column(name: str, type_: TypeEngine[Any], default: str | None = None) -> Column[Any]:
    """default   of a column that came later: what rows written before have in it, and servers of then leave out"""
    return Column(name, type_, nullable=False, server_default=default)


_OWNED = text("owner_kind IS NOT NULL")

records = Table(
    "records",
    metadata,
    Column("id", RowId, primary_key=True),
    _column("kind", AnyText()),
    _column("name", AnyText()),
    _column("lower_name", AnyText()),
    _column("uid", AnyText()),
    _column("version", BigInteger()),
    _column("status", AnyText()),
    _column("detail", AnyText()),
    _column("created", Moment()),
    _column("modified", Moment()),
    _column("reason", AnyText()),
    _column("tags", Json()),
    _column("spec", Json()),
    _column("state", Json()),
    Column("owner_kind", AnyText()),
    Column("owner_name", AnyText()),
    _column("owner_uid", AnyText(), ""),
    _column("node", AnyText(), ""),
    _column("placements", Json(), "{}"),
    _column("refusals", Json(), "{}"),
    UniqueConstraint("kind", "name"),
    Index("ix_records_created", "kind", "created", "name", "status", "modified", "lower_name", "id"),
    Index("ix_records_modified", "kind", "modified", "name", "status", "created", "lower_name", "id"),
    Index("ix_records_name", "kind", "name", "status", "created", "modified", "lower_name", "id"),
    Index("ix_records_status_created", "kind", "status", "created", "name", "modified", "lower_name", "id"),
    Index("ix_records_status_modified", "kind", "status", "modified", "name", "created", "lower_name", "id"),
    Index("ix_records_status_name", "kind", "status", "name", "created", "modified", "lower_name", "id"),
    Index("ix_records_lower_name", "kind", "lower_name", "created", "name"),
    # Of children alone: other records need not be in it, and cost nothing.
    Index("ix_records_owner", "owner_uid", "kind", "created", "name", sqlite_where=_OWNED),
    sqlite_autoincrement=True,  # an id is never given again, so one read a moment ago is this record's or nobody's
)


@event.listens_for(records, "before_create")
def _owner_index_on_postgresql(table: Table, connection: Connection, **_: object) -> None:
    """Children alone on PostgreSQL too. Given above, it would load PostgreSQL's dialect into every server."""
    if connection.dialect.name == "postgresql":
        (index,) = (index for index in table.indexes if index.name == "ix_records_owner")
        index.dialect_options["postgresql"]["where"] = _OWNED


def _record_id() -> Column[int]:
    key = ForeignKey(records.c.id, ondelete="CASCADE")
    return Column("record_id", RowId, key, primary_key=True, autoincrement=False)


transitions = Table(
    "transitions",
    metadata,
    _record_id(),
    Column("line", Integer, primary_key=True, autoincrement=False),
    _column("status", AnyText()),
    _column("message", AnyText()),
    _column("at", Moment()),
    sqlite_with_rowid=False,
)

members = Table(
    "members",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    _record_id(),
    Index("ix_members_record_id", "record_id"),
    sqlite_with_rowid=False,
)

leases = Table(
    "leases",
    metadata,
    Column("name", AnyText(), primary_key=True),
    _column("holder", AnyText()),
    _column("until", Moment()),
)
