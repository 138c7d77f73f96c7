"""The store's contract, in memory, in SQLite and in PostgreSQL."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import pytest

from clary.store.memory import MemoryStore
from clary.store.schema import metadata
from clary.store.sql import open_store
from clary.testing.store import StoreContract
from tests.postgres import fresh_database


@contextmanager
def opened(url):
    with asyncio.Runner() as runner:
        store = runner.run(open_store(url))
        yield store
        runner.run(store.close())


def emptied(store):
    with store.database.engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    return store


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory):
    with opened(f"sqlite:///{tmp_path_factory.mktemp('store')}/clary.db") as store:
        yield store


@pytest.fixture(scope="module")
def postgres():
    with opened(fresh_database("contract")) as store:
        yield store


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self):
        return MemoryStore()


class TestSqlite(StoreContract):
    @pytest.fixture
    def store(self, sqlite):
        return emptied(sqlite)


class TestPostgres(StoreContract):
    @pytest.fixture
    def store(self, postgres):
        return emptied(postgres)
