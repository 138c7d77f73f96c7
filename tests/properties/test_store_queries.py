"""Any records, any query: the databases find what the store in memory finds, in the same order and pages."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.core.records import Record, Ref
from clary.store import lists
from clary.store.base import Query
from clary.store.memory import MemoryStore
from clary.store.sql import open_store
from clary.testing.store import T0, names
from tests.postgres import fresh_database

KINDS = (f"kind-{number}" for number in itertools.count())

texts = st.text(alphabet="aAb-_%\\é\x00\x10\ud800\U0001f33f'\"", max_size=4)
statuses = st.sampled_from(["Completed", "Failed", "failed", ""])
moments = st.integers(-2, 3).map(lambda n: T0 + n * timedelta(microseconds=1))
values = st.sampled_from(["x", "y", "\x00"]) | st.sampled_from([1, None, ["x"], {"k": "x"}, {"k": {"k": "y"}}])
members = st.dictionaries(st.sampled_from(["k", 'k"', "\ud800"]), values, max_size=3)
paths = st.tuples(st.sampled_from(["spec", "state"]), *[st.sampled_from(["k", 'k"', "\ud800"])]) | st.tuples(
    st.just("spec"), st.just("k"), st.just("k")
)
records = st.builds(
    Record,
    kind=st.just(""),
    name=texts,
    uid=st.just("u"),
    status=statuses,
    spec=members,
    state=members,
    created=moments,
    modified=moments,
    owner=st.sampled_from([None, Ref("", "o1"), Ref("", "o2")]),
)
OWNERS = [Record("", name, f"uid-{name}", "", {}, created=T0, modified=T0) for name in ("o1", "o2")]
queries = st.builds(
    Query,
    kind=st.just(""),
    name_contains=texts,
    status=st.lists(statuses, max_size=2),
    created_after=st.none() | moments,
    created_before=st.none() | moments,
    modified_after=st.none() | moments,
    modified_before=st.none() | moments,
    equals=st.lists(st.tuples(paths, st.sampled_from(["x", "y", "\x00"])), max_size=2),
    owned_by=st.sampled_from([None, *OWNERS]),
    order=st.sampled_from(["created", "modified", "name", "status"]),
    descending=st.booleans(),
    limit=st.integers(1, 4),
) | st.builds(Query, kind=st.just(""), equals=st.tuples(st.tuples(paths, st.just("x"))), limit=st.integers(1, 4))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request, tmp_path_factory):
    """A way to run coroutines, and a store that takes its turns for large lists at small ones."""
    file = tmp_path_factory.mktemp("store") / "clary.db"
    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "MAX_SORTED", 2)
        patch.setattr(lists, "READ_AT_ONCE", 2)
        store = runner.run(open_store(f"sqlite:///{file}" if request.param == "sqlite" else fresh_database("queries")))
        yield runner, store
        runner.run(store.close())


@given(
    kept=st.lists(records, max_size=8, unique_by=lambda record: record.name),
    asked_queries=st.lists(queries, min_size=3, max_size=6),
)
@settings(max_examples=40, deadline=None)
def test_a_database_finds_what_memory_finds(database, kept, asked_queries):
    runner, store = database
    runner.run(_compare(store, kept, asked_queries))


async def _compare(store, kept, asked_queries):
    kind, memory = next(KINDS), MemoryStore()
    owners = {owner.name: replace(owner, kind=f"owner-of-{kind}") for owner in OWNERS}
    for each in (store, memory):
        for owner in owners.values():
            await each.create(owner)
        for record in kept:
            child = replace(record, kind=kind)
            await each.create(child.owned_by(owners[child.owner.name]) if child.owner else child)
    for query in asked_queries:
        owner = owners[query.owned_by.name] if query.owned_by else None
        of_kind = replace(query, kind=kind, owned_by=owner)
        assert await names(store, of_kind) == await names(memory, of_kind)
    lower_names = {record.name.lower() for record in kept}
    for lower_name in lower_names:
        assert (await store.find(kind, lower_name)).name == (await memory.find(kind, lower_name)).name
    assert await store.count(kind) == await memory.count(kind)
    assert await store.in_status(kind, ["Failed", ""]) == await memory.in_status(kind, ["Failed", ""])
