"""Tasks that no record has any more, and those of a record."""

from __future__ import annotations

import asyncio

from clary.control.sweep import sweep
from clary.core.records import Ref
from clary.core.tasks import Phase, Task, TaskState
from tests.context import Server, a_training_job


def test_a_task_without_its_record_is_forgotten_and_a_record_with_a_task_is_worked_on(tmp_path):
    async def scenario() -> None:
        server = Server(tmp_path)
        await server.call("CreateTrainingJob", **a_training_job("mine"))
        await server.settle()
        (own,) = server.backend.tasks
        for owner in (("training-job", "gone", "u1"), ("training-job", "mine", "of-an-earlier-job")):
            task = Task(id="-".join(owner), owner=owner, image="clary/xgboost")
            await server.backend.launch(task)
        server.backend.report("unreadable", TaskState(Phase.LOST))
        server.loop = server.new_loop()

        await sweep(server.loop, server.backend)

        assert set(server.backend.states) == {own, "unreadable"}
        assert await server.loop.queue.get() == Ref("training-job", "mine")

    asyncio.run(scenario())
