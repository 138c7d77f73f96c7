"""Two servers with homes of their own on one database: who works on a record, and how tasks elsewhere are seen."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from clary.core.errors import CapacityError
from clary.core.records import Record, Ref
from clary.core.tasks import Phase, Task
from clary.store.memory import MemoryStore
from tests.context import Server, a_config, a_model, a_training_job

JOB = Ref("training-job", "j")
ENDPOINT = Ref("endpoint", "e")


class Pair:
    """Server a holds the control lease; both nodes are alive."""

    def __init__(self, folder: Path) -> None:
        store = MemoryStore()
        self.a, self.b = (Server(folder / node, store, node=node) for node in "ab")
        self.a.leases.alive = {"b"}
        self.b.leases.alive = {"a"}
        self.b.leases.has_control = False

    def end_lease_of_a(self) -> None:
        self.b.leases.alive = set()
        self.b.leases.has_control = True
        self.a.leases.may_act = self.a.leases.has_control = False

    def start_a_again(self) -> None:
        self.b.leases.alive = {"a"}
        self.a.leases.may_act = True
        self.a.loop = self.a.new_loop()

    async def record(self, ref: Ref = JOB) -> Record:
        return await self.a.store.get(ref)


def run_scenario(scenario: Callable[[Pair], Awaitable[None]], folder: Path) -> None:
    async def run() -> None:
        await scenario(Pair(folder))

    asyncio.run(run())


async def a_job_on_a(pair: Pair, **members: object) -> str:
    """A job whose task runs on a; the task's id."""
    await pair.b.call("CreateTrainingJob", **a_training_job("j", **members))
    await pair.b.work_on_everything()
    await pair.a.work_on_everything()
    (task,) = pair.a.backend.tasks
    pair.a.backend.move(task, Phase.RUNNING)
    await pair.a.settle()
    return task


def test_a_task_is_placed_before_it_is_launched(tmp_path):
    async def scenario(pair: Pair) -> None:
        await pair.a.call("CreateTrainingJob", **a_training_job("j"))
        launch = pair.a.backend.launch
        seen: list[Record] = []

        async def record_first(task: Task) -> None:
            seen.append(await pair.record())
            await launch(task)

        pair.a.backend.launch = record_first
        await pair.a.settle()
        (task,) = pair.a.backend.tasks
        assert [(record.node, record.placements) for record in seen] == [("a", {task: "a"})]

    run_scenario(scenario, tmp_path)


def test_a_record_of_no_node_is_left_to_the_holder_of_the_control_lease(tmp_path):
    async def scenario(pair: Pair) -> None:
        await pair.b.call("CreateTrainingJob", **a_training_job("j"))
        await pair.b.work_on_everything()
        assert (await pair.record()).node == ""
        assert not pair.b.backend.tasks
        await pair.a.work_on_everything()
        assert (await pair.record()).node == "a"

    run_scenario(scenario, tmp_path)


def test_a_job_elsewhere_is_left_alone_whoever_holds_the_control_lease(tmp_path):
    async def scenario(pair: Pair) -> None:
        task = await a_job_on_a(pair)
        pair.a.leases.has_control, pair.b.leases.has_control = False, True
        before = await pair.record()
        await pair.b.work_on_everything()
        assert await pair.record() == before
        pair.a.backend.move(task, Phase.EXITED, exit_code=0)
        await pair.a.settle()
        assert (await pair.record()).status == "Completed", "its own server needs no control lease"
        assert not pair.b.backend.launched

    run_scenario(scenario, tmp_path)


def test_a_job_on_a_node_that_is_gone_is_lost_and_not_launched_again(tmp_path):
    async def scenario(pair: Pair) -> None:
        task = await a_job_on_a(pair)
        pair.end_lease_of_a()
        await pair.b.work_on_everything()
        job = await pair.record()
        assert (job.node, job.status) == ("b", "Failed")
        assert job.reason.startswith("InternalServerError: the server that this ran on")
        assert not pair.b.backend.launched
        assert pair.a.backend.alive() == {task}, "it may still run where nobody can reach it"
        pair.start_a_again()
        await pair.a.work_on_everything()
        assert not pair.a.backend.alive(), "until that server is back"
        assert await pair.record() == job

    run_scenario(scenario, tmp_path)


def test_a_job_that_may_be_retried_begins_anew_where_it_was_taken_over(tmp_path):
    async def scenario(pair: Pair) -> None:
        first = await a_job_on_a(pair, RetryStrategy={"MaximumRetryAttempts": 1})
        pair.end_lease_of_a()
        await pair.b.work_on_everything()
        (second,) = pair.b.backend.tasks
        job = await pair.record()
        assert second != first
        assert (job.status, job.node, job.placements) == ("InProgress", "b", {second: "b"})
        pair.start_a_again()
        await pair.a.work_on_everything()
        assert not pair.a.backend.states
        pair.b.backend.move(second, Phase.EXITED, exit_code=0)
        await pair.b.settle()
        assert (await pair.record()).status == "Completed"

    run_scenario(scenario, tmp_path)


