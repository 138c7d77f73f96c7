"""Two servers with homes of their own on one database die, are cut off and come back: no task is launched twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clary.core.tasks import Phase
from clary.resources import FAMILIES
from clary.resources.jobs.status import FINISHED
from clary.store.base import Query
from tests import batches
from tests.context import Server, a_training_job
from tests.crashes import Crash, CrashPoints, DyingStore, DyingWorld

RETRIES = 2
SERVERS = st.sampled_from([0, 1])


class Nodes(RuleBasedStateMachine):
    """`cut_off` servers have lost the leases of their nodes; their tasks go on all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.events = asyncio.new_event_loop()
        self.points = CrashPoints()
        store = DyingStore(self.points)
        self.servers = [
            Server(self.folder / node, store, [*FAMILIES, batches.FAMILY], node=node) for node in ("node-a", "node-b")
        ]
        for server in self.servers:
            world = server.new_world(DyingWorld)
            world.points = self.points
            server.world = world
            server.loop = server.new_loop()
        self.controlling = 0
        self.cut_off: set[int] = set()
        self.jobs: set[str] = set()
        self.grant_leases()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.events.run_until_complete(work)

    def grant_leases(self) -> None:
        """As the store would, by what is known of the servers."""
        alive = {0, 1} - self.cut_off
        if self.controlling in self.cut_off and alive:
            self.controlling = min(alive)
        for number, server in enumerate(self.servers):
            server.leases.may_act = number in alive
            server.leases.has_control = number in alive and number == self.controlling
            server.leases.alive = {self.servers[other].leases.node for other in alive - {number}}

    # ---- the caller: any server takes a request ----

    @rule(number=SERVERS)
    def create_job(self, number: int) -> None:
        name = f"j{len(self.jobs)}"
        retry = {"RetryStrategy": {"MaximumRetryAttempts": RETRIES}} if len(self.jobs) % 2 else {}
        self.run(self.servers[number].call("CreateTrainingJob", **a_training_job(name, **retry)))
        self.jobs.add(name)

    @rule(number=SERVERS, count=st.integers(1, 3))
    def create_batch(self, number: int, count: int) -> None:
        server = self.servers[number]
        batch = batches.a_batch(server.clock, f"b{len(self.jobs)}", count)
        self.run(server.store.create(batch))
        self.jobs |= set(batches.job_names(batch))

    # ---- what happens to servers and tasks ----

    @rule(number=SERVERS)
    def work(self, number: int) -> None:
        if number not in self.cut_off:
            self.run(self.servers[number].work_on_everything())

    @rule(number=SERVERS, steps=st.integers(0, 15))
    def work_and_die(self, number: int, steps: int) -> None:
        """Started again at once, and so with the leases it had."""
        if number not in self.cut_off:
            self.points.left = steps
            with contextlib.suppress(Crash):
                self.run(self.servers[number].work_on_everything())
            self.points.left = None
            self.servers[number].loop = self.servers[number].new_loop()

    @rule(number=SERVERS)
    def lease_ends(self, number: int) -> None:
        if not self.cut_off:
            self.cut_off.add(number)
            self.grant_leases()

    @rule()
    def it_is_back(self) -> None:
        for number in self.cut_off:
            self.servers[number].loop = self.servers[number].new_loop()
        self.cut_off.clear()
        self.grant_leases()

    @rule()
    def control_changes_hands(self) -> None:
        if not self.cut_off:
            self.controlling = 1 - self.controlling
            self.grant_leases()

    @rule(number=SERVERS, phase=st.sampled_from([Phase.RUNNING, Phase.EXITED, Phase.LOST]), data=st.data())
    def something_happens_to_a_task(self, number: int, phase: Phase, data: st.DataObject) -> None:
        backend = self.servers[number].backend
        if alive := sorted(backend.alive()):
            task = data.draw(st.sampled_from(alive))
            backend.move(task, phase, exit_code=0 if phase is Phase.EXITED else None)

    # ---- what must hold ----

    @invariant()
    def no_task_is_launched_twice(self) -> None:
        launched = [
            task for server in self.servers for task, count in server.backend.launched.items() for _ in range(count)
        ]
        assert len(launched) == len(set(launched))

    def teardown(self) -> None:
        try:
            self.all_jobs_end()
        finally:
            self.events.close()
            shutil.rmtree(self.folder)

    def all_jobs_end(self) -> None:
        self.it_is_back()
        for _ in range(3 + RETRIES):
            for server in self.servers:
                self.run(server.work_on_everything())
                server.backend.end_stopped()
                for task in sorted(server.backend.alive()):
                    server.backend.move(task, Phase.EXITED, exit_code=0)
                server.clock.advance(70)
                self.run(server.settle())
        store = self.servers[0].store
        listed = self.run(store.list(Query("training-job", limit=1000))).records
        assert {job.name for job in listed} == self.jobs
        for job in listed:
            assert job.status in FINISHED
            assert job.status == "Completed" or job.reason.startswith("InternalServerError"), job
        assert set(self.run(store.count(batches.KIND))) <= {"Completed"}
        for server in self.servers:
            assert not server.backend.states, "nothing is left anywhere"


Nodes.TestCase.settings = settings(
    max_examples=int(os.environ.get("CLARY_HISTORIES", "60")),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestNodesSurviveCrashes = Nodes.TestCase
