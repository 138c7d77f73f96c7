"""Starts each host's program: bare, in bubblewrap, or as a container."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import clary
from clary.compute.environment import (
    OPT_ML,
    HostPaths,
    Ports,
    at_base,
    container_environment,
    host_gpus,
    process_environment,
)
from clary.compute.plan import Container, Plan, Process
from clary.core.tasks import Task
from clary.supervisor.folders import HostFolder, host_address
from clary.supervisor.outcome import CannotRun
from clary.supervisor.programs import BareProgram, Program, SandboxedProgram
from clary.supervisor.venv_layer import prefixes

if TYPE_CHECKING:
    from clary.compute.sandbox import Sandbox


def check_isolation(task: Task, plan: Plan) -> None:
    """Raises CannotRun where network isolation is requested and not possible. Replicas need a network, and have it."""
    if not task.isolated or task.serve is not None:
        return
    if isinstance(plan.execution, Process) and plan.execution.sandbox == "none":
        raise CannotRun(
            "ClientError: EnableNetworkIsolation needs bubblewrap, which does not work on this machine: "
            "install it (see `clary doctor`), or set EnableNetworkIsolation to false."
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
    match plan.execution:
        case Container() as container:
            return partial(_container, container, task, plan, host, folder, ports)
        case Process(sandbox="none") as process:
            return partial(_bare, process, task, plan, host, folder, ports)
        case Process() as process:
            return partial(_sandboxed, process, task, plan, host, folder, task_folder, ports)


def _bare(process: Process, task: Task, plan: Plan, host: str, folder: HostFolder, ports: Ports | None) -> Program:
    base = str(folder.ml)
    paths = HostPaths(base, str(folder.venv), str(folder.home), str(folder.tmp))
    environment = process_environment(task, plan, host, paths, ports, _inherited())
    argv = [at_base(word, base) for word in _own_python(process, folder)]
    return BareProgram(_on_path(argv, environment), environment, folder.ml / "code", task.resources.memory_mib)


def _sandboxed(
    process: Process, task: Task, plan: Plan, host: str, folder: HostFolder, task_folder: Path, ports: Ports | None
) -> Program:
    from clary.compute import sandbox

    paths = HostPaths(OPT_ML, str(folder.venv), str(folder.home), "/tmp")  # noqa: S108 its own
    environment = process_environment(task, plan, host, paths, ports, _inherited())
    inner = _sandbox(process, task, host, folder, task_folder, bool(plan.gpus))
    argv = _own_python(process, folder)
    return SandboxedProgram(
        lambda status_fd: sandbox.command(argv, inner, status_fd), environment, task.resources.memory_mib
    )


def _sandbox(process: Process, task: Task, host: str, folder: HostFolder, task_folder: Path, gpus: bool) -> Sandbox:
    from clary.compute import sandbox

    return sandbox.Sandbox(
        ml=str(folder.ml),
        tmp=str(folder.tmp),
        hosts_file=str(folder.etc_hosts),
        hostname=host,
        read_only=tuple(item.path.rstrip("/") for item in task.inputs if not item.writable),
        writable=(str(folder.venv), str(folder.home)),
        hidden=(str(_home(task_folder)),),
        visible=_visible_folders(process),
        isolated=task.isolated and task.serve is None,
        directory=f"{OPT_ML}/code",
        machine=sandbox.this_machine(gpus),
    )


def _container(
    container: Container, task: Task, plan: Plan, host: str, folder: HostFolder, ports: Ports | None
) -> Program:
    from clary.supervisor import containers

    inner = containers.bound_ports(container, ports) if ports else None
    environment = container_environment(task, plan, host, inner)
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    addresses = {name: host_address(task, name) for name in task.hosts}
    name = containers.container_name(task, host)
    command = containers.run_command(
        container,
        task,
        host,
        folder.ml,
        addresses,
        environment,
        own,
        ports.bind if ports else None,
        host_gpus(task, plan, host),
    )
    return containers.ContainerProgram(container, name, command, environment, own)


def _own_python(process: Process, folder: HostFolder) -> Sequence[str]:
    """The runtime's interpreter is the host's own: what a job installs is for it alone."""
    if process.argv[0] == process.python:
        return (str(folder.venv / "bin" / "python"), *process.argv[1:])
    return process.argv


def _on_path(argv: Sequence[str], environment: Mapping[str, str]) -> Sequence[str]:
    """A program without a path is searched on the job's PATH, as bubblewrap does by itself."""
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


def _visible_folders(process: Process) -> tuple[str, ...]:
    """Folders that a program must see even where they are inside a hidden one."""
    package = Path(clary.__file__).resolve().parent
    paths = [*prefixes(process.python), str(package.parent), str(package)]
    paths += [path for path in process.environment.get("PYTHONPATH", "").split(":") if path]
    paths += [str(Path(path).resolve()) for path in list(paths)]
    return tuple(dict.fromkeys(path for path in paths if Path(path).exists()))
