"""Records that own others: children are created once, seen, and wake their owner when they move."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from clary.core.errors import RecordMissing
from clary.core.records import Record, Ref
from clary.core.tasks import Phase
from clary.resources import FAMILIES
from tests import batches
from tests.context import Server, a_training_job
from tests.crashes import Crash, CrashPoints, DyingStore, DyingWorld

BATCH = Ref(batches.KIND, "b")


class World:
    def __init__(self, folder: Path) -> None:
        self.points = CrashPoints()
        self.server = Server(folder, DyingStore(self.points), [*FAMILIES, batches.FAMILY])
        world = self.server.new_world(DyingWorld)
        world.points = self.points
        self.server.world = world
        self.server.loop = self.server.new_loop()

    async def create(self, count: int, **job: object) -> Record:
        return await self.server.store.create(batches.a_batch(self.server.clock, "b", count, **job))

    async def batch(self) -> Record:
        return await self.server.store.get(BATCH)


def play(scene: Callable[[World], Awaitable[None]], folder: Path) -> None:
    async def played() -> None:
        await scene(World(folder))

    asyncio.run(played())


def test_children_that_end_wake_their_owner(tmp_path):
    async def scene(world: World) -> None:
        batch = await world.create(3)
        await world.server.settle()
        assert (await world.batch()).status == "InProgress"
        for task in list(world.server.backend.tasks):
            world.server.backend.move(task, Phase.EXITED, exit_code=0)
        await world.server.settle()
        assert (await world.batch()).status == "Completed"
        job = await world.server.store.get(Ref("training-job", batches.job_names(batch)[0]))
        assert (job.owner, job.owner_uid) == (BATCH, batch.uid)
        first, *_ = await world.server.store.history(job)
        assert first.status == "Starting"

    play(scene, tmp_path)


@pytest.mark.parametrize("deed", ["Stop", "Delete"])
def test_an_operation_on_a_child_wakes_its_owner(tmp_path, deed):
    async def scene(world: World) -> None:
        batch = await world.create(1)
        await world.server.settle()
        (task,) = world.server.backend.tasks
        if deed == "Delete":
            world.server.backend.move(task, Phase.EXITED, exit_code=0)
            await world.server.settle()
        woken: list[Ref] = []
        world.server.changes.subscribe(woken.append)
        await world.server.call(f"{deed}TrainingJob", TrainingJobName=batches.job_names(batch)[0])
        assert woken[-1] == BATCH

    play(scene, tmp_path)


def test_a_name_that_another_has_is_seen_as_a_refusal(tmp_path):
    async def scene(world: World) -> None:
        batch = batches.a_batch(world.server.clock, "b", 1)
        (name,) = batches.job_names(batch)
        await world.server.call("CreateTrainingJob", **a_training_job(name))
        await world.server.store.create(batch)
        await world.server.settle()
        found = await world.batch()
        assert found.status == "Failed"
        assert found.reason == f"ClientError: training-job/{name} exists already, and does not belong to batch/b"

    play(scene, tmp_path)


def test_a_request_that_does_not_fit_is_seen_as_a_refusal(tmp_path):
    async def scene(world: World) -> None:
        await world.create(1, Tags=[{"Key": "aws:x", "Value": ""}])
        await world.server.settle()
        found = await world.batch()
        assert found.status == "Failed"
        assert found.reason.startswith("ClientError: Tag key 'aws:x' is invalid")

    play(scene, tmp_path)


def test_children_outlive_an_owner_that_releases_them(tmp_path):
    async def scene(world: World) -> None:
        batch = await world.create(2)
        await world.server.settle()
        await batches.delete(world.server.store, "b")
        await world.server.settle()
        with pytest.raises(RecordMissing):
            await world.batch()
        for name in batches.job_names(batch):
            job = await world.server.store.get(Ref("training-job", name))
            assert (job.owner, job.status) == (None, "InProgress")

    play(scene, tmp_path)


def test_names_of_children_fit_and_differ_between_owners(tmp_path):
    clock = Server(tmp_path).clock
    first, second = (batches.a_batch(clock, "n" * 63, 1) for _ in range(2))
    assert batches.job_names(first) == batches.job_names(first) != batches.job_names(second)
    assert {len(name) for name in batches.job_names(first)} == {63}


@pytest.mark.parametrize("seed", range(4))
def test_a_parent_of_50_that_is_killed_anywhere_launches_each_child_once(tmp_path, seed):
    async def scene(world: World) -> None:
        dice = random.Random(seed)
        batch = await world.create(50)
        deaths = 0
        while (await world.batch()).status == "InProgress":
            world.points.left = dice.randrange(60)
            with contextlib.suppress(Crash):
                await world.server.work_on_everything()
                for task in sorted(world.server.backend.alive()):
                    world.server.backend.move(task, Phase.EXITED, exit_code=0)
            deaths += world.points.left is None
            world.points.left = None
            world.server.loop = world.server.new_loop()
        assert deaths > 5
        assert list(world.server.backend.launched.values()) == [1] * 50
        owners = {world.server.backend.tasks[task].owner[1] for task in world.server.backend.launched}
        assert owners == set(batches.job_names(batch))
        assert (await world.batch()).status == "Completed"

    play(scene, tmp_path)
