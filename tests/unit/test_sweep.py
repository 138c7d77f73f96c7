"""Tasks nobody owns any more, and those that somebody does."""

from __future__ import annotations

import asyncio

from clary.control.sweep import sweep
from clary.core.records import Ref
from clary.core.tasks import Phase, Task, TaskState
from tests.context import Server, a_training_job


def test_a_task_is_forgotten_when_its_record_is_gone_or_another_and_its_owner_looked_at_when_not(tmp_path):
    async def story() -> None:
        server = Server(tmp_path)
        await server.call("CreateTrainingJob", **a_training_job("mine"))
        await server.settle()
        (own,) = server.backend.tasks
        for owner in (("training-job", "gone", "u1"), ("training-job", "mine", "of-an-earlier-job")):
            task = Task(id="-".join(owner), owner=owner, image="clary/xgboost")
            await server.backend.launch(task)
        server.backend.say("unreadable", TaskState(Phase.LOST))
        server.loop = server.new_loop()

        await sweep(server.loop, server.backend)

        assert set(server.backend.states) == {own, "unreadable"}
        assert await server.loop.queue.get() == Ref("training-job", "mine")

    asyncio.run(story())
