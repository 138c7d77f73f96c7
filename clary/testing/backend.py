"""The contract of every backend, as tests: subclass BackendContract in a module of your own and give it a `world`.

    class TestMine(BackendContract):
        @pytest.fixture
        def world(self, tmp_path):
            return BackendWorld(...)

The programs are lines for /bin/sh; a replica's is given by the world.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from clary.compute.base import Backend
from clary.core.errors import CapacityError
from clary.core.instances import Machine
from clary.core.tasks import Cause, Phase, PipelineContainer, Resources, Serve, Task, TaskState

OWNER = ("training-job", "job", "a1b2c3")
RUNS_UNTIL_SIGTERM = "trap 'echo stopping; exit 0' TERM; echo up; while true; do sleep 0.05; done"
IGNORES_SIGTERM = "trap '' TERM; echo up; while true; do sleep 0.05; done"

Notify = Callable[[tuple[str, str, str]], None]


@dataclass
class BackendWorld:
    """Where a backend under test works.

    make              a new backend over the same machine, as a restarted server has it
    machine           what its tasks may hold together
    image             an image with /bin/sh
    server            an entrypoint that answers 200 on SAGEMAKER_BIND_TO_PORT, whatever it is asked
    kill_supervisor   the supervisor of a task dies, by SIGKILL
    running           whether anything of a task's program still runs
    """

    make: Callable[[Notify], Backend]
    machine: Machine
    image: str
    server: tuple[str, ...]
    kill_supervisor: Callable[[str], None]
    running: Callable[[str], bool]
    patience_s: float = 30.0
    notified: list[tuple[str, str, str]] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Backend]:
        """A server's life."""
        backend = self.make(self.notified.append)
        await backend.open()
        try:
            yield backend
        finally:
            await backend.close()

    def task(self, script: str, task_id: str = "task-0", **changes: Any) -> Task:
        whole: dict[str, Any] = {
            "id": task_id,
            "owner": OWNER,
            "image": self.image,
            "entrypoint": ("/bin/sh", "-c", script),
            "resources": Resources(0.1),
            "log_stream": f"{task_id}/{{host}}",
            "grace_s": 10.0,
        }
        return Task(**whole | changes)

    async def until(self, backend: Backend, task_id: str, *phases: Phase) -> TaskState:
        """The task's state, once it is in one of these phases."""
        deadline = time.monotonic() + self.patience_s
        while True:
            state = (await backend.poll([task_id])).get(task_id)
            if state is not None and state.phase in phases:
                return state
            assert state is None or not state.phase.over, f"{task_id} ended: {state}"
            assert time.monotonic() < deadline, f"{task_id} is {state}"
            await asyncio.sleep(0.02)

    async def printed(self, backend: Backend, task_id: str, text: str) -> None:
        """Return once a line has been printed."""
        deadline = time.monotonic() + self.patience_s
        while text not in await lines(backend, task_id):
            assert time.monotonic() < deadline, f"{task_id} did not print {text!r}: {await lines(backend, task_id)}"
            await asyncio.sleep(0.02)

    async def eventually(self, condition: Callable[[], bool], failure: str) -> None:
        deadline = time.monotonic() + self.patience_s
        while not condition():
            assert time.monotonic() < deadline, failure
            await asyncio.sleep(0.02)


async def lines(backend: Backend, task_id: str) -> list[str]:
    return [line.text async for line in backend.logs(task_id)]


