"""How each host's program is started: bare, in bubblewrap, or as a container."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import clary
from clary.compute.environment import (
    OPT_ML,
    Places,
    Ports,
    at_base,
    container_environment,
    host_gpus,
    process_environment,
)
from clary.compute.plan import Container, Plan, Process
from clary.core.tasks import Task
from clary.supervisor.endings import CannotRun
from clary.supervisor.folders import HostFolder, host_address
from clary.supervisor.overlay import prefixes
from clary.supervisor.programs import BareProgram, Program, SandboxedProgram

if TYPE_CHECKING:
    from clary.compute.sandbox import Sandbox


def check_isolation(task: Task, plan: Plan) -> None:
    """A promise of no network is kept or refused. Replicas are reached over the network, so they have one."""
    if not task.isolated or task.serve is not None:
        return
    if isinstance(plan.how, Process) and plan.how.sandbox == "none":
        raise CannotRun(
            "ClientError: EnableNetworkIsolation needs bubblewrap, which does not work on this machine: "
            "install it (`clary doctor` tells more), or set EnableNetworkIsolation to false."
        )
    if len(task.hosts) > 1:
        raise CannotRun(
            "ClientError: EnableNetworkIsolation is not possible with more than one instance here: "
            "the instances could not reach each other. Set InstanceCount to 1, or EnableNetworkIsolation to false."
        )


def launcher(
    task: Task, plan: Plan, host: str, folder: HostFolder, task_folder: Path, ports: Ports | None
) -> Callable[[], Program]:
    """Starts the host's program when called; raises CannotRun where it cannot be."""
    match plan.how:
        case Container() as how:
            return partial(_container, how, task, plan, host, folder, ports)
        case Process(sandbox="none") as how:
            return partial(_bare, how, task, plan, host, folder, ports)
        case Process() as how:
            return partial(_sandboxed, how, task, plan, host, folder, task_folder, ports)


def _bare(how: Process, task: Task, plan: Plan, host: str, folder: HostFolder, ports: Ports | None) -> Program:
    base = str(folder.ml)
    places = Places(base, str(folder.venv), str(folder.home), str(folder.tmp))
    environment = process_environment(task, plan, host, places, ports, _inherited())
    argv = [at_base(word, base) for word in _own_python(how, folder)]
    return BareProgram(_found(argv, environment), environment, folder.ml / "code", task.resources.memory_mib)


def _sandboxed(
    how: Process, task: Task, plan: Plan, host: str, folder: HostFolder, task_folder: Path, ports: Ports | None
) -> Program:
    from clary.compute import sandbox

    places = Places(OPT_ML, str(folder.venv), str(folder.home), "/tmp")  # noqa: S108 its own
    environment = process_environment(task, plan, host, places, ports, _inherited())
    inner = _sandbox(how, task, host, folder, task_folder, bool(plan.gpus))
    argv = _own_python(how, folder)
    return SandboxedProgram(
        lambda status_fd: sandbox.command(argv, inner, status_fd), environment, task.resources.memory_mib
    )


def _sandbox(how: Process, task: Task, host: str, folder: HostFolder, task_folder: Path, gpus: bool) -> Sandbox:
    from clary.compute import sandbox

    return sandbox.Sandbox(
        ml=str(folder.ml),
        tmp=str(folder.tmp),
        hosts_file=str(folder.etc_hosts),
        hostname=host,
        read_only=tuple(item.path.rstrip("/") for item in task.inputs if not item.writable),
        writable=(str(folder.venv), str(folder.home)),
        hidden=(str(_home(task_folder)),),
        visible=_needed(how),
        isolated=task.isolated and task.serve is None,
        directory=f"{OPT_ML}/code",
        machine=sandbox.this_machine(gpus),
    )


def _container(how: Container, task: Task, plan: Plan, host: str, folder: HostFolder, ports: Ports | None) -> Program:
    from clary.supervisor import containers

    inner = containers.bound_ports(how, ports) if ports else None
    environment = container_environment(task, plan, host, inner)
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    addresses = {name: host_address(task, name) for name in task.hosts}
    name = containers.container_name(task, host)
    command = containers.run_command(
        how,
        task,
        host,
        folder.ml,
        addresses,
        environment,
        own,
        ports.bind if ports else None,
        host_gpus(task, plan, host),
    )
    return containers.ContainerProgram(how, name, command, environment, own)


def _own_python(how: Process, folder: HostFolder) -> Sequence[str]:
    """The runtime's interpreter is the host's own one: what a job installs is for it alone."""
    if how.argv[0] == how.python:
        return (str(folder.venv / "bin" / "python"), *how.argv[1:])
    return how.argv


def _found(argv: Sequence[str], environment: Mapping[str, str]) -> Sequence[str]:
    """A program without a path is looked for where the job's PATH says, as bubblewrap does by itself."""
    if "/" in argv[0]:
        return argv
    for directory in environment["PATH"].split(":"):
        if os.access(path := f"{directory}/{argv[0]}", os.X_OK):
            return (path, *argv[1:])
    raise CannotRun(f"ClientError: The program could not be started: {argv[0]!r} is not on PATH")


def _inherited() -> dict[str, str]:
    """This process's environment. A program has a home of its own, but packages come from where the user's do."""
    inherited = dict(os.environ)
    for name in (".config/pip/pip.conf", ".pip/pip.conf"):
        file = Path(inherited.get("HOME", "/"), name)
        if "PIP_CONFIG_FILE" not in inherited and os.access(file, os.R_OK):
            inherited["PIP_CONFIG_FILE"] = str(file)
    return inherited


def _home(task_folder: Path) -> Path:
    """The platform's home: tasks lie in `<home>/tasks`."""
    return task_folder.resolve().parent.parent


def _needed(how: Process) -> tuple[str, ...]:
    """What a program must see even where it lies in a folder that is hidden."""
    package = Path(clary.__file__).resolve().parent
    paths = [*prefixes(how.python), str(package.parent), str(package)]
    paths += [path for path in how.environment.get("PYTHONPATH", "").split(":") if path]
    paths += [str(Path(path).resolve()) for path in list(paths)]
    return tuple(dict.fromkeys(path for path in paths if Path(path).exists()))
