"""The tables of a database, made or brought up to date when a server starts.

The usual start finds them up to date, by one small query. A database without tables gets them as `schema.py` draws them
(a test sees to it that the migrations lead to the same). Only an older one needs Alembic, which takes long to import.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, insert, inspect, select, text

import clary.store.metrics.schema  # noqa: F401 - its tables belong to `metadata`
from clary.core.errors import SettingsError
from clary.store.schema import REVISION, metadata

MIGRATIONS = Path(__file__).with_name("migrations")

# Alembic's own table, which names the revision a database is at.
_alembic = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
_LOCK = 0x436C617279  # "Clary": PostgreSQL's lock for servers that start at the same moment


def upgrade(engine: Engine) -> None:
    """Raises SettingsError where a newer Clary has made the tables, or something else than Clary."""
    with engine.connect() as connection:
        if _revision(connection) == REVISION:
            return
    with engine.begin() as connection:  # SQLite: this transaction is the only one from its start
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        match _revision(connection):
            case None:
                _make(connection)
            case revision if revision != REVISION:
                migrate(connection, revision)


def _revision(connection: Connection) -> str | None:
    """None where the database is new to Clary."""
    if not inspect(connection).has_table(_alembic.name):
        return None
    return connection.execute(select(_alembic.c.version_num)).scalar()


def _make(connection: Connection) -> None:
    if taken := sorted(metadata.tables.keys() & set(inspect(connection).get_table_names())):
        raise SettingsError(
            f"the database has tables of another program ({', '.join(taken)}); give Clary a database of its own"
        )
    metadata.create_all(connection)
    _alembic.create(connection, checkfirst=True)
    connection.execute(insert(_alembic).values(version_num=REVISION))


def migrate(connection: Connection, revision: str | None, to: str = "head") -> None:
    """Take the tables from one revision to a later one, all of the way or not at all."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise SettingsError(
            f"the database is at revision {revision!r}, and this Clary knows none after {REVISION}: a newer one has "
            "used it. Start that version, or give this one another home or database_url"
        )
    command.upgrade(config, to)
