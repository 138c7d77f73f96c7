"""The databases that the contracts of what is stored run over, one of each kind for a module's tests."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import pytest

from clary.store.sql import open_store
from tests.postgres import fresh_database


@contextmanager
def opened(url):
    with asyncio.Runner() as runner:
        store = runner.run(open_store(url))
        yield store
        runner.run(store.close())


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory):
    with opened(f"sqlite:///{tmp_path_factory.mktemp('store')}/clary.db") as store:
        yield store


@pytest.fixture(scope="module")
def postgres(request):
    with opened(fresh_database(request.module.__name__.rpartition(".")[2])) as store:
        yield store
