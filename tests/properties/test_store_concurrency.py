"""Servers that share a database: whatever order their writes fall in, none is lost and none is half there."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.core.errors import RecordExists, RecordMissing, StaleWrite
from clary.core.records import Record, new_uid
from clary.store.base import Query
from clary.store.sql import open_store
from clary.testing.store import a_line, a_record, names
from tests.postgres import fresh_database

SERVERS = 2
NAMES = (f"r{number}" for number in itertools.count())

WRITES = st.lists(st.sampled_from(["change", "change", "change", "delete", "create"]), min_size=1, max_size=6)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def servers(request, tmp_path_factory):
    """A way to run coroutines, and two stores on one database."""
    database = tmp_path_factory.mktemp("store") / "clary.db"
    url = f"sqlite:///{database}" if request.param == "sqlite" else fresh_database("concurrency")
    with asyncio.Runner() as runner:
        stores = [runner.run(open_store(url)) for _ in range(SERVERS)]
        yield runner, stores
        for store in stores:
            runner.run(store.close())


@given(scripts=st.lists(WRITES, min_size=2, max_size=4))
@settings(max_examples=20, deadline=None)
def test_every_write_that_was_answered_counts_once(servers, scripts):
    runner, stores = servers
    runner.run(_run_scripts(stores, scripts))


async def _run_scripts(stores, scripts):
    first = await stores[0].create(a_record(next(NAMES), uid=new_uid(), state={"writes": []}), a_line("made"))
    done: dict[str, dict[int, str]] = {first.uid: {}}  # uid -> version it was made from -> write
    deleted: set[str] = set()
    await asyncio.gather(
        *(
            _work(stores[number % SERVERS], first, script, f"w{number}", done, deleted)
            for number, script in enumerate(scripts)
        )
    )
    alive = done.keys() - deleted
    assert len(alive) <= 1
    by_write = Query(first.kind, equals=[(("spec", "of"), first.name)])
    if not alive:
        with pytest.raises(RecordMissing):
            await stores[1].get(first.ref)
        return
    kept = await stores[1].get(first.ref)
    writes = [write for _, write in sorted(done[kept.uid].items())]
    assert alive == {kept.uid}
    assert kept.version == 1 + len(writes)
    assert kept.state["writes"] == writes
    assert [line.status for line in await stores[0].history(kept)] == ["made", *writes]
    found = Query(kept.kind, equals=[(("state", "last"), f"{kept.name} {writes[-1] if writes else ''}")])
    assert await names(stores[0], found) == ([kept.name] if writes else [])
    assert await names(stores[0], by_write) == []


async def _work(store, first: Record, script, worker: str, done, deleted) -> None:
    """Read, then write on what was read, as a reconcile does; another may have written in between."""
    for number, step in enumerate(script):
        write = f"{worker}.{number}"
        with suppress(StaleWrite, RecordMissing, RecordExists):
            if step == "create":
                made = dataclasses.replace(first, uid=new_uid())
                done.setdefault(made.uid, {})
                deleted.add(made.uid)  # until it is known to be there
                await store.create(made, a_line("made"))
                deleted.remove(made.uid)
                continue
            read = await store.get(first.ref)
            done.setdefault(read.uid, {})
            if step == "delete":
                await store.delete(read)
                assert read.uid not in deleted
                deleted.add(read.uid)
            else:
                new = read.with_state(writes=[*read.state["writes"], write], last=f"{read.name} {write}")
                await store.replace(read, new, a_line(write))
                assert read.version not in done[read.uid]
                done[read.uid][read.version] = write
