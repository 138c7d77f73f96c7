"""A host's program as a container of podman or docker."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from clary.compute.environment import CONTAINER_PORT, LOOPBACK, OPT_ML, Ports
from clary.compute.plan import Container
from clary.core.tasks import Task
from clary.supervisor.outcome import CannotRun, with_log
from clary.supervisor.programs import ProgramEnd, exit_code, start

# One by one, never the whole of /opt/ml: images bring their own code below it.
_MOUNTED = {"training": ("input", "output", "model", "checkpoints"), "processing": ("config", "output")}
_NETWORK_OPTIONS = ("--network", "--net")
_ANSWER_S = 30.0
_POLL_S = 0.1
_LABEL = "clary.task"


def container_name(task: Task, host: str) -> str:
    """The same whenever it is completed for, so that what an earlier supervisor left can be found."""
    return f"clary-{task.id}-{host}"


def run_command(
    container: Container,
    task: Task,
    host: str,
    ml: Path,
    addresses: Mapping[str, str],
    environment: Mapping[str, str],
    own: Mapping[str, str],
    port: int | None,
    gpus: Sequence[int],
) -> list[str]:
    """The engine's whole `run` command.

    environment  the container's. A value is taken from the engine's own environment, so that no key shows in a list
                 of processes, unless the engine needs that variable for itself (`own` has it)
    port         of this machine, for a replica
    """
    command = [*container.engine, "run", "--name", container_name(task, host), "--label", f"{_LABEL}={task.id}"]
    command += ["--pull", "never", "--log-driver", "none", "--security-opt", "label=disable"]
    command += [
        *_network(container, task, host, addresses, port),
        *_limits(container, task),
        *_accelerators(container, gpus),
    ]
    for mount in _mounts(task, ml):
        command += ["--mount", mount]
    for name, value in environment.items():
        command += ["--env", f"{name}={value}" if name in own else name]
    command += container.options
    entrypoint = list(container.entrypoint or ())
    command += ["--entrypoint", entrypoint[0]] if entrypoint else []
    return [*command, container.image, *entrypoint[1:], *(container.arguments or ())]


def bound_ports(container: Container, held: Ports) -> Ports:
    """The ports as the container sees them: the usual one, published, unless it shares the machine's network."""
    return held if _shares_network(container) else Ports(CONTAINER_PORT, (CONTAINER_PORT + 1, CONTAINER_PORT + 9))


def _network(container: Container, task: Task, host: str, addresses: Mapping[str, str], port: int | None) -> list[str]:
    names = [argument for name, address in addresses.items() for argument in ("--add-host", f"{name}:{address}")]
    if any(option.partition("=")[0] in _NETWORK_OPTIONS for option in container.options):
        return names  # the settings choose
    if port is not None:
        return ["--hostname", host, "--publish", f"{LOOPBACK}:{port}:{CONTAINER_PORT}", *names]
    if task.isolated:
        return ["--hostname", host, "--network", "none", *names]
    # The platform listens on loopback, which a container reaches in the machine's own network alone.
    return ["--network", "host", *names]


def _shares_network(container: Container) -> bool:
    options = " ".join(container.options).replace("=", " ").split()
    return any(name in _NETWORK_OPTIONS and kind == "host" for name, kind in itertools.pairwise(options))


def _limits(container: Container, task: Task) -> list[str]:
    if "--cgroups=disabled" in container.options:
        return []
    limits = ["--memory", f"{task.resources.memory_mib}m"] if task.resources.memory_mib else []
    if task.resources.memory_mib:
        limits += ["--shm-size", f"{max(64, task.resources.memory_mib // 2)}m"]
    if task.resources.cpus < (os.cpu_count() or 1):
        limits += ["--cpus", f"{task.resources.cpus:g}"]
    return limits


def _accelerators(container: Container, gpus: Sequence[int]) -> list[str]:
    if not gpus:
        return []
    if Path(container.engine[0]).name == "docker":
        return ["--gpus", f'"device={",".join(map(str, gpus))}"']
    return [option for gpu in gpus for option in ("--device", f"nvidia.com/gpu={gpu}")]


def _mounts(task: Task, ml: Path) -> list[str]:
    read_only = {item.path.rstrip("/") for item in task.inputs if not item.writable}
    always = _MOUNTED[task.layout]
    wanted = {*always, *read_only}
    others = [path.rstrip("/") for path in (*(i.path for i in task.inputs), *(o.path for o in task.outputs))]
    others += [str(PurePosixPath(path).parent) for path in (*task.files, *task.host_files) if "/" in path]
    wanted |= {path for path in others if path.partition("/")[0] not in always}
    return [
        f"type=bind,source={ml}/{path},target={OPT_ML}/{path}{',readonly' if path in read_only else ''}"
        for path in sorted(wanted)
    ]


class ContainerProgram:
    """Its process is the engine's `run` command; the container itself belongs to the engine."""

    def __init__(
        self,
        container: Container,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        own: Mapping[str, str],
    ) -> None:
        self._engine = container.engine
        self._name = name
        self._killed = False
        self._helpers: list[subprocess.Popen[bytes]] = []
        self.pid, self.output = start(
            command, {**environment, **own}, Path("/"), memory_mib=0, dies_with_supervisor=False
        )

    def terminate(self) -> None:
        self._run_detached("kill", "--signal", "SIGTERM", self._name)

    def kill(self) -> None:
        """Kill the container; called again, the engine's command too, which may hang."""
        self._run_detached("kill", self._name)
        if self._killed:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._killed = True

    def ended(self, status: int) -> ProgramEnd:
        code = exit_code(status)
        state = self._inspect()
        self._run_engine("rm", "--force", self._name)
        if not state or state[1].startswith("0001-"):
            text = f"ClientError: The container could not be started, exit code of {self._engine[0]}: {code}"
            return ProgramEnd(code, reason="" if self._killed else text)
        if state[0] == "true":
            return ProgramEnd(code, reason="AlgorithmError: The container ran out of memory and was killed")
        return ProgramEnd(code)

    def _inspect(self) -> list[str]:
        """Whether it was killed for memory, and when it was started."""
        answer = self._run_engine("inspect", "--format", "{{.State.OOMKilled}} {{json .State.StartedAt}}", self._name)
        return answer.replace('"', "").split() if answer else []

    def _run_detached(self, *arguments: str) -> None:
        """Without waiting: the loop that reaps every child takes it away."""
        with suppress(OSError):
            self._helpers.append(
                subprocess.Popen(
                    [*self._engine, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            self._helpers[-1].returncode = 0

    def _run_engine(self, *arguments: str) -> str:
        return _output_of([*self._engine, *arguments])


def pull_image(container: Container, cancelled: Callable[[], bool]) -> None:
    """Pull the image where this machine does not have it. Raises CannotRun where it cannot be pulled."""
    if _output_of([*container.engine, "image", "inspect", "--format", "{{.Id}}", container.image]):
        return
    command = [*container.engine, "pull", container.image]
    with tempfile.TemporaryFile() as output:
        pulling = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        while pulling.poll() is None:
            if cancelled():
                pulling.kill()
            time.sleep(_POLL_S)
        if pulling.returncode and not cancelled():
            output.seek(0)
            lines = output.read(1 << 16).decode("utf-8", "replace").splitlines()
            raise CannotRun(with_log(f"ClientError: The image {container.image!r} could not be pulled", lines[-2:]))


def _output_of(command: Sequence[str]) -> str:
    """What a short command of the engine prints; "" where it fails."""
    try:
        completed = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return completed.stdout.decode("utf-8", "replace").strip() if completed.returncode == 0 else ""
