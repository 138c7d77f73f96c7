"""kill -9 of the server, of S3 or of the supervisor at any moment of a processing job: it ends right, and once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from clary.artifacts.folder import HIDDEN
from clary.core.tasks import Phase
from tests.faults.live_world import PATIENCE_S, SCIKIT_LEARN, LiveWorld, live_world
from tests.live import kill, until

# What the program leaves in its first file, which is uploaded while it runs, and in its last.
FIRST, LAST = 1 << 20, 1 << 22
PROGRAM = """
import os, pathlib, socket, sys
name, gate = sys.argv[1:]
base = pathlib.Path("/opt/ml")
print("RAN", name, (base / "processing/data/rows.csv").read_text(), flush=True)
(base / "processing/out/sub").mkdir()
(base / "processing/out/sub/first").write_bytes(os.urandom(%d))
with socket.create_connection(("127.0.0.1", int(gate))) as door:
    door.sendall(name.encode() + b"\\n")
    assert door.makefile().readline() == "go\\n", "the test is over"
(base / "processing/out/last").write_bytes(os.urandom(%d))
(base / "output/message").write_text(name)
""" % (FIRST, LAST)  # noqa: UP031 - braces stand in the program


@pytest.fixture(scope="module")
def live() -> Iterator[LiveWorld]:
    with live_world() as world:
        world.upload("processing/code/run.py", PROGRAM.encode())
        world.upload("processing/data/rows.csv", b"1,2")
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


def start(world: LiveWorld, job: str, mode: str = "Continuous") -> None:
    def processing_input(name: str) -> dict[str, Any]:
        source = {"S3Uri": f"s3://{world.bucket}/processing/{name}/", "S3DataType": "S3Prefix"}
        return {"InputName": name, "S3Input": {**source, "LocalPath": f"/opt/ml/processing/{name}"}}

    target = {"S3Uri": f"s3://{world.bucket}/made/{job}", "LocalPath": "/opt/ml/processing/out", "S3UploadMode": mode}
    world.sagemaker.create_processing_job(
        ProcessingJobName=job,
        AppSpecification={
            "ImageUri": SCIKIT_LEARN,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/run.py"],
            "ContainerArguments": [job, str(world.gate.port)],
        },
        RoleArn=world.role,
        ProcessingResources={"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}},
        ProcessingInputs=[processing_input("code"), processing_input("data")],
        ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": target}]},
    )


def ended_job(world: LiveWorld, job: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        description: dict[str, Any] = world.sagemaker.describe_processing_job(ProcessingJobName=job)
        return description if description["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    return until(ended, PATIENCE_S, f"processing job {job} to be over")


def uploaded(world: LiveWorld, job: str) -> dict[str, int]:
    """Its objects and their sizes, by the folder that is the bucket: S3 itself may be dead."""
    top = world.home / "s3" / world.bucket / "made" / job
    return {
        str(path.relative_to(top)): path.stat().st_size
        for path in top.rglob("*")
        if path.is_file() and not path.name.startswith(HIDDEN)
    }


def runs(world: LiveWorld, job: str) -> int:
    """How often its program printed that it runs."""
    logs = world.home.glob(f"logs/aws/sagemaker/ProcessingJobs/{job}/*")
    return "".join(path.read_text() for path in logs).count(f"RAN {job} 1,2")


def bring_to(world: LiveWorld, job: str, moment: str) -> None:
    match moment:
        case "launched":
            world.task_appears(job)
        case "staging":
            world.tasks_reach(job, Phase.STAGING, Phase.RUNNING)
        case "running" | "ending":
            world.gate.arrived(job)
        case "uploading":
            world.gate.arrived(job)
            until(lambda: uploaded(world, job) or None, PATIENCE_S, "the first file to be uploaded")
        case "collecting":
            world.gate.open(job)
            world.tasks_reach(job, Phase.COLLECTING, Phase.EXITED)
        case "over":  # and the server has not heard of it
            world.gate.arrived(job)
            os.kill(world.pid() or 0, signal.SIGSTOP)
            world.gate.open(job)
            world.tasks_reach(job, Phase.EXITED)


WHOLE = {"sub/first": FIRST, "last": LAST}
# Those of its own; at the others it is as any job is.
MOMENTS = ("launched", "staging", "uploading", "ending", "collecting", "over")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_job_runs_once_and_completes_whenever_the_server_dies(world: LiveWorld, moment: str) -> None:
    job = f"server-{moment}"
    start(world, job)
    bring_to(world, job, moment)
    world.kill()
    world.gate.open(job)
    if moment == "ending":
        world.tasks_reach(job, Phase.EXITED)
    world.up()
    description = ended_job(world, job)
    assert (description["ProcessingJobStatus"], description.get("FailureReason")) == ("Completed", None)
    assert description["ExitMessage"] == job
    assert uploaded(world, job) == WHOLE
    assert world.gate.arrivals[job] == runs(world, job) == 1
    assert description["ProcessingStartTime"] <= description["ProcessingEndTime"]


@pytest.mark.parametrize("moment", ["staging", "uploading", "collecting"])
def test_a_job_does_not_need_the_s3_server_to_live(world: LiveWorld, moment: str) -> None:
    job = f"s3-{moment}"
    until(lambda: world.pid("s3"), PATIENCE_S, "S3 to be back")
    start(world, job)
    bring_to(world, job, moment)
    world.kill("s3")
    world.gate.open(job)
    description = ended_job(world, job)
    assert (description["ProcessingJobStatus"], description.get("FailureReason")) == ("Completed", None)
    assert uploaded(world, job) == WHOLE


@pytest.mark.parametrize(
    ("moment", "mode"),
    [
        *((moment, "Continuous") for moment in ("staging", "running", "uploading", "collecting")),
        ("collecting", "EndOfJob"),
    ],
)
def test_a_job_whose_supervisor_was_killed_fails_and_its_uploaded_files_are_whole(
    world: LiveWorld, moment: str, mode: str
) -> None:
    job = f"lost-{moment}-{mode}".lower()
    start(world, job, mode)
    world.task_appears(job)
    (task,) = world.tasks(job)
    bring_to(world, job, moment)
    supervisor = until(lambda: alive(world, task.name), PATIENCE_S, "a supervisor") if task.exists() else None
    if supervisor:
        kill(supervisor)
    description = ended_job(world, job)
    if moment == "collecting" and description["ProcessingJobStatus"] == "Completed":
        assert uploaded(world, job) == WHOLE, "it was done before it was killed"
        return
    assert description["ProcessingJobStatus"] == "Failed"
    assert description["FailureReason"].startswith("InternalServerError: ")
    assert uploaded(world, job).items() <= WHOLE.items()
    assert runs(world, job) <= 1
    if moment == "uploading":
        assert uploaded(world, job) == {"sub/first": FIRST}


def alive(world: LiveWorld, task: str) -> int | None:
    """The supervisor's process, once it has become one."""
    try:
        return world.supervisor(task)
    except ProcessLookupError:
        return None