def test_a_job_that_was_placed_and_not_launched_is_lost_too(tmp_path):
    """The server died between the two: nobody else can know that it did."""

    async def scenario(pair: Pair) -> None:
        await pair.a.call("CreateTrainingJob", **a_training_job("j"))
        pair.a.leases.may_act = False
        await pair.a.settle()
        assert (await pair.record()).node == "a"
        assert not pair.a.backend.launched
        pair.end_lease_of_a()
        await pair.b.work_on_everything()
        assert (await pair.record()).status == "Failed"

    run_scenario(scenario, tmp_path)


def test_a_node_that_is_back_in_time_goes_on_where_it_was(tmp_path):
    async def scenario(pair: Pair) -> None:
        await pair.a.call("CreateTrainingJob", **a_training_job("j"))
        pair.a.leases.may_act = False  # it dies after it wrote the placement
        await pair.a.settle()
        await pair.b.work_on_everything()
        pair.start_a_again()
        await pair.a.work_on_everything()
        assert list(pair.a.backend.launched.values()) == [1]

    run_scenario(scenario, tmp_path)


def test_an_endpoint_moves_to_the_server_that_takes_it_over(tmp_path):
    async def scenario(pair: Pair) -> None:
        await pair.a.call("CreateModel", **a_model("m"))
        await pair.a.call("CreateEndpointConfig", **a_config("c", "m"))
        await pair.a.call("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
        await in_service(pair, pair.a)
        pair.end_lease_of_a()
        await in_service(pair, pair.b)
        endpoint = await pair.record(ENDPOINT)
        assert endpoint.node == "b"
        assert set(endpoint.placements.values()) == {"b"}
        pair.start_a_again()
        await pair.a.work_on_everything()
        assert not pair.a.backend.states
        assert [len(server.world.routes()) for server in (pair.a, pair.b)] == [0, 1], "its gateway forgets it"

    async def in_service(pair: Pair, server: Server) -> None:
        for _ in range(3):
            await server.work_on_everything()
            for task in server.backend.alive():
                server.backend.move(task, Phase.READY)
        await server.settle()
        assert (await pair.record(ENDPOINT)).status == "InService"

    run_scenario(scenario, tmp_path)


def test_a_deleted_job_of_a_node_that_is_gone_is_erased(tmp_path):
    async def scenario(pair: Pair) -> None:
        task = await a_job_on_a(pair)
        pair.a.backend.move(task, Phase.EXITED, exit_code=0)
        await pair.a.settle()
        await pair.b.call("DeleteTrainingJob", TrainingJobName="j")
        pair.end_lease_of_a()
        await pair.b.work_on_everything()
        assert (await pair.b.store.count("training-job")) == {}

    run_scenario(scenario, tmp_path)


def test_a_task_that_an_earlier_version_launched_is_this_nodes(tmp_path):
    async def scenario(pair: Pair) -> None:
        task = await a_job_on_a(pair)
        job = await pair.record()
        await pair.a.store.replace(job, dataclasses.replace(job, node="", placements={}))
        pair.a.leases.has_control = False
        await pair.a.work_on_everything()
        job = await pair.record()
        assert (job.node, job.placements) == ("a", {task: "a"})
        assert pair.a.backend.launched == {task: 1}

    run_scenario(scenario, tmp_path)


@pytest.mark.parametrize("refusal", [None, CapacityError("ml.p4d.24xlarge: there is no gpu")])
def test_placements_and_refusals_do_not_pile_up(tmp_path, refusal):
    async def scenario(pair: Pair) -> None:
        await pair.a.call("CreateModel", **a_model("m"))
        await pair.a.call("CreateEndpointConfig", **a_config("c", "m"))
        await pair.a.call("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
        await pair.a.settle()
        pair.a.backend.move(next(iter(pair.a.backend.alive())), Phase.READY)
        await pair.a.settle()
        pair.a.backend.refuse = refusal
        for _ in range(8):
            for task in pair.a.backend.alive():
                pair.a.backend.move(task, Phase.EXITED, exit_code=1)
            await pair.a.settle()
            pair.a.clock.advance(70)
            await pair.a.work_on_everything()
        endpoint = await pair.record(ENDPOINT)
        watched = set(pair.a.families["endpoint"].watch(endpoint).tasks)
        assert len(endpoint.placements) <= len(watched) + 2
        assert set(endpoint.refusals) <= watched

    run_scenario(scenario, tmp_path)
