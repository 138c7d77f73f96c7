"""The clock that tests move."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from clary.testing.clock import START, ManualClock


def after(seconds: float):
    return START + timedelta(seconds=seconds)


async def _settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_sleepers_wake_when_their_time_has_come_and_in_order():
    async def scenario():
        clock, woken = ManualClock(), []

        async def sleep(seconds):
            await clock.sleep_until(after(seconds))
            woken.append(seconds)

        async with asyncio.TaskGroup() as group:
            for seconds in (20, 10, 10.5, 0):
                group.create_task(sleep(seconds))
            await _settle()
            assert (woken, clock.waking) == ([0], [after(10), after(10.5), after(20)])
            clock.advance(9.999)
            await _settle()
            assert woken == [0]
            clock.move_to(after(15))
            await _settle()
            assert (woken, clock.now()) == ([0, 10, 10.5], after(15))
            assert clock.move_to_next()
            await _settle()
            assert (woken, clock.now()) == ([0, 10, 10.5, 20], after(20))
            assert not clock.move_to_next()

    asyncio.run(scenario())


def test_a_sleeper_that_was_cancelled_is_forgotten():
    async def scenario():
        clock = ManualClock()
        sleeper = asyncio.create_task(clock.sleep_until(after(10)))
        await _settle()
        sleeper.cancel()
        await asyncio.wait([sleeper])
        assert clock.waking == []
        clock.advance(20)

    asyncio.run(scenario())


def test_time_does_not_go_back():
    clock = ManualClock()
    clock.advance(0)
    with pytest.raises(ValueError, match="before"):
        clock.advance(-1)
