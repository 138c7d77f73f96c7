from __future__ import annotations

from pathlib import Path

import pytest

from clary.compute.environment import Ports
from clary.compute.plan import Container
from clary.core.tasks import Input, Output, Resources, Task
from clary.supervisor import containers

TASK = Task("t", ("training-job", "n", "u"), "image", log_stream="n/{host}-1")


PODMAN = Container(("podman", "--root", "/r"), ("--runtime", "runc"), "image:1", None, ("train",))


def run_command(
    container: Container = PODMAN, task: Task = TASK, port: int | None = None, **environment: str
) -> list[str]:
    return containers.run_command(
        container, task, "algo-1", Path("/ml"), {"algo-1": "127.1.1.1"}, environment, {"PATH": "/bin"}, port, ()
    )


def values_of(command: list[str], option: str) -> list[str]:
    return [command[index + 1] for index, argument in enumerate(command) if argument == option]


def test_the_image_and_its_command_come_last() -> None:
    command = run_command()
    assert command[:4] == ["podman", "--root", "/r", "run"]
    assert command[-4:] == ["--runtime", "runc", "image:1", "train"]
    assert values_of(command, "--name") == ["clary-t-algo-1"]


@pytest.mark.parametrize(
    ("entrypoint", "arguments", "end"),
    [
        (None, None, ["image:1"]),
        (("python", "-u"), None, ["--entrypoint", "python", "image:1", "-u"]),
        (("sh",), ("-c", "x"), ["--entrypoint", "sh", "image:1", "-c", "x"]),
        (None, ("a", "b"), ["image:1", "a", "b"]),
    ],
)
def test_entrypoint_and_arguments(
    entrypoint: tuple[str, ...] | None, arguments: tuple[str, ...] | None, end: list[str]
) -> None:
    command = run_command(Container(("docker",), (), "image:1", entrypoint, arguments))
    assert command[-len(end) :] == end


def test_opt_ml_is_never_mounted_whole() -> None:
    task = Task(
        "t", TASK.owner, "image", files={"config/processingjobconfig.json": "{}", "input/config/x.json": "{}"},
        inputs=(
            Input("prefix", "s3://b/x", "input/data/train", writable=False),
            Input("prefix", "s3://b/y", "processing/input/data"),
        ),
        outputs=(Output("model", "s3://b/m.tar.gz"), Output("processing/output", "s3://b/o/", archive=False)),
    )  # fmt: skip
    targets = [mount.split("target=")[1] for mount in values_of(run_command(task=task), "--mount")]
    assert targets == [
        "/opt/ml/checkpoints",
        "/opt/ml/config",
        "/opt/ml/input",
        "/opt/ml/input/data/train,readonly",
        "/opt/ml/model",
        "/opt/ml/output",
        "/opt/ml/processing/input/data",
        "/opt/ml/processing/output",
    ]


def test_of_a_processing_jobs_folders_each_is_mounted_for_itself() -> None:
    """Images bring code of their own below /opt/ml, which a folder on top would hide."""
    task = Task(
        "t", ("processing-job", "n", "u"), "image", layout="processing",
        files={"config/processingjobconfig.json": "{}"}, host_files={"config/resourceconfig.json": "{}"},
        inputs=(
            Input("prefix", "s3://b/y", "processing/input", writable=False),
            Input("prefix", "s3://b/x", "processing/code/here"),
        ),
        outputs=(Output("processing/output/train", "s3://b/o/", archive=False),),
    )  # fmt: skip
    targets = [mount.split("target=")[1] for mount in values_of(run_command(task=task), "--mount")]
    assert targets == [
        "/opt/ml/config",
        "/opt/ml/output",
        "/opt/ml/processing/code/here",
        "/opt/ml/processing/input,readonly",
        "/opt/ml/processing/output/train",
    ]


def test_keys_do_not_show_in_a_list_of_processes() -> None:
    command = run_command(AWS_SECRET_ACCESS_KEY="secret", PATH="/container/bin")
    assert values_of(command, "--env") == ["AWS_SECRET_ACCESS_KEY", "PATH=/container/bin"]
    assert not [argument for argument in command if "secret" in argument]


@pytest.mark.parametrize(
    ("options", "port", "isolated", "network", "published"),
    [
        ((), None, False, ["host"], []),
        ((), None, True, ["none"], []),
        ((), 20010, True, [], ["127.0.0.1:20010:8080"]),
        (("--network", "own"), None, False, ["own"], []),
        (("--network", "host"), 20010, False, ["host"], []),
    ],
)
def test_networks(
    options: tuple[str, ...], port: int | None, isolated: bool, network: list[str], published: list[str]
) -> None:
    container = Container(("podman",), options, "image:1", None, None)
    command = run_command(container, Task("t", TASK.owner, "", isolated=isolated), port)
    assert values_of(command, "--network") == network
    assert values_of(command, "--publish") == published
    assert values_of(command, "--add-host") == ["algo-1:127.1.1.1"]


def test_a_container_in_the_machines_network_binds_the_port_itself() -> None:
    with_options = [Container(("podman",), options, "", None, None) for options in ((), ("--network=host",))]
    ports = Ports(20010, (20011, 20019))
    assert [containers.bound_ports(container, ports).bind for container in with_options] == [8080, 20010]


def test_limits_of_an_instance() -> None:
    command = run_command(task=Task("t", TASK.owner, "", resources=Resources(0.5, 512)))
    assert (values_of(command, "--memory"), values_of(command, "--cpus"), values_of(command, "--shm-size")) == (
        ["512m"],
        ["0.5"],
        ["256m"],
    )
