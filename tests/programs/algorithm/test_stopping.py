"""SIGTERM ends a program that has nothing to save, and is noted by one that has."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from clary.tasks.algorithm.stopping import EXIT_CODE, StopRequest


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_with_nothing_to_save_the_program_ends() -> None:
    StopRequest()
    with pytest.raises(SystemExit) as ended:
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == EXIT_CODE == 143


def test_a_deferred_stop_is_noted() -> None:
    stop = StopRequest()
    stop.deferred = True
    assert not stop.requested
    signal.raise_signal(signal.SIGTERM)
    assert stop.requested
