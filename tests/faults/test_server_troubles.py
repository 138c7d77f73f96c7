"""What goes wrong with a job or an endpoint is in its FailureReason, and harms nothing else."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import signal
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from tests.faults.live_world import PATIENCE_S, ROOMY, SERVE, TRAIN, LiveWorld, live_world, packed
from tests.live import until

# backend: whether podman is here must not matter. lenient: what is missing is the job's to find out.
SETTINGS = f'{ROOMY}validation = "lenient"\nbackend = "local"\n'


@pytest.fixture(scope="module")
def live() -> Iterator[LiveWorld]:
    with live_world(SETTINGS, opened=True) as world:
        world.make_model("good")
        world.sagemaker.create_endpoint(EndpointName="bystander", EndpointConfigName="good")
        assert world.endpoint("bystander")["EndpointStatus"] == "InService"
        yield world


@pytest.fixture
def world(live: LiveWorld, request: pytest.FixtureRequest) -> Iterator[LiveWorld]:
    """A server with an endpoint in service; afterwards it is as it was, and does another job."""
    before = [live.pid(part) for part in ("server", "gateway", "s3")]
    bystander = live.tasks("bystander")
    yield live
    assert [live.pid(part) for part in ("server", "gateway", "s3")] == before
    assert live.invoke("bystander") == "good"
    job = f"after-{abs(hash(request.node.name)) % 10**8}"
    live.start_job(job, live.script(TRAIN.format(port=live.gate.port, megabytes=0)))
    assert live.job(job)["TrainingJobStatus"] == "Completed"
    assert live.tasks("bystander") == bystander
    until(lambda: True if live.tasks() == bystander else None, PATIENCE_S, "nothing to be left of the troubled")


def run(world: LiveWorld, job: str, script: str, **more: Any) -> dict[str, Any]:
    """The end of a job of this script."""
    world.start_job(job, world.script(script), **more)
    return world.job(job)


# ---- archives ----


def not_gzip() -> bytes:
    return b"this is no archive"


def cut_off() -> bytes:
    return packed({"train.py": "print()", "code/inference.py": "", "model": os.urandom(100_000)})[:50_000]


def damaged() -> bytes:
    archive = bytearray(packed({"train.py": "print()", "model": os.urandom(100_000)}))
    archive[50_000:50_100] = bytes(100)
    return bytes(archive)


def not_tar() -> bytes:
    return gzip.compress(b"gzip, and no tar" * 1000)


def above() -> bytes:
    return packed({"train.py": "print()", "../../evil": "evil"})


def absolute() -> bytes:
    return packed({"train.py": "print()", "/tmp/clary-test-evil": "evil"})


def through_a_link() -> bytes:
    return linked("way", "/tmp", {"way/clary-test-evil": "evil"})


def link_out() -> bytes:
    return linked("model", "../../../../../clary.db", {})


def device() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        member = tarfile.TarInfo("zero")
        member.type, member.devmajor, member.devminor = tarfile.CHRTYPE, 1, 5
        archive.addfile(member)
    return made.getvalue()


def bomb() -> bytes:
    """4 GiB of zeros, in what is no more than some megabytes."""
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", compresslevel=1) as plain:
        member = tarfile.TarInfo("model")
        member.size = 4 << 30
        plain.write(member.tobuf())
        for _ in range(64):
            plain.write(bytes(1 << 20))
    return made.getvalue()


def linked(name: str, target: str, files: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, target
        archive.addfile(link)
        for inside, text in files.items():
            member = tarfile.TarInfo(inside)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return made.getvalue()


ARCHIVES = pytest.mark.parametrize(
    ("make", "expected"),
    [
        (not_gzip, "not a valid gzip-compressed tar archive"),
        (not_tar, "not a valid gzip-compressed tar archive"),
        (cut_off, "not a valid gzip-compressed tar archive"),
        (damaged, "not a valid gzip-compressed tar archive"),
        (above, 'member "../../evil" is refused'),
        (absolute, 'member "/tmp/clary-test-evil" is refused'),
        (through_a_link, "is refused"),
        (link_out, "leads out of the directory"),
        (device, 'member "zero" is refused'),
        (bomb, "far more than its own size promises"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)


@ARCHIVES
def test_an_invalid_or_malicious_archive(world: LiveWorld, make: Callable[[], bytes], expected: str) -> None:
    """As the source of a job, and as the model of an endpoint."""
    name = f"archive-{make.__name__.replace('_', '-')}"
    where = world.upload(f"bad/{name}.tar.gz", make())
    world.make_model(name, ModelDataUrl=where)
    world.start_job(name, where)
    world.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    for description in (world.job(name), world.endpoint(name)):
        assert description.get("TrainingJobStatus", description.get("EndpointStatus")) == "Failed"
        assert description["FailureReason"].startswith("ClientError: ")
        assert where in description["FailureReason"]
        assert expected in description["FailureReason"]
    assert not [name for _, _, names in os.walk(world.home) for name in names if name.endswith("evil")]
    assert not os.path.lexists("/tmp/clary-test-evil")
    world.delete_endpoint(name)


# ---- what a request names and is not there ----


def test_data_that_are_not_there(world: LiveWorld) -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{world.bucket}/nothing/here"}
    channel = {"ChannelName": "train", "DataSource": {"S3DataSource": source}}
    description = run(world, "no-data", TRAIN.format(port=world.gate.port, megabytes=0), InputDataConfig=[channel])
    assert description["TrainingJobStatus"] == "Failed"
    assert description["FailureReason"].startswith("ClientError: ")
    assert "/nothing/here" in description["FailureReason"]


def test_an_image_that_is_not_there(world: LiveWorld) -> None:
    image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/nobodys:1"
    algorithm = {"TrainingImage": image, "TrainingInputMode": "File"}
    description = run(world, "no-image", "", AlgorithmSpecification=algorithm)
    assert description["TrainingJobStatus"] == "Failed"
    assert description["FailureReason"].startswith("ClientError: ")
    assert image in description["FailureReason"]
    world.make_model("no-image", Image=image)
    world.sagemaker.create_endpoint(EndpointName="no-image", EndpointConfigName="no-image")
    endpoint = world.endpoint("no-image")
    assert endpoint["EndpointStatus"] == "Failed"
    assert image in endpoint["FailureReason"]
    world.delete_endpoint("no-image")


@pytest.mark.parametrize("instance_type", ["ml.p5.48xlarge", "ml.trn1.32xlarge"])
def test_accelerators_that_are_not_there(world: LiveWorld, instance_type: str) -> None:
    job = f"on-{instance_type.replace('.', '-')}"
    resources = {"InstanceType": instance_type, "InstanceCount": 1, "VolumeSizeInGB": 1}
    description = run(world, job, TRAIN.format(port=world.gate.port, megabytes=0), ResourceConfig=resources)
    assert description["TrainingJobStatus"] == "Failed"
    assert description["FailureReason"].startswith("CapacityError: ")
    world.make_config(job, "good", InstanceType=instance_type)
    world.sagemaker.create_endpoint(EndpointName=job, EndpointConfigName=job)
    endpoint = world.endpoint(job)
    assert endpoint["EndpointStatus"] == "Failed"
    assert endpoint["FailureReason"].startswith("CapacityError: ")
    world.delete_endpoint(job)


# ---- scripts ----


def test_a_script_that_fails(world: LiveWorld) -> None:
    description = run(world, "raises", "raise ValueError('the 7th column is empty')")
    assert description["TrainingJobStatus"] == "Failed"
    assert description["FailureReason"].startswith("AlgorithmError: ")
    assert "the 7th column is empty" in description["FailureReason"]
    assert "ModelArtifacts" not in description


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_script_that_a_signal_ends(world: LiveWorld, number: signal.Signals) -> None:
    script = f"import os; print('so far', flush=True); os.kill(os.getpid(), {int(number)})"
    description = run(world, f"dies-of-{number.name.lower()}", script)
    assert description["TrainingJobStatus"] == "Failed"
    assert description["FailureReason"].startswith("AlgorithmError: ")
    assert str(128 + number) in description["FailureReason"]


def test_a_script_that_kills_the_program_that_started_it(world: LiveWorld) -> None:
    description = run(world, "kills-parent", "import os, time; os.kill(os.getppid(), 9); time.sleep(3600)")
    assert description["TrainingJobStatus"] == "Failed"
    assert description["FailureReason"].startswith("AlgorithmError: ")
    assert "SIGKILL" in description["FailureReason"]


def test_a_script_that_takes_too_long(world: LiveWorld) -> None:
    script = """
