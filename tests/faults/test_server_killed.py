"""kill -9 of the server, at any moment of a job's and an endpoint's life: nothing is lost, doubled or stuck."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from clary.core.tasks import Phase
from tests.faults.live_world import ROOMY, TRAIN, Caller, LiveWorld, live_world
from tests.live import kill


@pytest.fixture(scope="module")
def live() -> Iterator[LiveWorld]:
    with live_world() as world:
        yield world


@pytest.fixture
def world(live: LiveWorld) -> Iterator[LiveWorld]:
    """The server, which runs before the test, and nothing but it after the test."""
    if live.pid() is None:
        live.up()
    yield live
    if live.pid() is None:
        live.up()
    live.all_is_quiet()


def pause(world: LiveWorld) -> None:
    """From now on the server hears and does nothing, until it is killed."""
    pid = world.pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)


# ---- jobs ----

JOB_MOMENTS = ("created", "launched", "staging", "training", "ending", "uploading", "over")


@pytest.mark.parametrize("moment", JOB_MOMENTS)
def test_a_job_runs_once_and_completes_whenever_the_server_dies(world: LiveWorld, moment: str) -> None:
    job = f"job-{moment}"
    code = world.script(TRAIN.format(port=world.gate.port, megabytes=20 if moment == "uploading" else 0))
    world.start_job(job, code)
    bring_job_to(world, job, moment)
    world.kill()
    world.gate.open(job)
    if moment == "ending":
        world.tasks_reach(job, Phase.EXITED)
    world.up()
    described = world.job(job)
    assert (described["TrainingJobStatus"], described.get("FailureReason")) == ("Completed", None)
    assert world.model_of(job).startswith(job.encode())
    assert world.gate.arrivals[job] == 1
    assert world.log_of(job).count(f"RAN {job}") == 1
    stages = [line["Status"] for line in described["SecondaryStatusTransitions"]]
    assert stages == ["Starting", "Downloading", "Training", "Uploading", "Completed"]


def bring_job_to(world: LiveWorld, job: str, moment: str) -> None:
    match moment:
        case "launched":
            world.task_appears(job)
        case "staging":
            world.tasks_reach(job, Phase.STAGING, Phase.RUNNING)
        case "training" | "ending":
            world.gate.arrived(job)
        case "uploading":
            world.gate.open(job)
            world.tasks_reach(job, Phase.COLLECTING)
        case "over":  # and the server has not heard of it
            world.gate.arrived(job)
            pause(world)
            world.gate.open(job)
            world.tasks_reach(job, Phase.EXITED)


@pytest.mark.parametrize("ends", [True, False], ids=["while it is dead", "after it is back"])
def test_a_stop_that_was_promised_is_kept(world: LiveWorld, ends: bool) -> None:
    job = f"stopped-{ends}".lower()
    world.start_job(job, world.script(TRAIN.format(port=world.gate.port, megabytes=0)))
    world.gate.arrived(job)
    if not ends:
        pause_tasks(world, job, signal.SIGSTOP)
    world.sagemaker.stop_training_job(TrainingJobName=job)
    world.kill()
    world.up()
    pause_tasks(world, job, signal.SIGCONT)
    assert world.job(job)["TrainingJobStatus"] == "Stopped"
    assert world.gate.arrivals[job] == 1


def pause_tasks(world: LiveWorld, owner: str, number: signal.Signals) -> None:
    for task in world.tasks(owner):
        os.kill(world.supervisor(task.name), number)


def test_jobs_that_wait_keep_their_place() -> None:
    with live_world("cpus = 2\n") as world:
        code = world.script(TRAIN.format(port=world.gate.port, megabytes=0))
        world.start_job("first", code)
        world.gate.arrived("first")
        for job in ("second", "third"):
            world.start_job(job, code)
            world.job(job, "Pending")
        world.kill()
        world.gate.open("first")
        world.up()
        assert world.job("first")["TrainingJobStatus"] == "Completed"
        world.gate.arrived("second")
        assert not world.gate.arrivals["third"]
        world.gate.open("second")
        world.gate.open("third")
        assert world.job("third")["TrainingJobStatus"] == "Completed"
        assert world.gate.arrivals == {"first": 1, "second": 1, "third": 1}
        world.all_is_quiet()


# ---- endpoints ----


@pytest.mark.parametrize("moment", ["called", "launched", "loading", "ready"])
def test_an_endpoint_that_was_being_created_comes_into_service(world: LiveWorld, moment: str) -> None:
    name = f"create-{moment}"
    world.make_model(name)
    world.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    bring_replica_to(world, name, name, moment)
    world.kill()
    world.gate.open(name)
    world.up()
    assert world.endpoint(name)["EndpointStatus"] == "InService"
    assert world.invoke(name) == name
    assert world.gate.arrivals[name] == 1
    assert len(world.tasks(name)) == 1
    world.delete_endpoint(name)


@pytest.mark.parametrize("moment", ["called", "loading", "ready"])
def test_an_endpoint_that_was_being_updated_serves_the_old_until_the_new_is_there(
    world: LiveWorld, moment: str
) -> None:
    name, old, new = f"update-{moment}", f"old-{moment}", f"new-{moment}"
    world.gate.open(old)
    world.make_model(old)
    world.make_model(new)
    world.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=old)
    assert world.endpoint(name)["EndpointStatus"] == "InService"
    answers: list[str] = []
    with Caller(lambda: answers.append(world.invoke(name))) as caller:
        world.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new)
        bring_replica_to(world, name, new, moment)
        world.kill()
        world.gate.open(new)
        world.up()
        assert world.endpoint(name)["EndpointStatus"] == "InService"
        caller.more()
    assert caller.failures == []
    assert answers == sorted(answers, reverse=True), "first the old, then the new, and no way back"
    assert answers[-1] == new
    assert world.sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"] == new
    world.delete_endpoint(name)


def bring_replica_to(world: LiveWorld, endpoint: str, model: str, moment: str) -> None:
    match moment:
        case "launched":
            world.task_appears(endpoint)
        case "loading":
            world.gate.arrived(model)
        case "ready":  # and the server has not heard of it
            world.gate.arrived(model)
            pause(world)
            world.gate.open(model)
            world.tasks_reach(endpoint, Phase.READY)


@pytest.mark.parametrize("moment", ["called", "draining"])
def test_an_endpoint_that_was_being_deleted_is_deleted(world: LiveWorld, moment: str) -> None:
    name = f"delete-{moment}"
    world.gate.open(name)
    world.make_model(name)
    world.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert world.endpoint(name)["EndpointStatus"] == "InService"
    if moment == "draining":
        with Caller(lambda: world.invoke(name, "wait"), times=1) as caller:
            world.gate.arrived("request")
            world.sagemaker.delete_endpoint(EndpointName=name)
            world.kill()
            world.up()
            world.gate.open("request")
        assert caller.failures == []
    else:
        world.sagemaker.delete_endpoint(EndpointName=name)
        world.kill()
        world.up()
    world.wait_until_deleted(name)


def test_callers_of_an_endpoint_do_not_notice_that_the_server_dies(world: LiveWorld) -> None:
    world.gate.open("steady")
    world.make_model("steady")
    world.sagemaker.create_endpoint(EndpointName="steady", EndpointConfigName="steady")
    assert world.endpoint("steady")["EndpointStatus"] == "InService"
    tasks = world.tasks("steady")
    with Caller(lambda: world.invoke("steady")) as caller:
        for _ in range(2):
            caller.more()
            world.kill()
            caller.more()
            world.up()
            caller.more()
    assert caller.failures == []
    assert world.tasks("steady") == tasks
    world.delete_endpoint("steady")


# ---- the start itself ----


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("after_s", [0.1, 0.3, 0.5, 0.7])
def test_a_server_that_dies_while_it_starts_is_followed_by_one_that_does_not(
    world: LiveWorld, after_s: float, number: signal.Signals
) -> None:
    world.kill()
    world.kill("s3")
    argv = [sys.executable, "-m", "clary", "up", "--home", str(world.home), "--port", str(world.port)]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as starting:
        with contextlib.suppress(subprocess.TimeoutExpired):
            starting.wait(after_s)
        starting.send_signal(number)
        starting.wait(30)
    world.up()
    status = world.status()
    assert all(status[part]["healthy"] for part in ("server", "gateway", "s3"))


def test_what_was_half_written_is_swept(world: LiveWorld) -> None:
    half = world.home / "routes" / ".some.json.01234567.part"
    world.kill()
    half.write_text("{")
    world.up()
    assert not half.exists()


def test_without_a_sandbox_a_lost_attempt_is_over_before_the_next_begins() -> None:
    """Nothing but the platform ends what a supervisor that was killed has left running."""
    with live_world(f'{ROOMY}sandbox = "none"\n') as world:
        code = world.script(TRAIN.format(port=world.gate.port, megabytes=0))
        world.start_job("bare", code, RetryStrategy={"MaximumRetryAttempts": 1})
        world.gate.arrived("bare")
        (task,) = world.tasks("bare")
        first = world.programs(task.name)
        assert len(first) > 1, "the program, and the script it started"
        world.kill()
        kill(world.supervisor(task.name))
        world.up()
        world.gate.arrived("bare", 2)
        assert not [pid for pid in first if psutil.pid_exists(pid)]
        world.gate.open("bare")
        assert world.job("bare")["TrainingJobStatus"] == "Completed"
        world.all_is_quiet()
