"""Records that own others: children are created once, seen, and wake their owner when they move."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from clary.core.errors import RecordMissing
from clary.core.records import Ref
from clary.core.tasks import Phase
from tests import batches
from tests.context import Server, a_training_job
from tests.crashes import MortalServer

BATCH = Ref(batches.KIND, "b")


def run_scenario(scenario: Callable[[MortalServer], Awaitable[None]], folder: Path) -> None:
    async def run() -> None:
        await scenario(MortalServer(folder))

    asyncio.run(run())


def test_children_that_end_wake_their_owner(tmp_path):
    async def scenario(mortal: MortalServer) -> None:
        batch = await mortal.create(3)
        await mortal.server.settle()
        assert (await mortal.batch()).status == "InProgress"
        for task in list(mortal.server.backend.tasks):
            mortal.server.backend.move(task, Phase.EXITED, exit_code=0)
        await mortal.server.settle()
        assert (await mortal.batch()).status == "Completed"
        job = await mortal.server.store.get(Ref("training-job", batches.job_names(batch)[0]))
        assert (job.owner, job.owner_uid) == (BATCH, batch.uid)
        first, *_ = await mortal.server.store.history(job)
        assert first.status == "Starting"

    run_scenario(scenario, tmp_path)


@pytest.mark.parametrize("verb", ["Stop", "Delete"])
def test_an_operation_on_a_child_wakes_its_owner(tmp_path, verb):
    async def scenario(mortal: MortalServer) -> None:
        batch = await mortal.create(1)
        await mortal.server.settle()
        (task,) = mortal.server.backend.tasks
        if verb == "Delete":
            mortal.server.backend.move(task, Phase.EXITED, exit_code=0)
            await mortal.server.settle()
        woken: list[Ref] = []
        mortal.server.changes.subscribe(woken.append)
        await mortal.server.call(f"{verb}TrainingJob", TrainingJobName=batches.job_names(batch)[0])
        assert woken[-1] == BATCH

    run_scenario(scenario, tmp_path)


def test_a_name_that_another_has_is_seen_as_a_refusal(tmp_path):
    async def scenario(mortal: MortalServer) -> None:
        batch = batches.a_batch(mortal.server.clock, "b", 1)
        (name,) = batches.job_names(batch)
        await mortal.server.call("CreateTrainingJob", **a_training_job(name))
        await mortal.server.store.create(batch)
        await mortal.server.settle()
        found = await mortal.batch()
        assert found.status == "Failed"
        assert found.reason == f"ClientError: training-job/{name} exists already, and does not belong to batch/b"

    run_scenario(scenario, tmp_path)


def test_a_request_that_does_not_fit_is_seen_as_a_refusal(tmp_path):
    async def scenario(mortal: MortalServer) -> None:
        await mortal.create(1, Tags=[{"Key": "aws:x", "Value": ""}])
        await mortal.server.settle()
        found = await mortal.batch()
        assert found.status == "Failed"
        assert found.reason.startswith("ClientError: Tag key 'aws:x' is invalid")

    run_scenario(scenario, tmp_path)


def test_children_outlive_an_owner_that_releases_them(tmp_path):
    async def scenario(mortal: MortalServer) -> None:
        batch = await mortal.create(2)
        await mortal.server.settle()
        await batches.delete(mortal.server.store, "b")
        await mortal.server.settle()
        with pytest.raises(RecordMissing):
            await mortal.batch()
        for name in batches.job_names(batch):
            job = await mortal.server.store.get(Ref("training-job", name))
            assert (job.owner, job.status) == (None, "InProgress")

    run_scenario(scenario, tmp_path)


def test_names_of_children_fit_and_differ_between_owners(tmp_path):
    clock = Server(tmp_path).clock
    first, second = (batches.a_batch(clock, "n" * 63, 1) for _ in range(2))
    assert batches.job_names(first) == batches.job_names(first) != batches.job_names(second)
    assert {len(name) for name in batches.job_names(first)} == {63}
