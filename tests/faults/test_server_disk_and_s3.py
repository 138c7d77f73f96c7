"""A disk that is full, an S3 that cannot be reached: FailureReason names them, and work goes on when they are over."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from clary.core.tasks import Phase
from clary.demo.server import free_port
from tests.faults.live_world import PATIENCE_S, ROOMY, SCIKIT_LEARN, TRAIN, Gate, LiveWorld, live_world, packed
from tests.live import until

LENIENT = f'{ROOMY}validation = "lenient"\n'
KIB = 1024


class Disk:
    """A small file system of its own under one of the home's folders."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / ".filler"

    def fill(self, but_for: int = 0) -> None:
        """Leave nothing of it, or a few pages."""
        with self._filler.open("ab", buffering=0) as file:
            while (room := shutil.disk_usage(self.path).free - but_for) > 0:
                with contextlib.suppress(OSError):
                    file.write(bytes(min(room, 64 * KIB)))

    def free(self) -> None:
        self._filler.unlink()


@contextlib.contextmanager
def on_a_small_disk(folder: str) -> Iterator[tuple[LiveWorld, Disk]]:
    """A server, with this folder of its home on 24 MiB. Skips where nothing can be mounted."""
    with tempfile.TemporaryDirectory(prefix="clary-") as outside:
        home = Path(outside, "home")
        disk = Path(home, folder)
        disk.mkdir(parents=True)
        if not mounted(disk):
            pytest.skip("needs root, and leave to mount a file system")
        world = LiveWorld(home, LENIENT)
        world.gate = Gate()
        try:
            world.up()
            yield world, Disk(disk)
        finally:
            try:
                world.end()
            finally:
                world.gate.close()
                subprocess.run(["umount", "--lazy", str(disk)], check=True)


def mounted(disk: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "clary-test", str(disk)]
    if os.geteuid() or shutil.which("mount") is None:
        return False
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def run(world: LiveWorld, job: str, code: str) -> dict[str, str]:
    world.gate.open(job)
    world.start_job(job, code)
    return world.job(job)


def test_no_room_for_tasks() -> None:
    with on_a_small_disk("tasks") as (world, disk):
        small = world.script(TRAIN.format(port=world.gate.port, megabytes=0))
        large = world.script(TRAIN.format(port=world.gate.port, megabytes=40))
        heavy = world.upload("heavy.tar.gz", packed({"train.py": "print()", "ballast": os.urandom(30 << 20)}))
        world.gate.open("good")
        world.make_model("good")
        world.sagemaker.create_endpoint(EndpointName="bystander", EndpointConfigName="good")
        assert world.endpoint("bystander")["EndpointStatus"] == "InService"

        reason = run(world, "writes-too-much", large)["FailureReason"]
        assert reason.startswith("AlgorithmError: ")
        assert "No space left on device" in reason

        reason = run(world, "brings-too-much", heavy)["FailureReason"]
        assert reason.startswith("ClientError: ")
        assert "the disk is full" in reason

        world.start_job("ends-on-a-full-disk", small)
        world.gate.arrived("ends-on-a-full-disk")
        until(lambda: True if len(world.tasks()) == 2 else None, PATIENCE_S, "the others to be removed")
        for pages in (3, 0):  # with three there is room to begin, not to record how it ended
            disk.fill(but_for=pages * 4 * KIB)
            reason = run(world, f"finds-{pages}-pages", small)["FailureReason"]
            assert reason.startswith("ClientError: No space left on the disk")
            until(lambda: True if len(world.tasks()) == 2 else None, PATIENCE_S, "it to be removed")
        world.make_config("second", "good")
        world.sagemaker.create_endpoint(EndpointName="no-room", EndpointConfigName="second")
        endpoint = world.endpoint("no-room")
        assert endpoint["EndpointStatus"] == "Failed"
        assert endpoint["FailureReason"].startswith("ClientError: No space left on the disk")
        world.gate.open("ends-on-a-full-disk")
        reason = world.job("ends-on-a-full-disk")["FailureReason"]
        assert "No space left" in reason
        assert world.invoke("bystander") == "good"

        disk.free()
        assert run(world, "afterwards", small)["TrainingJobStatus"] == "Completed"
        for name in ("no-room", "bystander"):
            world.delete_endpoint(name)
        world.all_is_quiet()


def test_no_room_in_s3() -> None:
    with on_a_small_disk("s3") as (world, disk):
        code = world.script(TRAIN.format(port=world.gate.port, megabytes=1))
        disk.fill()
        description = run(world, "too-large", code)
        assert description["TrainingJobStatus"] == "Failed"
        assert description["FailureReason"].startswith("ClientError: ")
        assert "the disk is full" in description["FailureReason"]
        assert "ModelArtifacts" not in description
        with pytest.raises(ClientError):
            world.upload("more", bytes(1 << 20))
        disk.free()
        assert run(world, "afterwards", code)["TrainingJobStatus"] == "Completed"
        assert world.model_of("afterwards").startswith(b"afterwards")
        assert world.upload("more", bytes(1 << 20))
        world.all_is_quiet()