@pytest.mark.anyio
class BackendContract:
    """The promises of `clary.compute.base.Backend`."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @pytest.fixture
    def world(self) -> BackendWorld:
        raise NotImplementedError("give the contract a world")

    @pytest.fixture(autouse=True)
    async def nothing_left(self, world: BackendWorld) -> AsyncIterator[None]:
        yield
        async with world.serving() as backend:
            for task_id in await backend.poll():
                await backend.forget(task_id)

    async def test_it_has_the_machine_it_was_given(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            assert backend.machine == world.machine

    # launch and poll

    async def test_a_program_runs_to_its_end(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            before = time.time()
            await backend.launch(world.task("echo hello"))
            state = await world.until(backend, "task-0", Phase.EXITED)
            assert (state.exit_code, state.failure, state.cause, state.owner) == (0, "", Cause.NONE, OWNER)
            assert before - 1 <= state.started_at <= state.ended_at <= state.over_at <= time.time() + 1

    async def test_the_exit_code_is_reported(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(world.task("exit 3"))
            state = await world.until(backend, "task-0", Phase.EXITED)
            assert state.exit_code == 3
            assert state.failure.startswith("AlgorithmError")

    async def test_the_program_has_the_environment_of_the_task(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            awkward = "a b'c\"d$e\\f"
            await backend.launch(world.task("printf '%s\\n' \"$AWKWARD\"", environment={"AWKWARD": awkward}))
            await world.until(backend, "task-0", Phase.EXITED)
            assert awkward in await lines(backend, "task-0")

    async def test_launching_twice_runs_once(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            task = world.task("echo once")
            await asyncio.gather(backend.launch(task), backend.launch(task))
            await world.until(backend, "task-0", Phase.EXITED)
            await backend.launch(task)
            assert (await backend.poll(["task-0"]))["task-0"].phase is Phase.EXITED
            assert (await lines(backend, "task-0")).count("once") == 1

    async def test_a_task_that_was_never_launched_is_left_out(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            assert await backend.poll(["unknown"]) == {}
            assert await backend.poll() == {}
            await backend.stop("unknown", 1)
            await backend.forget("unknown")
            assert await lines(backend, "unknown") == []

    async def test_owners_are_notified_of_changes(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(world.task("true"))
            await world.until(backend, "task-0", Phase.EXITED)
            await world.eventually(lambda: OWNER in world.notified, "no owner was notified")
            assert set(world.notified) == {OWNER}

    async def test_a_host_that_fails_stops_the_others(self, world: BackendWorld) -> None:
        script = 'me=$(cat /opt/ml/input/me); echo "I am $me"; [ "$me" = algo-1 ] && sleep 60; exit 7'
        together: dict[str, Any] = {"hosts": ("algo-1", "algo-2"), "host_files": {"input/me": "{host}"}, "grace_s": 0.2}
        async with world.serving() as backend:
            await backend.launch(world.task(script, **together))
            assert (await world.until(backend, "task-0", Phase.EXITED)).exit_code == 7
            # algo-1 may be stopped before it has printed a line.
            assert (await lines(backend, "task-0"))[-1] == "I am algo-2"

    # logs

    async def test_lines_come_back_in_order_host_by_host(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(world.task("echo one; echo two; echo; printf three", hosts=("algo-1", "algo-2")))
            await world.until(backend, "task-0", Phase.EXITED)
            found = [line async for line in backend.logs("task-0")]
            assert [line.text for line in found] == ["one", "two", "", "three"] * 2
            assert all(line.at.tzinfo is not None for line in found)
            assert [line.at for line in found[:4]] == sorted(line.at for line in found[:4])

    async def test_standard_error_is_logged_too(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(world.task("echo out; echo oops >&2"))
            await world.until(backend, "task-0", Phase.EXITED)
            # Which comes first is not promised: an engine copies the two streams one by one.
            assert sorted(await lines(backend, "task-0")) == ["oops", "out"]

    # stop

    async def test_a_stopped_program_may_end_by_itself(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(world.task(RUNS_UNTIL_SIGTERM))
            await world.printed(backend, "task-0", "up")
            await backend.stop("task-0", 30)
            await backend.stop("task-0", 30)
            assert (await world.until(backend, "task-0", Phase.EXITED)).cause is Cause.STOPPED
            assert "stopping" in await lines(backend, "task-0")

    async def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(world.task(IGNORES_SIGTERM))
            await world.printed(backend, "task-0", "up")
            await backend.stop("task-0", 0.2)
            assert (await world.until(backend, "task-0", Phase.EXITED)).cause is Cause.STOPPED
            assert not world.running("task-0")

    async def test_a_stop_right_after_the_launch_is_kept(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(world.task(RUNS_UNTIL_SIGTERM))
            await backend.stop("task-0", 1)
            assert (await world.until(backend, "task-0", Phase.EXITED)).cause is Cause.STOPPED

    async def test_a_waiting_task_that_is_stopped_never_runs(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(self.whole(world, RUNS_UNTIL_SIGTERM, "first"))
            await backend.launch(self.whole(world, "echo ran", "second", queued_at=1))
            await backend.stop("second", 120)
            state = await world.until(backend, "second", Phase.EXITED)
            assert (state.cause, state.exit_code) == (Cause.STOPPED, None)
            await backend.stop("first", 1)
            await world.until(backend, "first", Phase.EXITED)
            assert "ran" not in await lines(backend, "second")

    async def test_stopping_a_task_that_has_ended_changes_nothing(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(world.task("exit 3"))
            before = await world.until(backend, "task-0", Phase.EXITED)
            await backend.stop("task-0", 1)
            assert (await backend.poll(["task-0"]))["task-0"] == before

    async def test_a_time_limit_ends_it(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(world.task(RUNS_UNTIL_SIGTERM, max_runtime_s=0.3))
            assert (await world.until(backend, "task-0", Phase.EXITED)).cause is Cause.TIME_LIMIT

    # forget

    async def test_a_forgotten_task_is_absent_and_its_name_free(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(world.task("exit 1"))
            await world.until(backend, "task-0", Phase.EXITED)
            await backend.forget("task-0")
            await backend.forget("task-0")
            assert await backend.poll(["task-0"]) == {}
            await backend.launch(world.task("exit 2"))
            assert (await world.until(backend, "task-0", Phase.EXITED)).exit_code == 2

    async def test_a_running_task_is_killed_before_it_is_forgotten(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(world.task(IGNORES_SIGTERM))
            await world.printed(backend, "task-0", "up")
            await backend.forget("task-0")
            assert await backend.poll() == {}
            await world.eventually(lambda: not world.running("task-0"), "it still runs")

    # restarts and deaths

    async def test_a_new_server_adopts_everything(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(world.task("exit 3", "over"))
            over = await world.until(backend, "over", Phase.EXITED)
            await backend.launch(self.whole(world, RUNS_UNTIL_SIGTERM, "runs"))
            await world.printed(backend, "runs", "up")
            await backend.launch(self.whole(world, "echo ran", "waits", queued_at=1))
        async with world.serving() as backend:
            states = await backend.poll()
            assert {task_id: state.phase for task_id, state in states.items()} == {
                "over": Phase.EXITED,
                "runs": Phase.RUNNING,
                "waits": Phase.PENDING,
            }
            assert states["over"] == over
            await backend.stop("runs", 30)
            assert (await world.until(backend, "runs", Phase.EXITED)).cause is Cause.STOPPED
            assert (await world.until(backend, "waits", Phase.EXITED)).exit_code == 0
            assert "ran" in await lines(backend, "waits")

    async def test_a_task_goes_on_while_no_server_runs(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(world.task("sleep 0.5; exit 4"))
        async with world.serving() as backend:
            assert (await world.until(backend, "task-0", Phase.EXITED)).exit_code == 4

    async def test_a_task_whose_supervisor_was_killed_is_lost(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(world.task(IGNORES_SIGTERM))
            await world.printed(backend, "task-0", "up")
            world.kill_supervisor("task-0")
            state = await world.until(backend, "task-0", Phase.LOST)
            assert state.owner == OWNER
            await backend.forget("task-0")
            assert await backend.poll() == {}
            await world.eventually(lambda: not world.running("task-0"), "it still runs")

    # capacity

    async def test_tasks_wait_for_room_and_start_in_order(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(self.whole(world, RUNS_UNTIL_SIGTERM, "first"))
            await world.printed(backend, "first", "up")
            for task_id, queued_at in (("third", 3.0), ("second", 2.0)):
                await backend.launch(self.whole(world, RUNS_UNTIL_SIGTERM, task_id, queued_at=queued_at))
            for ends, starts, waits in (("first", "second", "third"), ("second", "third", "")):
                assert (await backend.poll([starts]))[starts].phase is Phase.PENDING
                await backend.stop(ends, 30)
                await world.printed(backend, starts, "up")
                assert not waits or (await backend.poll([waits]))[waits].phase is Phase.PENDING

    async def test_a_task_that_asks_for_more_than_there_is_gets_all_there_is(self, world: BackendWorld) -> None:
        more = Resources(world.machine.cpus * 10, world.machine.memory_mib * 10)
        async with world.serving() as backend:
            await backend.launch(world.task("true", resources=more))
            assert (await world.until(backend, "task-0", Phase.EXITED)).exit_code == 0

    async def test_a_gpu_that_is_not_there_is_a_capacity_error(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            with pytest.raises(CapacityError):
                await backend.launch(world.task("true", resources=Resources(gpus=world.machine.gpus + 1)))
            with pytest.raises(CapacityError):
                await backend.launch(world.task("true", resources=Resources(gpus=1, accelerator="trainium")))
            assert await backend.poll() == {}

    # replicas

    async def test_a_replica_answers_at_its_address(self, world: BackendWorld) -> None:
        async with world.serving() as backend:
            await backend.launch(self.replica(world, "first"))
            await backend.launch(self.replica(world, "second"))
            addresses = [(await world.until(backend, task_id, Phase.READY)).address for task_id in ("first", "second")]
            assert len(set(addresses)) == 2
            for address in addresses:
                assert await asyncio.to_thread(status, f"{address}/ping") == 200
        async with world.serving() as backend:
            assert (await backend.poll(["first"]))["first"].address == addresses[0]
            for task_id in ("first", "second"):
                await backend.stop(task_id, 1)
            for task_id in ("first", "second"):
                assert (await world.until(backend, task_id, Phase.EXITED)).cause is Cause.STOPPED
            assert await asyncio.to_thread(status, f"{addresses[0]}/ping") == 0

    async def test_every_container_of_a_pipeline_answers_at_its_own_address(self, world: BackendWorld) -> None:
        names = ("first", "second")
        links = {name: PipelineContainer(world.image, {"NAME": name}) for name in names}
        task = dataclasses.replace(self.replica(world, "task-0"), hosts=names, pipeline=links)
        async with world.serving() as backend:
            await backend.launch(task)
            state = await world.until(backend, "task-0", Phase.READY)
            assert len({state.address, *state.pipeline_addresses}) == 2
            for address in (state.address, *state.pipeline_addresses):
                assert await asyncio.to_thread(status, f"{address}/ping") == 200
            await backend.stop("task-0", 1)
            state = await world.until(backend, "task-0", Phase.EXITED)
            assert (state.cause, state.address, state.pipeline_addresses) == (Cause.STOPPED, "", ())
            await world.eventually(lambda: not world.running("task-0"), "it still runs")

    async def test_a_replica_that_never_answers_fails(self, world: BackendWorld) -> None:
        never = world.task(
            IGNORES_SIGTERM, serve=Serve(startup_timeout_s=0.5, ping_interval_s=0.1, ping_timeout_s=0.2), grace_s=0.2
        )
        async with world.serving() as backend:
            await backend.launch(never)
            assert (await world.until(backend, "task-0", Phase.EXITED)).failure

    def whole(self, world: BackendWorld, script: str, task_id: str, **changes: Any) -> Task:
        """A task that wants the machine for itself."""
        return world.task(script, task_id, resources=Resources(world.machine.cpus), **changes)

    def replica(self, world: BackendWorld, task_id: str) -> Task:
        serve = Serve(startup_timeout_s=20, ping_interval_s=0.1)
        return world.task("", task_id, entrypoint=world.server, serve=serve, command="serve")


def status(url: str) -> int:
    """The status a URL answers with, 0 where there is no answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