def test_a_stop_that_was_promised_is_kept(world: LiveWorld) -> None:
    job = "stopped"
    start(world, job)
    bring_to(world, job, "uploading")
    world.sagemaker.stop_processing_job(ProcessingJobName=job)
    world.kill()
    world.up()
    assert ended_job(world, job)["ProcessingJobStatus"] == "Stopped"
    assert uploaded(world, job) == {"sub/first": FIRST}
    assert world.gate.arrivals[job] == 1


def test_everything_is_killed_at_once(world: LiveWorld) -> None:
    """As when the machine loses its power, but for the disk. A processing job is not tried again."""
    job = "power-cut"
    start(world, job)
    bring_to(world, job, "uploading")
    for found in world.processes():
        found.kill()
    until(lambda: None if world.processes() else True, PATIENCE_S, "all processes to end")
    world.up()
    description = ended_job(world, job)
    assert description["ProcessingJobStatus"] == "Failed"
    assert description["FailureReason"].startswith("InternalServerError: ")
    assert uploaded(world, job) == {"sub/first": FIRST}


def test_a_job_that_was_deleted_while_the_server_died_leaves_nothing(world: LiveWorld) -> None:
    job = "deleted"
    start(world, job)
    world.gate.open(job)
    ended_job(world, job)
    world.sagemaker.delete_processing_job(ProcessingJobName=job)
    world.kill()
    world.up()
    assert job not in [
        found["ProcessingJobName"] for found in world.sagemaker.list_processing_jobs()["ProcessingJobSummaries"]
    ]
