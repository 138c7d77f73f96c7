"""The supervised backend where supervisors die, servers restart, disks are full and callers are hostile.

The supervisor is the double of clary.testing: what happens is done by the backend alone.
"""

import asyncio
import contextlib
import dataclasses
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
import uvloop

from clary.compute import folder as folders
from clary.compute import supervised
from clary.compute.plan import Platform, Process
from clary.compute.supervised import SupervisedBackend
from clary.core.errors import CapacityError, LaunchError
from clary.core.instances import Machine
from clary.core.tasks import Cause, Phase, Resources, Serve, Task

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
OWNER = ("training-job", "t", "u1")
NOTHING = Process(("true",), "python3", {}, "none")


class World:
    """A home, and servers that come and go over it."""

    def __init__(self, home):
        self.home = home
        self.tasks = home / "tasks"
        self.notified = []
        self.resolved = []
        self.machine = Machine(cpus=2, memory_mib=4096, gpus=2)
        self.platform = Platform(
            **dict.fromkeys((field.name for field in dataclasses.fields(Platform)), "")
            | {"logs": str(home / "logs"), "events_socket": str(home / "run" / "events.sock")}
        )

    @asynccontextmanager
    async def server(self, check_every_s=0.05, **changes):
        async def resolve(task):
            self.resolved.append(task.id)
            return NOTHING

        backend = SupervisedBackend(
            self.tasks,
            self.platform,
            self.notified.append,
            changes.pop("resolve", resolve),
            self.machine,
            supervisor=changes.pop("supervisor", "clary.testing.supervisor"),
            check_every_s=check_every_s,
            **changes,
        )
        await backend.open()
        try:
            yield backend
        finally:
            await backend.close()


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    for folder in folders.folders(world.tasks):
        while folder.alive():  # a supervisor that has not written its pid yet soon will
            if pid := folder.supervisor():
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        if pid := folder.supervisor():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def a_task(
    task_id="t-0", behavior="wait", queued_at=0.0, serve=None, cpus=1.0, gpus=0, hosts=("algo-1",), **environment
):
    return Task(
        id=task_id,
        owner=OWNER,
        image="clary/xgboost",
        environment={"BEHAVIOR": behavior, **environment},
        hosts=hosts,
        resources=Resources(cpus, 0, gpus),
        queued_at=queued_at,
        serve=serve,
    )


async def until(backend, task_id, *phases):
    """The state, once it is in one of these phases."""
    deadline = time.monotonic() + 20
    while True:
        state = (await backend.poll([task_id])).get(task_id)
        if state is not None and state.phase in phases:
            return state
        assert time.monotonic() < deadline, f"{task_id} is {state}"
        await asyncio.sleep(0.01)


async def test_a_launched_task_runs_and_notifies(world):
    async with world.server(check_every_s=60) as backend:
        await backend.launch(a_task(behavior="exit", EXIT_CODE="3"))
        state = await until(backend, "t-0", Phase.EXITED)
        assert (state.exit_code, state.owner) == (3, OWNER)
        assert set(world.notified) == {OWNER}
        assert (world.tasks / "t-0" / "plan.json").stat().st_mode & 0o777 == 0o600


async def test_launching_twice_starts_once(world):
    async with world.server() as backend:
        await asyncio.gather(*(backend.launch(a_task()) for _ in range(5)))
        await until(backend, "t-0", Phase.RUNNING)
        pid = folders.TaskFolder(world.tasks / "t-0").supervisor()
        await backend.launch(a_task(behavior="exit"))
        assert folders.TaskFolder(world.tasks / "t-0").supervisor() == pid
        assert (await backend.poll())["t-0"].phase is Phase.RUNNING


async def test_an_ended_supervisor_is_reaped(world):
    async with world.server() as backend:
        await backend.launch(a_task(behavior="exit"))
        await until(backend, "t-0", Phase.EXITED)
        await has_ended(folders.TaskFolder(world.tasks / "t-0").supervisor())


async def has_ended(pid):
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid):
        assert time.monotonic() < deadline, f"process {pid} is {psutil.Process(pid).status()}"
        await asyncio.sleep(0.01)


