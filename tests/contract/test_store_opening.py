"""What happens before a store answers: its tables are made, brought up to date, or refused."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import stat
import sys

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from clary.core.errors import SettingsError, StoreError
from clary.core.records import Ref
from clary.store import engine as engines
from clary.store.database import Database
from clary.store.engine import make_engine, sqlite_url
from clary.store.schema import REVISION, metadata
from clary.store.sql import SqlStore, open_store
from clary.store.upgrade import MIGRATIONS, migrate
from clary.testing.store import SECOND, T0, a_line, a_record
from tests.postgres import fresh_database

pytestmark = pytest.mark.anyio

REVISIONS = [script.revision for script in ScriptDirectory(MIGRATIONS).walk_revisions()]


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A database nobody has used."""
    return f"sqlite:///{tmp_path}/clary.db" if request.param == "sqlite" else fresh_database("opening")


@pytest.fixture
def engine(url):
    engine = make_engine(url, connections=1)
    yield engine
    engine.dispose()


def tables_of(engine) -> dict:
    """The tables as the database describes them."""
    seen = inspect(engine)
    tables = {}
    for table in sorted(set(seen.get_table_names()) - {"alembic_version"}):
        columns = {c["name"]: (c["type"].compile(engine.dialect), c["nullable"]) for c in seen.get_columns(table)}
        tables[table] = {
            "columns": columns,
            "key": seen.get_pk_constraint(table),
            "foreign keys": seen.get_foreign_keys(table),
            "unique": seen.get_unique_constraints(table),
            "indices": sorted((_plain(index) for index in seen.get_indexes(table)), key=lambda index: index["name"]),
        }
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            for name, sql in connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")):
                if name in tables:
                    tables[name]["rows"] = [clause for clause in ("WITHOUT ROWID", "AUTOINCREMENT") if clause in sql]
    return tables


def _plain(index) -> dict:
    """An index whose condition, if it has one, can be compared."""
    return {**index, "dialect_options": {name: str(value) for name, value in index["dialect_options"].items()}}


def test_the_newest_revision_is_that_of_the_schema():
    assert ScriptDirectory(MIGRATIONS).get_heads() == [REVISION]


@pytest.mark.parametrize("revision", [None, *REVISIONS])
async def test_tables_of_every_revision_become_todays(url, engine, revision):
    with engine.begin() as connection:
        migrate(connection, None, to=revision or "head")
    store = await open_store(url)
    await store.create(a_record(), a_line())
    await store.close()
    migrated = tables_of(engine)
    with engine.begin() as connection:
        metadata.drop_all(connection)
        metadata.create_all(connection)
    assert migrated == tables_of(engine)
    assert migrated.keys() == metadata.tables.keys()


async def test_a_home_of_revision_0001_opens_with_all_it_had(url, engine):
    with engine.begin() as connection:
        migrate(connection, None, to="0001")
        old = {
            "kind": "training-job",
            "lower_name": "j",
            "uid": "u",
            "version": 3,
            "status": "InProgress",
            "detail": "Starting",
            "created": 0,
            "modified": 1,
            "reason": "",
            "tags": "{}",
            "spec": "{}",
        }
        states = {"j": '{"refusals":{"j-u-0":"CapacityError: none"},"attempt":0}', "k": '{"about":"refusals"}'}
        names = ", ".join(("name", "state", *old))
        values = ", ".join(f":{name}" for name in ("name", "state", *old))
        for name, state in states.items():
            connection.execute(
                text(f"INSERT INTO records ({names}) VALUES ({values})"), old | {"name": name, "state": state}
            )
        connection.execute(text("INSERT INTO leases VALUES ('control', 'this home''s server', 9000000000000000)"))
    store = await open_store(url)
    refused, other = [await store.get(Ref("training-job", name)) for name in ("j", "k")]
    assert (refused.state, refused.refusals) == ({"attempt": 0}, {"j-u-0": "CapacityError: none"})
    assert (other.state, other.refusals) == ({"about": "refusals"}, {})
    for record in (refused, other):
        assert (record.version, record.owner, record.owner_uid, record.node, record.placements) == (3, None, "", "", {})
    taken = await store.acquire("control", "another name", T0, T0 + SECOND)
    assert taken == url.startswith("sqlite"), "of the home's own database there is no other server"
    await store.close()