import os, time
open(os.environ["SM_MODEL_DIR"] + "/model", "w").write("half done")
time.sleep(3600)
"""
    description = run(world, "too-long", script, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (description["TrainingJobStatus"], description["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert world.model_of("too-long") == b"half done"
    assert description["BillableTimeInSeconds"] < 30


def test_a_script_that_ignores_sigterm_is_killed_after_the_grace(world: LiveWorld) -> None:
    """It is killed after the grace: two minutes, which the test shortens as only who has the folder can."""
    job = "deaf"
    script = TRAIN.format(port=world.gate.port, megabytes=0) + "print('DEAF', flush=True)\ntime.sleep(3600)\n"
    world.start_job(job, world.script("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + script))
    until(lambda: True if "DEAF" in world.log_of(job) else None, PATIENCE_S, "the script not to listen")
    world.sagemaker.stop_training_job(TrainingJobName=job)
    (task,) = world.tasks(job)
    until(lambda: True if (task / "stop").exists() else None, PATIENCE_S, "the stop request to be written")
    assert world.job(job, "Stopping", "Stopped")["TrainingJobStatus"] == "Stopping"
    (task / "stop").write_text("0.1\n")
    os.kill(world.supervisor(task.name), signal.SIGTERM)
    assert world.job(job)["TrainingJobStatus"] == "Stopped"
    assert world.model_of(job) == job.encode()


def test_a_script_that_prints_without_end(world: LiveWorld) -> None:
    script = """
