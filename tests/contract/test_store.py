"""The store's contract, in memory, in SQLite and in PostgreSQL."""

from __future__ import annotations

import pytest

from clary.store.memory import MemoryStore
from clary.store.schema import metadata
from clary.testing.store import StoreContract


def emptied(store):
    with store.database.engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    return store


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
