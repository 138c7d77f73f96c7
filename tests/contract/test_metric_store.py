"""The contract of metrics, in SQLite and in PostgreSQL."""

from __future__ import annotations

import pytest

from clary.store.metrics.sql import SqlMetricStore
from clary.testing.metrics import MetricStoreContract
from tests.contract.test_store import emptied, opened
from tests.postgres import fresh_database


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory):
    with opened(f"sqlite:///{tmp_path_factory.mktemp('metrics')}/clary.db") as store:
        yield store


@pytest.fixture(scope="module")
def postgres():
    with opened(fresh_database("metrics")) as store:
        yield store


class TestSqlite(MetricStoreContract):
    @pytest.fixture
    def metrics(self, sqlite):
        return SqlMetricStore(emptied(sqlite).database)


class TestPostgres(MetricStoreContract):
    @pytest.fixture
    def metrics(self, postgres):
        return SqlMetricStore(emptied(postgres).database)
