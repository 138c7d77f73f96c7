"""The contract of metrics, in SQLite and in PostgreSQL."""

from __future__ import annotations

import pytest

from clary.store.metrics.sql import SqlMetricStore
from clary.testing.metrics import MetricStoreContract
from tests.contract.test_store import emptied


class TestSqlite(MetricStoreContract):
    @pytest.fixture
    def metrics(self, sqlite):
        return SqlMetricStore(emptied(sqlite).database)


class TestPostgres(MetricStoreContract):
    @pytest.fixture
    def metrics(self, postgres):
        return SqlMetricStore(emptied(postgres).database)
