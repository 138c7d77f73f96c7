"""What the loop goes through at its start, and now and then: what may need a step, not all that ever was."""

from __future__ import annotations

import asyncio
from pathlib import Path

from clary.control.sweep import sweep
from clary.core.records import Ref
from clary.core.tasks import Phase
from tests.context import Server, a_training_job

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


def test_a_job_that_has_ended_is_looked_at_while_its_task_is_there(tmp_path: Path) -> None:
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