async def test_a_killed_supervisor_is_a_lost_task(world):
    async with world.server(check_every_s=60) as backend:
        await backend.launch(a_task())
        await until(backend, "t-0", Phase.RUNNING)
        world.notified.clear()
        os.kill(folders.TaskFolder(world.tasks / "t-0").supervisor(), signal.SIGKILL)
        state = await until(backend, "t-0", Phase.LOST)
        assert state.failure.startswith("InternalServerError: ")
        assert state.owner == OWNER
        await notified(world)  # by its pidfd: the next check is a minute away


async def notified(world):
    deadline = time.monotonic() + 10
    while not world.notified:
        assert time.monotonic() < deadline, "no owner was notified"
        await asyncio.sleep(0.01)


async def test_a_supervisor_that_dies_at_once_is_lost_with_the_last_line_it_printed(world):
    async with world.server() as backend:
        await backend.launch(a_task(behavior="die"))
        assert "dies, as BEHAVIOR requires" in (await until(backend, "t-0", Phase.LOST)).failure


async def test_a_task_whose_supervisor_module_does_not_exist_is_lost(world):
    async with world.server(supervisor="clary.no_such_module") as backend:
        await backend.launch(a_task())
        assert "no_such_module" in (await until(backend, "t-0", Phase.LOST)).failure


async def test_the_next_server_knows_every_task(world):
    async with world.server() as backend:
        await backend.launch(a_task("runs", cpus=2))
        await backend.launch(a_task("waits", queued_at=1, cpus=2))
        await until(backend, "runs", Phase.RUNNING)
    async with world.server() as backend:
        phases = {task_id: state.phase for task_id, state in (await backend.poll()).items()}
        assert phases == {"runs": Phase.RUNNING, "waits": Phase.PENDING}
        await backend.stop("runs", 1)
        await until(backend, "waits", Phase.RUNNING)


async def test_a_task_that_ended_while_no_server_ran_makes_room(world):
    async with world.server() as backend:
        await backend.launch(a_task("runs", cpus=2))
        await backend.launch(a_task("waits", queued_at=1, cpus=2))
        await until(backend, "runs", Phase.RUNNING)
    pid = folders.TaskFolder(world.tasks / "runs").supervisor()
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    async with world.server() as backend:
        await until(backend, "waits", Phase.RUNNING)
        assert (await backend.poll(["runs"]))["runs"].phase is Phase.EXITED


async def test_the_death_of_an_earlier_servers_supervisor_is_noticed(world):
    async with world.server() as backend:
        await backend.launch(a_task())
        await until(backend, "t-0", Phase.RUNNING)
    async with world.server(check_every_s=60) as backend:
        await notified(world)
        world.notified.clear()
        os.kill(folders.TaskFolder(world.tasks / "t-0").supervisor(), signal.SIGKILL)
        await notified(world)
        assert (await backend.poll())["t-0"].phase is Phase.LOST


async def test_waiting_tasks_start_in_the_order_they_came(world):
    async with world.server() as backend:
        await backend.launch(a_task("first", cpus=2))
        for task_id, queued_at in (("c", 3.0), ("b", 2.0), ("a", 2.0)):
            await backend.launch(a_task(task_id, queued_at=queued_at, cpus=2))
        for ends, starts in (("first", "a"), ("a", "b"), ("b", "c")):
            assert (await until(backend, starts, Phase.PENDING)).owner == OWNER
            await backend.stop(ends, 1)
            await until(backend, starts, Phase.RUNNING)


async def test_a_task_that_came_first_starts_first_also_where_its_launch_takes_longer(world):
    ready = asyncio.Event()

    async def resolve(task):
        if task.id == "t-early":
            await ready.wait()
        return NOTHING

    async with world.server(resolve=resolve) as backend:
        early = asyncio.create_task(backend.launch(a_task("t-early", queued_at=1.0, cpus=2.0)))
        await asyncio.sleep(0)
        await backend.launch(a_task("t-late", queued_at=2.0, cpus=2.0))
        assert (await backend.poll(["t-late"]))["t-late"].phase is Phase.PENDING
        ready.set()
        await early
        await until(backend, "t-early", Phase.RUNNING)
        assert (await backend.poll(["t-late"]))["t-late"].phase is Phase.PENDING