import os, sys
os.write(1, b"x" * (5 << 20))
os.write(1, bytes(range(256)) * 1000)
for number in range(200_000):
    print(f"line {number}: " + "y" * 90)
sys.stderr.write("the end\\n")
open(os.environ["SM_MODEL_DIR"] + "/model", "w").write("done")
"""
    server = psutil.Process(world.pid())
    before = server.memory_info().rss
    description = run(world, "talks", script)
    assert description["TrainingJobStatus"] == "Completed", description.get("FailureReason")
    logs = world.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="talks/")["logStreams"]
    last = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], limit=10)["events"]
    assert "line 199999: y" in "".join(event["message"] for event in last)
    assert server.memory_info().rss - before < 100 << 20


def test_a_link_out_of_the_model_is_not_followed(world: LiveWorld) -> None:
    script = """
import os
folder = os.environ["SM_MODEL_DIR"]
os.symlink("/etc", folder + "/way-out")
open(folder + "/model", "w").write("fine")
"""
    description = run(world, "links-out", script)
    assert description["TrainingJobStatus"] == "Completed"
    assert world.model_of("links-out") == b"fine"


# ---- models ----

BROKEN_MODELS = pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("def model_fn(model_dir): raise RuntimeError('no such layer: conv9')", "no such layer: conv9"),
        ("def model_fn(model_dir):\n  import os; os._exit(3)", "exit code: 3"),
        ("import not_installed_anywhere", "not_installed_anywhere"),
        ("print('no functions here')", "model_fn"),
    ],
    ids=["raises", "exits", "does not import", "is empty"],
)


@BROKEN_MODELS
def test_a_model_that_does_not_load(
    world: LiveWorld, request: pytest.FixtureRequest, script: str, expected: str
) -> None:
    name = f"broken-{request.node.callspec.id.replace(' ', '-')}"
    world.make_model(name, script)
    world.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    description = world.endpoint(name)
    assert description["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in description["FailureReason"]
    assert expected in description["FailureReason"]
    world.delete_endpoint(name)


def test_an_update_to_a_broken_model_leaves_the_old_in_service(world: LiveWorld) -> None:
    world.make_model("broken-new", "def model_fn(model_dir): raise RuntimeError('no such layer: conv9')")
    world.sagemaker.create_endpoint(EndpointName="careful", EndpointConfigName="good")
    assert world.endpoint("careful")["EndpointStatus"] == "InService"
    world.sagemaker.update_endpoint(EndpointName="careful", EndpointConfigName="broken-new")
    description = world.endpoint("careful")
    assert description["EndpointStatus"] == "InService"
    assert "no such layer: conv9" in description["FailureReason"]
    assert description["EndpointConfigName"] == "good"
    assert world.invoke("careful") == "good"
    world.delete_endpoint("careful")


def test_a_model_that_never_answers_a_ping(world: LiveWorld) -> None:
    """AWS's least patience is a minute; the test writes less of it where no request can."""
    name = "silent"
    world.make_model(name, "import time\ndef model_fn(model_dir): time.sleep(3600)")
    world.make_config("impatient", name, ContainerStartupHealthCheckTimeoutInSeconds=60)
    with contextlib.closing(sqlite3.connect(world.home / "clary.db")) as database, database:
        key = "ContainerStartupHealthCheckTimeoutInSeconds"
        changed = database.execute(
            "UPDATE records SET spec = replace(spec, ?, ?) WHERE name = 'impatient'", (f'"{key}":60', f'"{key}":1')
        )
        assert changed.rowcount == 1
    world.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="impatient")
    description = world.endpoint(name)
    assert description["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check within 1 s" in description["FailureReason"]
    world.delete_endpoint(name)


def test_a_model_that_fails_requests(world: LiveWorld) -> None:
    script = SERVE.format(port=world.gate.port).replace('return model, "text/plain"', "raise RuntimeError('NaN')")
    world.make_model("nan", script)
    world.sagemaker.create_endpoint(EndpointName="nan", EndpointConfigName="nan")
    assert world.endpoint("nan")["EndpointStatus"] == "InService"
    with pytest.raises(world.runtime.exceptions.ModelError, match="NaN"):
        world.invoke("nan")
    world.delete_endpoint("nan")
