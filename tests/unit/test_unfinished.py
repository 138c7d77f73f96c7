"""What the loop works on at its start, and now and then: what may need a step, not all that ever was."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from clary.control.sweep import sweep
from clary.core.decisions import Family, Seen, Wait
from clary.core.records import Ref
from clary.core.tasks import Phase, TaskState
from clary.resources import FAMILIES
from tests.context import Server, a_training_job
from tests.unit.client import Client
from tests.unit.test_families import NAME, SAMPLES

OWNER = ("", "", "")
JOB = Ref("training-job", "j")


async def a_finished_job(server: Server) -> None:
    await server.call("CreateTrainingJob", **a_training_job("j"))
    await server.settle()
    (task,) = server.backend.tasks
    server.backend.move(task, Phase.EXITED, exit_code=0)
    await server.settle()


def test_a_job_under_way_is_unfinished(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = Server(tmp_path)
        await server.call("CreateTrainingJob", **a_training_job("j"))
        assert await server.new_loop().unfinished() == [JOB]

    asyncio.run(scenario())


def test_a_job_that_has_ended_is_left_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = Server(tmp_path)
        await a_finished_job(server)
        assert await server.new_loop().unfinished() == []

    asyncio.run(scenario())


def test_a_job_that_has_ended_is_worked_on_while_its_task_is_there(tmp_path: Path) -> None:
    """A server may have died between the two."""

    async def scenario() -> None:
        server = Server(tmp_path)
        await server.call("CreateTrainingJob", **a_training_job("j"))
        await server.settle()
        (task,) = server.backend.tasks
        server.backend.move(task, Phase.EXITED, exit_code=0)
        while (await server.store.get(JOB)).status != "Completed":
            await server.loop.reconcile(JOB)
        server.loop = server.new_loop()
        await sweep(server.loop, server.backend)
        await server.settle()
        assert not await server.backend.poll()

    asyncio.run(scenario())


# ---- what holds for every family ----


def reached(family: Family) -> set[str]:
    """The statuses that records reach; AWS has more."""
    return {next(iter(family.transitions)), *itertools.chain(*family.transitions.values())}


IN_EACH_STATUS_BUT_TERMINAL = pytest.mark.parametrize(
    ("family", "status"),
    [
        (family, status)
        for family in FAMILIES
        for status in family.status
        if status not in family.terminal and status in reached(family)
    ],
    ids=lambda value: getattr(value, "kind", value),
)


@IN_EACH_STATUS_BUT_TERMINAL
def test_from_every_status_that_is_not_terminal_some_decision_leads_on(
    family: Family, status: str, tmp_path: Path
) -> None:
    server = Client(tmp_path)
    create, _ = SAMPLES[family.kind]
    create(server)
    server.settle()
    server.force(family.kind, NAME, status=status)
    record = server.record(family.kind, NAME)
    tasks = family.watch(record).tasks
    worlds = [Seen({task: TaskState(phase, owner=OWNER) for task in tasks}) for phase in Phase]
    decisions = [family.decide(record, seen, server.clock.now()) for seen in worlds]
    assert any(not isinstance(decision, Wait) for decision in decisions)
    server.close()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.kind)
def test_a_deletion_that_was_promised_is_kept_by_the_next_server(family: Family, tmp_path: Path) -> None:
    """The server dies after its answer, before the loop took a step."""
    server = Client(tmp_path)
    create, noun = SAMPLES[family.kind]
    create(server)
    server.settle()
    server.move(NAME, Phase.READY if family.kind == "endpoint" else Phase.EXITED, exit_code=0)
    server.call(f"Delete{noun}", {f"{noun}Name": NAME})
    server.server.loop = server.server.new_loop()  # nothing of the old one's queue is left
    for _ in range(3):
        server.run(server.server.work_on_everything())
        server.backend.end_stopped()
    server.run(server.server.work_on_everything())
    assert server.run(server.server.store.count(family.kind)) == {}
    assert not server.backend.states
    server.close()


def test_a_job_that_was_deleted_as_its_task_was_gone_does_not_stay_deleting(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = Server(tmp_path)
        await a_finished_job(server)
        await server.call("DeleteTrainingJob", TrainingJobName="j")
        server.loop = server.new_loop()
        assert await server.loop.unfinished() == [JOB]
        await server.work_on_everything()
        assert await server.store.count("training-job") == {}

    asyncio.run(scenario())