async def test_a_launch_that_takes_long_does_not_delay_others(world, monkeypatch):
    monkeypatch.setattr(supervised, "_ARRIVES_WITHIN_S", 0.1)
    ready = asyncio.Event()

    async def resolve(task):
        if task.id == "t-early":
            await ready.wait()
        return NOTHING

    async with world.server(resolve=resolve) as backend:
        early = asyncio.create_task(backend.launch(a_task("t-early", queued_at=1.0, cpus=2.0)))
        await asyncio.sleep(0)
        await backend.launch(a_task("t-late", queued_at=2.0, cpus=2.0))
        await until(backend, "t-late", Phase.RUNNING)
        ready.set()
        await early
        assert (await backend.poll(["t-early"]))["t-early"].phase is Phase.PENDING


async def test_a_replica_does_not_wait_for_jobs(world):
    async with world.server() as backend:
        await backend.launch(a_task("job", cpus=2))
        await backend.launch(a_task("replica", serve=Serve(), cpus=2))
        assert (await until(backend, "replica", Phase.READY)).address


async def test_gpus_are_written_into_the_plan_and_kept_over_a_restart(world):
    async with world.server() as backend:
        await backend.launch(a_task("a", cpus=0, gpus=1))
        await backend.launch(a_task("b", cpus=0, gpus=1))
        await until(backend, "b", Phase.RUNNING)
    async with world.server() as backend:
        await backend.launch(a_task("c", cpus=0, gpus=1))
        assert (await backend.poll(["c"]))["c"].phase is Phase.PENDING
        await backend.stop("b", 1)
        await until(backend, "c", Phase.RUNNING)
    plans = {task_id: folders.TaskFolder(world.tasks / task_id).plan().gpus for task_id in "abc"}
    assert plans == {"a": (0,), "b": (1,), "c": (1,)}


async def test_a_task_that_can_never_run_leaves_no_folder(world):
    async def refuse(task):
        raise LaunchError("no such image")

    async with world.server(resolve=refuse) as backend:
        with pytest.raises(CapacityError, match="this machine has 2"):
            await backend.launch(a_task(gpus=3))
        with pytest.raises(LaunchError, match="no such image"):
            await backend.launch(a_task())
        assert await backend.poll() == {}
        assert not world.tasks.exists() or not any(world.tasks.iterdir())


@pytest.mark.parametrize(
    "bad", ["", ".", "..", "../t", "/etc/passwd", "a/b", "a\0b", ".hidden", "a" * 300, "-rf", "a\n"]
)
async def test_hostile_ids_reach_nothing(world, bad):
    (world.home / "t").mkdir()
    (world.home / "t" / "task.json").write_text(a_task().to_json())
    async with world.server() as backend:
        with pytest.raises(LaunchError, match="task id"):
            await backend.launch(a_task(bad))
        assert await backend.poll([bad]) == {}
        await backend.stop(bad, 1)
        await backend.forget(bad)
        assert [line async for line in backend.logs(bad)] == []
    assert [path.name for path in (world.home / "t").iterdir()] == ["task.json"]


async def test_stopping_a_waiting_task_ends_it(world):
    async with world.server() as backend:
        await backend.launch(a_task("job", cpus=2))
        await backend.launch(a_task("waits", queued_at=1, cpus=2))
        await backend.stop("waits", 120)
        state = (await backend.poll(["waits"]))["waits"]
        assert (state.phase, state.cause, state.exit_code) == (Phase.EXITED, Cause.STOPPED, None)
        await backend.stop("job", 1)
        await until(backend, "job", Phase.EXITED)
        assert folders.TaskFolder(world.tasks / "waits").supervisor() is None


async def test_a_stop_written_before_a_crash_is_carried_out_after_it(world):
    async with world.server() as backend:
        await backend.launch(a_task("job", cpus=2))
        await backend.launch(a_task("waits", queued_at=1, cpus=2))
    folders.TaskFolder(world.tasks / "waits").request_stop(5)  # then the server died
    async with world.server() as backend:
        assert (await until(backend, "waits", Phase.EXITED)).cause is Cause.STOPPED


async def test_a_stop_while_the_supervisor_starts_is_kept(world):
    async with world.server() as backend:
        for number in range(8):
            await backend.launch(a_task(f"t-{number}", cpus=0))
            await backend.stop(f"t-{number}", 1)
        for number in range(8):
            assert (await until(backend, f"t-{number}", Phase.EXITED)).cause is Cause.STOPPED


