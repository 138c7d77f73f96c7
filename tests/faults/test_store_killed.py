"""A server killed while it writes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest

from clary.core.records import Ref
from clary.store.base import Query
from clary.store.sql import open_store
from clary.testing.store import names
from tests.postgres import fresh_database

WRITER = """
import asyncio, itertools, sys
from clary.store.sql import open_store
from clary.testing.store import a_line, a_record

async def write():
    store = await open_store(sys.argv[1])
    for n in itertools.count():
        record = await store.create(a_record(f"r{n}", spec={"n": str(n)}), a_line("Starting"))
        await store.replace(record, record.with_state(m=str(n)), a_line("Training"))
        print(n, flush=True)

asyncio.run(write())
"""


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_what_was_answered_is_there_and_what_was_not_is_whole_or_absent(database, tmp_path):
    url = f"sqlite:///{tmp_path}/clary.db" if database == "sqlite" else fresh_database("killed")
    with subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True) as writer:
        for line in writer.stdout:
            if line == "50\n":
                break
        writer.kill()
        answered = 51 + len(writer.stdout.read().splitlines())
    store = await open_store(url)
    for n in range(answered):
        record = await store.get(Ref("training-job", f"r{n}"))
        assert (record.version, record.state) == (2, {"m": str(n)})
        assert [line.status for line in await store.history(record)] == ["Starting", "Training"]
        for member in (("spec", "n"), ("state", "m")):
            assert await names(store, Query("training-job", equals=[(member, str(n))])) == [record.name]
    kept = sum((await store.count("training-job")).values())
    assert answered <= kept <= answered + 1
    await store.close()
    if database == "sqlite":
        connection = sqlite3.connect(tmp_path / "clary.db")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()
