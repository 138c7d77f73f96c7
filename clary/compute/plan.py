"""How a task is run on this machine: written by the backend beside task.json, read by the task's supervisor.

The task is the same for every backend; the plan has what this machine decides: which program or container runs, with
which accelerators, and where the platform's own files and endpoints are. It holds keys, so only its owner may read it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

TASK_FILE = "task.json"
PLAN_FILE = "plan.json"
STATE_FILE = "state.json"
RESERVE_FILE = "reserve"  # room for the last states of a task whose disk has filled up
RESERVE_BYTES = 64 << 10
STOP_FILE = "stop"  # the grace in seconds; written before the supervisor is signalled
_LOCK_FILE = "supervisor.lock"
_OLD_LOCK_FILE = "holder"  # in folders that an earlier version made
# A task that waits for room while Clary is upgraded has a plan that names its program where it was before.
_MOVED_PROGRAMS = {("-m", "clary.data.job"): ("-m", "clary.tasks.recipe_job")}


def supervisor_lock(folder: Path) -> Path:
    """The lock file of a task's supervisor (see clary.detached.lock): without a pid the task waits."""
    old = folder / _OLD_LOCK_FILE
    return old if old.exists() else folder / _LOCK_FILE


@dataclass(frozen=True, slots=True)
class Process:
    """A program of this machine.

    argv         the whole command
    python       the interpreter of the runtime's environment: scripts find it as `python` and `python3`
    environment  what the runtime adds
    sandbox      bubblewrap: a mount namespace of its own, with /opt/ml; none: SAGEMAKER_BASE_DIR and SM_* have paths
    """

    argv: tuple[str, ...]
    python: str
    environment: dict[str, str]
    sandbox: Literal["bubblewrap", "none"]


@dataclass(frozen=True, slots=True)
class Container:
    """A container, run by podman or docker.

    engine      the command and its global options, e.g. ("podman",)
    options     put into `run`, e.g. ("--runtime", "runc")
    entrypoint  None: the image's own
    arguments   None: the image's own command
    """

    engine: tuple[str, ...]
    options: tuple[str, ...]
    image: str
    entrypoint: tuple[str, ...] | None
    arguments: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Platform:
    """Where the platform's own files and endpoints are, the same for every task.

    metrics         the folder of spool files; "" where the server that wrote the plan kept no metrics
    events_socket   gets a datagram, the JSON of Task.owner, when a task's state changed
    s3_folder       where the embedded S3's buckets lie; "" for an S3 elsewhere
    endpoint_url    AWS_ENDPOINT_URL for programs; s3_endpoint_url likewise
    """

    logs: str
    events_socket: str
    endpoint_url: str
    s3_endpoint_url: str
    s3_folder: str
    access_key_id: str
    secret_access_key: str
    s3_access_key_id: str
    s3_secret_access_key: str
    region: str
    account_id: str
    metrics: str = ""


Execution = Process | Container


@dataclass(frozen=True, slots=True)
class Plan:
    """How a task is run here.

    gpus      the indices of the accelerators this task holds
    pipeline  of an inference pipeline: host -> what is executed; `execution` is that of the first host
    """

    execution: Execution
    platform: Platform
    gpus: tuple[int, ...] = ()
    pipeline: Mapping[str, Execution] = field(default_factory=dict)

    def for_host(self, host: str) -> Plan:
        """The plan of one host."""
        if host not in self.pipeline:
            return self
        return dataclasses.replace(self, execution=self.pipeline[host], pipeline={})

    def to_json(self) -> str:
        pipeline = {
            host: [_kind(execution), dataclasses.asdict(execution)] for host, execution in self.pipeline.items()
        }
        whole = {"kind": _kind(self.execution), **dataclasses.asdict(self), "pipeline": pipeline}
        return json.dumps(whole, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Also of a plan that an earlier version wrote, with `how` and `links` for `execution` and `pipeline`."""
        raw: dict[str, Any] = json.loads(text)
        pipeline = raw.get("pipeline") or raw.get("links") or {}
        return cls(
            execution=_execution(raw["kind"], raw["execution"] if "execution" in raw else raw["how"]),
            platform=Platform(**raw["platform"]),
            gpus=tuple(raw["gpus"]),
            pipeline={host: _execution(kind, execution) for host, (kind, execution) in pipeline.items()},
        )


def _kind(execution: Execution) -> str:
    return "process" if isinstance(execution, Process) else "container"


def _execution(kind: str, raw: dict[str, Any]) -> Execution:
    if kind == "process":
        python, *arguments = raw["argv"]
        program = _MOVED_PROGRAMS.get(tuple(arguments[:2]), arguments[:2])
        return Process((python, *program, *arguments[2:]), raw["python"], raw["environment"], raw["sandbox"])
    return Container(
        tuple(raw["engine"]),
        tuple(raw["options"]),
        raw["image"],
        None if raw["entrypoint"] is None else tuple(raw["entrypoint"]),
        None if raw["arguments"] is None else tuple(raw["arguments"]),
    )