async def test_a_stop_never_signals_a_process_that_got_the_pid_since(world):
    async with world.server() as backend:
        await backend.launch(a_task(behavior="die"))
        await until(backend, "t-0", Phase.LOST)
        bystander = await asyncio.create_subprocess_exec("sleep", "60")
        (world.tasks / "t-0" / "supervisor.lock").write_text(f"clary.supervisor\n{bystander.pid}\n")
        (world.tasks / "t-0" / "state.json").unlink(missing_ok=True)
        await backend.stop("t-0", 0)
        await backend.forget("t-0")
        assert bystander.returncode is None
        assert psutil.Process(bystander.pid).status() != psutil.STATUS_ZOMBIE
        bystander.kill()
        await bystander.wait()


async def test_forgetting_removes_and_may_be_repeated(world):
    async with world.server() as backend:
        await backend.launch(a_task(behavior="exit"))
        await until(backend, "t-0", Phase.EXITED)
        await backend.forget("t-0")
        await backend.forget("t-0")
        assert await backend.poll() == {}
        assert list(world.tasks.iterdir()) == []
        await backend.launch(a_task(behavior="exit", EXIT_CODE="4"))
        assert (await until(backend, "t-0", Phase.EXITED)).exit_code == 4


async def test_forgetting_a_running_task_ends_it_first(world):
    async with world.server() as backend:
        await backend.launch(a_task())
        await until(backend, "t-0", Phase.RUNNING)
        pid = folders.TaskFolder(world.tasks / "t-0").supervisor()
        await backend.forget("t-0")
        await has_ended(pid)
        assert await backend.poll() == {}


async def test_forgetting_kills_a_supervisor_that_ignores_sigterm(world, monkeypatch):
    monkeypatch.setattr("clary.compute.supervised.KILL_AFTER_S", 0.1)
    async with world.server() as backend:
        await backend.launch(a_task(behavior="ignore-stop"))
        await until(backend, "t-0", Phase.RUNNING)
        pid = folders.TaskFolder(world.tasks / "t-0").supervisor()
        await backend.forget("t-0")
        await has_ended(pid)


async def test_forgetting_a_lost_task_kills_what_it_left_running(world):
    async with world.server() as backend:
        await backend.launch(a_task(CHILD="sleep 300"))
        await until(backend, "t-0", Phase.RUNNING)
        pid = folders.TaskFolder(world.tasks / "t-0").supervisor()
        (child,) = psutil.Process(pid).children()
        os.kill(pid, signal.SIGKILL)
        await until(backend, "t-0", Phase.LOST)
        assert child.is_running()
        await backend.forget("t-0")
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


async def test_a_forgetting_cut_short_is_finished_by_the_next_server(world):
    async with world.server() as backend:
        await backend.launch(a_task(behavior="exit"))
        await until(backend, "t-0", Phase.EXITED)
    (world.tasks / "t-0").rename(world.tasks / ".t-0.0a1b2c3d")  # then the server died
    async with world.server() as backend:
        assert await backend.poll() == {}
        assert list(world.tasks.iterdir()) == []


async def test_a_launch_cut_short_is_finished_by_the_next_server(world):
    async with world.server() as backend:
        await backend.launch(a_task("job", cpus=2))
        await backend.launch(a_task("t-0", queued_at=1, cpus=2))
        await backend.stop("job", 1)
        await until(backend, "job", Phase.EXITED)
        await until(backend, "t-0", Phase.RUNNING)
    # As if the server had died after the folder got its name and before the supervisor was started.
    pid = folders.TaskFolder(world.tasks / "t-0").supervisor()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    for name in ("supervisor.lock", "state.json", "supervisor.log"):
        (world.tasks / "t-0" / name).unlink()
    async with world.server() as backend:
        await until(backend, "t-0", Phase.RUNNING)


async def test_a_supervisor_that_is_being_started_is_not_started_again(world):
    """The old server died between starting the process and the process writing its number."""
    async with world.server() as backend:
        await backend.launch(a_task("job", cpus=2))
        await backend.launch(a_task("t-0", queued_at=1, cpus=2))
        await backend.stop("job", 1)
        await until(backend, "job", Phase.EXITED)
        with folders.TaskFolder(world.tasks / "t-0")._waiting() as lock:
            if lock is not None:  # not started yet: no other may start it now
                assert folders.TaskFolder(world.tasks / "t-0").start("clary.testing.supervisor") is None
        await until(backend, "t-0", Phase.RUNNING)


