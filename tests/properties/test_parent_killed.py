"""A parent with many children, whose server dies again and again: each child is launched once."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from clary.core.tasks import Phase
from tests import batches
from tests.crashes import Crash, MortalServer


@pytest.mark.parametrize("seed", range(2))
def test_a_parent_of_50_that_is_killed_anywhere_launches_each_child_once(tmp_path, seed):
    async def scenario(mortal: MortalServer) -> None:
        dice = random.Random(seed)
        batch = await mortal.create(50)
        deaths = 0
        while (await mortal.batch()).status == "InProgress":
            mortal.points.left = dice.randrange(60)
            with contextlib.suppress(Crash):
                await mortal.server.work_on_everything()
                for task in sorted(mortal.server.backend.alive()):
                    mortal.server.backend.move(task, Phase.EXITED, exit_code=0)
            deaths += mortal.points.left is None
            mortal.points.left = None
            mortal.server.loop = mortal.server.new_loop()
        assert deaths > 5
        assert list(mortal.server.backend.launched.values()) == [1] * 50
        owners = {mortal.server.backend.tasks[task].owner[1] for task in mortal.server.backend.launched}
        assert owners == set(batches.job_names(batch))
        assert (await mortal.batch()).status == "Completed"

    asyncio.run(scenario(MortalServer(tmp_path)))