async def test_a_second_start_finds_everything_there_and_does_without_alembic(url, monkeypatch):
    store = await open_store(url)
    record = await store.create(a_record(), a_line())
    await store.close()
    for name in [name for name in sys.modules if name.split(".")[0] == "alembic"]:
        monkeypatch.setitem(sys.modules, name, None)  # importing it now fails
    store = await open_store(url)
    assert await store.get(record.ref) == record
    await store.close()


async def test_servers_that_start_at_once_share_the_tables(url):
    stores = await asyncio.gather(*(open_store(url) for _ in range(5)))
    await asyncio.gather(*(store.create(a_record(f"r{number}")) for number, store in enumerate(stores)))
    assert await stores[0].count("training-job") == {"InProgress": 5}
    for store in stores:
        await store.close()


@pytest.mark.parametrize("revision", ["9999", "f00"])
async def test_a_database_of_a_newer_clary_is_refused_and_left_alone(url, engine, revision):
    await (await open_store(url)).close()
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    with pytest.raises(SettingsError, match=f"{revision}.*newer"):
        await open_store(url)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == revision


async def test_the_usual_spellings_of_a_postgresql_url_are_understood():
    url = fresh_database("spelling")
    for scheme in ("postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"):
        store = await open_store(url.replace("postgresql", scheme, 1))
        assert await store.count("model") == {}
        await store.close()


async def test_another_programs_tables_are_left_alone(url, engine):
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE records (mine INTEGER)"))
    with pytest.raises(SettingsError, match=r"records.*of its own"):
        await open_store(url)
    assert [column["name"] for column in inspect(engine).get_columns("records")] == ["mine"]


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "clary.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://user:secret@host/name",
        "postgresql+psycopg2x://:::",
        "postgresql://user:secret@/name?host=/nowhere/at/all",
        "postgresql://user:secret@127.0.0.1:1/name",
    ],
)
async def test_a_url_of_no_use_is_a_clear_error(bad):
    with pytest.raises(SettingsError, match="database_url") as refused:
        await open_store(bad)
    assert "secret" not in str(refused.value)


async def test_a_home_may_have_any_name(tmp_path):
    file = tmp_path / "a?b=c" / "50%25 #é @:" / "clary.db"
    await (await open_store(sqlite_url(file))).close()
    assert file.stat().st_size > 0


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to be read as one" * 10)
    with pytest.raises(SettingsError, match="not a database"):
        await open_store(f"sqlite:///{file}")
    assert file.read_text().startswith("not a database, but")


async def test_a_path_where_no_file_can_be_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "clary.db"):
        with pytest.raises(SettingsError, match="cannot be written"):
            await open_store(f"sqlite:///{path}")


async def test_the_file_is_its_owners_alone_and_survives_a_power_cut(tmp_path):
    store = await open_store(f"sqlite:///{tmp_path}/new/clary.db")
    await store.create(a_record(spec={"Environment": {"PASSWORD": "secret"}}))
    files = sorted((tmp_path / "new").iterdir())
    assert [file.name for file in files] == ["clary.db", "clary.db-shm", "clary.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    with store.database.engine.connect() as connection:
        pragmas = [connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")]
    assert pragmas == ["wal", 2]  # 2: FULL
    await store.close()
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["clary.db"]


async def test_a_locked_database_is_a_store_error_until_it_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_S", 0.01)
    store = await open_store(f"sqlite:///{tmp_path}/clary.db")
    other = sqlite3.connect(tmp_path / "clary.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        await store.create(a_record())
    other.execute("ROLLBACK")
    other.close()
    await store.create(a_record())
    await store.close()


async def test_tables_that_are_not_there_are_a_store_error(url):
    store = SqlStore(Database(url))
    with pytest.raises(StoreError, match=re.compile("no such table|does not exist")):
        await store.get(Ref("model", "m"))
    await store.close()


async def test_a_postgresql_that_restarts_costs_nobody_an_error(tmp_path):
    url = fresh_database("restart")
    store = await open_store(url)
    record = await store.create(a_record())
    other = make_engine(url, connections=1)
    with other.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    other.dispose()
    assert await store.get(record.ref) == record
    await store.replace(record, record.with_state(n=1))
    await store.close()