async def test_a_machine_that_cannot_start_processes_is_tried_again(world, monkeypatch):
    real, failures = os.posix_spawn, []

    def spawn(*args, **kwargs):
        if len(failures) < 2:
            failures.append(1)
            raise OSError(11, "Resource temporarily unavailable")
        return real(*args, **kwargs)

    monkeypatch.setattr("os.posix_spawn", spawn)
    async with world.server() as backend:
        await backend.launch(a_task())
        await until(backend, "t-0", Phase.RUNNING)
        assert len(failures) == 2


async def test_a_full_disk_refuses_the_launch_and_leaves_nothing(world, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    async with world.server() as backend:
        monkeypatch.setattr("clary.compute.folder.write_whole", full)
        with pytest.raises(LaunchError, match="No space left"):
            await backend.launch(a_task())
        monkeypatch.undo()
        assert list(world.tasks.iterdir()) == []
        await backend.launch(a_task())
        await until(backend, "t-0", Phase.RUNNING)


async def test_a_damaged_folder_is_a_lost_task_and_harms_no_other(world):
    async with world.server() as backend:
        await backend.launch(a_task("good"))
        await until(backend, "good", Phase.RUNNING)
    (world.tasks / "bad").mkdir()
    (world.tasks / "bad" / "task.json").write_text("{")
    (world.tasks / "bad" / "state.json").write_text("[]")
    async with world.server() as backend:
        states = await backend.poll()
        assert (states["bad"].phase, states["good"].phase) == (Phase.LOST, Phase.RUNNING)
        await backend.forget("bad")
        assert "bad" not in await backend.poll()


async def test_a_task_whose_folder_was_removed_is_absent(world):
    async with world.server() as backend:
        await backend.launch(a_task(behavior="exit"))
        await until(backend, "t-0", Phase.EXITED)
        await asyncio.to_thread(folders.TaskFolder(world.tasks / "t-0").remove)
        assert await backend.poll(["t-0"]) == {}


async def test_a_datagram_that_is_no_owner_is_ignored(world):
    import socket

    async with world.server() as backend:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            for datagram in (b"", b"{", b"[1, 2, 3]", b'["a"]', b"\xff" * 100):
                sender.sendto(datagram, world.platform.events_socket)
        await backend.launch(a_task(behavior="exit"))
        await until(backend, "t-0", Phase.EXITED)


async def test_without_an_events_socket_everything_still_works(world):
    world.platform = dataclasses.replace(world.platform, events_socket=str(world.home / ("x" * 200) / "events.sock"))
    async with world.server() as backend:
        await backend.launch(a_task("a", cpus=2))
        await backend.launch(a_task("b", queued_at=1, cpus=2))
        await backend.stop("a", 1)
        await until(backend, "b", Phase.RUNNING)


async def test_polling_two_hundred_idle_tasks_costs_little(world):
    async with world.server(check_every_s=60) as backend:
        await backend.launch(a_task("real", cpus=0))
        await until(backend, "real", Phase.RUNNING)
        for number in range(200):
            await asyncio.to_thread(folders.create, world.tasks, a_task(f"t-{number}"), plan(world))
            (world.tasks / f"t-{number}" / "state.json").write_text(
                (world.tasks / "real" / "state.json").read_text().replace('"Running"', '"Exited"')
            )
    async with world.server(check_every_s=60) as backend:
        await backend.poll()
        before = time.process_time()
        for _ in range(10):
            assert len(await backend.poll()) == 201
        assert (time.process_time() - before) / 10 < 0.02


def plan(world):
    from clary.compute.plan import Plan

    return Plan(NOTHING, world.platform)


def test_everything_works_on_uvloop(world):
    async def live():
        async with world.server(check_every_s=60) as backend:
            await backend.launch(a_task("a", cpus=2))
            await backend.launch(a_task("b", queued_at=1, cpus=2))
            await until(backend, "a", Phase.RUNNING)
            world.notified.clear()
            os.kill(folders.TaskFolder(world.tasks / "a").supervisor(), signal.SIGKILL)
            await notified(world)
            await until(backend, "b", Phase.RUNNING)
            await backend.forget("b")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live())