def test_no_room_at_all() -> None:
    """Records, routes and logs cannot be written either: calls are refused, what is under way waits for room."""
    with on_a_small_disk(".") as (world, disk):
        code = world.script(TRAIN.format(port=world.gate.port, megabytes=0))
        world.gate.open("good")
        world.make_model("good")
        world.sagemaker.create_endpoint(EndpointName="bystander", EndpointConfigName="good")
        assert world.endpoint("bystander")["EndpointStatus"] == "InService"
        world.start_job("waits", code)
        world.gate.arrived("waits")
        server = world.pid()
        disk.fill()
        for _ in range(50):  # what is logged of it finds no room either
            with pytest.raises(ClientError, match=r"InternalFailure.*disk is full"):
                fill_the_database(world)
        world.gate.open("waits")
        world.tasks_reach("waits", Phase.EXITED)
        assert world.invoke("bystander") == "good"
        disk.free()
        description = world.job("waits")
        assert description["TrainingJobStatus"] in ("Completed", "Failed")
        assert "No space left" in description.get("FailureReason", "No space left")
        assert run(world, "afterwards", code)["TrainingJobStatus"] == "Completed"
        assert world.pid() == server
        world.delete_endpoint("bystander")
        world.all_is_quiet()


def fill_the_database(world: LiveWorld) -> None:
    """Its files may have some room left inside."""
    for number in range(1000):
        world.sagemaker.create_model(
            ModelName=f"m{number}-{time.monotonic_ns()}",
            ExecutionRoleArn=world.role,
            PrimaryContainer={"Image": SCIKIT_LEARN, "Environment": {"PADDING": "x" * 1000}},
        )


# ---- S3 ----


def nobodys_s3(validation: str) -> str:
    return (
        f'{ROOMY}validation = "{validation}"\ns3_endpoint_url = "http://127.0.0.1:{free_port()}"\n'
        's3_access_key_id = "a"\ns3_secret_access_key = "b"\n'
    )


CHANNEL = {
    "ChannelName": "train",
    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://nobodys/data/"}},
}


def test_an_s3_that_cannot_be_reached_is_named_to_the_caller() -> None:
    with live_world(nobodys_s3("strict")) as world:
        began = time.monotonic()
        with pytest.raises(ClientError, match=r"ValidationException.*train.*s3://nobodys/data/.*cannot be reached"):
            world.start_job("strict", "s3://nobodys/code.tar.gz", InputDataConfig=[CHANNEL])
        container = {"Image": SCIKIT_LEARN, "ModelDataUrl": "s3://nobodys/model.tar.gz"}
        with pytest.raises(ClientError, match=r"ValidationException.*s3://nobodys/model.tar.gz.*cannot be reached"):
            world.sagemaker.create_model(ModelName="m", ExecutionRoleArn=world.role, PrimaryContainer=container)
        assert time.monotonic() - began < 20
        assert world.sagemaker.list_training_jobs()["TrainingJobSummaries"] == []
        assert world.sagemaker.list_models()["Models"] == []


def test_an_image_that_is_not_there_is_named_to_the_caller() -> None:
    with live_world('backend = "local"\n') as world:
        image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/nobodys:1"
        algorithm = {"TrainingImage": image, "TrainingInputMode": "File"}
        with pytest.raises(ClientError, match=f"ValidationException.*{image}"):
            world.start_job("strict", "", AlgorithmSpecification=algorithm)
        with pytest.raises(ClientError, match=f"ValidationException.*{image}"):
            world.sagemaker.create_model(ModelName="m", ExecutionRoleArn=world.role, PrimaryContainer={"Image": image})
        assert world.sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


def test_an_s3_that_cannot_be_reached_fails_jobs_and_endpoints_soon() -> None:
    with live_world(nobodys_s3("lenient")) as world:
        began = time.monotonic()
        world.start_job("data", "s3://nobodys/code.tar.gz", InputDataConfig=[CHANNEL])
        world.start_job("code", "s3://nobodys/code.tar.gz")
        container = {"Image": SCIKIT_LEARN, "ModelDataUrl": "s3://nobodys/model.tar.gz"}
        world.sagemaker.create_model(ModelName="m", ExecutionRoleArn=world.role, PrimaryContainer=container)
        world.make_config("m", "m")
        world.sagemaker.create_endpoint(EndpointName="m", EndpointConfigName="m")
        for description in (world.job("data"), world.job("code"), world.endpoint("m")):
            assert description["FailureReason"].startswith("ClientError: ")
            assert "s3://nobodys/" in description["FailureReason"]
            assert "cannot be reached; check s3_endpoint_url" in description["FailureReason"]
        assert time.monotonic() - began < 30
        world.delete_endpoint("m")
        world.all_is_quiet()