async def test_a_damaged_plan_loses_one_task_and_delays_no_other(world):
    async with world.server() as backend:
        await backend.launch(a_task("job", cpus=2, gpus=2))
        await backend.launch(a_task("bad", queued_at=1, gpus=1))
        await backend.launch(a_task("good", queued_at=2, gpus=1))
        (world.tasks / "bad" / "plan.json").write_text("{}")
        await backend.stop("job", 1)
        await until(backend, "bad", Phase.LOST)
        await until(backend, "good", Phase.RUNNING)


async def test_a_full_disk_does_not_keep_a_task_from_being_stopped(world, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    async with world.server() as backend:
        await backend.launch(a_task())
        await until(backend, "t-0", Phase.RUNNING)
        monkeypatch.setattr("clary.compute.folder.write_whole", full)
        await backend.stop("t-0", 1)
        assert (await until(backend, "t-0", Phase.EXITED)).cause is Cause.STOPPED


# What an earlier version's server started: the pid alone, in a file of another name, held as any descriptor.
EARLIER_SUPERVISOR = """
import fcntl, os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: None)
lock = fcntl.fcntl(os.open("holder", os.O_RDWR | os.O_CREAT, 0o600), fcntl.F_DUPFD_CLOEXEC, 20)
fcntl.flock(lock, fcntl.LOCK_EX)
os.write(lock, f"{os.getpid()}\\n".encode())
print("locked", flush=True)
import runpy
sys.argv = ["supervisor", os.getcwd()]
runpy.run_module("clary.testing.supervisor", run_name="__main__", alter_sys=True)
"""


async def test_a_supervisor_that_an_earlier_version_started_is_adopted(world):
    task = a_task()
    folders.create(world.tasks, task, plan(world))
    folder = world.tasks / task.id
    earlier = await asyncio.create_subprocess_exec(
        sys.executable, "-c", EARLIER_SUPERVISOR, cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    assert earlier.stdout is not None
    assert await earlier.stdout.readline() == b"locked\n"
    async with world.server(check_every_s=60) as backend:
        await until(backend, "t-0", Phase.RUNNING)
        found = folders.TaskFolder(folder)
        assert (found.supervisor(), found.alive()) == (earlier.pid, True)
        assert found.start("clary.testing.supervisor") is None
        assert not (folder / "supervisor.lock").exists()
        await backend.stop("t-0", 1)
        assert (await until(backend, "t-0", Phase.EXITED)).cause is Cause.STOPPED
        assert await earlier.wait() == 0
        await backend.forget("t-0")
        assert await backend.poll() == {}


async def test_a_task_that_an_earlier_version_left_waiting_starts(world):
    folders.create(world.tasks, a_task(), plan(world))
    (world.tasks / "t-0" / "holder").touch()
    async with world.server() as backend:
        await until(backend, "t-0", Phase.RUNNING)
        await backend.stop("t-0", 1)
        assert (await until(backend, "t-0", Phase.EXITED)).cause is Cause.STOPPED


SERVER = """
import asyncio, dataclasses, os, pathlib, signal, sys
from tests.faults.test_backend import World, a_task

signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
leaky = os.open("/etc/passwd", os.O_RDONLY)

async def serve():
    async with World(pathlib.Path(sys.argv[1])).server() as backend:
        await backend.launch(a_task())
        print("launched", flush=True)
        await asyncio.Event().wait()

asyncio.run(serve())
"""


def opened(pid: int) -> set[str]:
    """What a process has open."""
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.add(str(path.readlink()))
    return found


async def test_supervisors_survive_a_killed_server(world):
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, str(world.home), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert server.stdout is not None
    assert await server.stdout.readline() == b"launched\n"
    server.kill()
    await server.wait()
    async with world.server(check_every_s=60) as backend:
        await until(backend, "t-0", Phase.RUNNING)
        folder = world.tasks / "t-0"
        pid = folders.TaskFolder(folder).supervisor()
        assert os.getsid(pid) == pid
        wanted = {"/dev/null", str(folder / "supervisor.log"), str(folder / "supervisor.lock")}
        # News of a transition goes through a socket that is open for a moment, and may be just now.
        deadline = time.monotonic() + 20
        while (found := opened(pid)) != wanted and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert found == wanted
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert not int(status["SigIgn"], 16) >> (signal.SIGINT - 1) & 1
        assert not int(status["SigBlk"], 16) >> (signal.SIGUSR2 - 1) & 1
        await backend.stop("t-0", 1)
        assert (await until(backend, "t-0", Phase.EXITED)).cause is Cause.STOPPED
