"""What a backend runs, and the state it reports. The server writes a Task; the task's supervisor reads it.

A task is one or more *hosts* (`algo-1` … `algo-N`) started together: one program with one /opt/ml each, whose
outputs are merged at the end. A *replica* is a task that answers requests (`serve` is set).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal


class Phase(StrEnum):
    """Where a task stands.

    ABSENT ──> PENDING ──> STAGING ──> RUNNING ──────────> COLLECTING ──> EXITED
                                          └──> READY ──────────┘
    From every phase: EXITED (it failed, or was stopped), or LOST (its supervisor died with it).
    """

    ABSENT = "Absent"  # never launched, or forgotten
    PENDING = "Pending"  # waits for CPUs, memory or accelerators
    STAGING = "Staging"  # inputs are brought to it
    RUNNING = "Running"  # the program runs; a replica has not answered a ping yet
    READY = "Ready"  # a replica answers pings
    COLLECTING = "Collecting"  # the program ended, outputs are uploaded
    EXITED = "Exited"
    LOST = "Lost"

    @property
    def over(self) -> bool:
        return self in (Phase.EXITED, Phase.LOST)


class Cause(StrEnum):
    """Why a task ended, where its program did not end by itself."""

    NONE = ""
    STOPPED = "Stopped"  # on request
    TIME_LIMIT = "TimeLimit"  # max_runtime_s passed


@dataclass(frozen=True, slots=True)
class Resources:
    """What each host of a task holds while it lives: no more CPUs and memory than the backend's `machine` has."""

    cpus: float = 1.0
    memory_mib: int = 0  # 0: no limit, nothing held
    gpus: int = 0
    accelerator: str = "gpu"  # what `gpus` counts; InstanceType names the other kinds


@dataclass(frozen=True, slots=True)
class Input:
    """Objects brought to the task before it starts.

    kind         prefix     every object whose key starts with the URI's key (S3Prefix: a string prefix, not a folder)
                 manifest   the objects a ManifestFile names
                 archive    one .tar.gz, unpacked
    uri          s3://bucket/key
    path         where, relative to /opt/ml, e.g. "input/data/train"
    sharded      each host gets every N-th object (ShardedByS3Key) instead of all
    shuffle_seed the order of objects is shuffled with it
    writable     the program may write there; else it may be handed the stored bytes in place, read-only
    optional     nothing under the URI is no failure
    """

    kind: Literal["prefix", "manifest", "archive"]
    uri: str
    path: str
    sharded: bool = False
    shuffle_seed: int | None = None
    writable: bool = True
    optional: bool = False

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Input:
        """Also an input that an earlier version wrote, with `how` for `kind`."""
        return cls(**{"kind" if name == "how" else name: value for name, value in raw.items()})


@dataclass(frozen=True, slots=True)
class Output:
    """A directory that is uploaded when the task has ended.

    path      a directory relative to /opt/ml, e.g. "model"; hosts' directories are merged
    uri       s3://bucket/key.tar.gz for an archive; s3://bucket/prefix/ for plain files
    archive   one tar.gz of the directory's contents, or plain files
    always    also when the program failed
    empty     upload an archive even when the directory is empty
    links     symbolic links that stay inside the directory are taken too (as what they lead to, in plain files)
    continuous  plain files are also uploaded while the program runs, each when it has not changed for a while
    """

    path: str
    uri: str
    archive: bool = True
    always: bool = False
    empty: bool = False
    links: bool = True
    continuous: bool = False


@dataclass(frozen=True, slots=True)
class Serve:
    """A task that answers requests. Its program listens on the port named by SAGEMAKER_BIND_TO_PORT."""

    startup_timeout_s: float = 240.0
    ping_interval_s: float = 5.0
    ping_timeout_s: float = 2.0
    unhealthy_after: int = 3  # failed pings in a row, once it was ready


@dataclass(frozen=True, slots=True)
class PipelineContainer:
    """One container of an inference pipeline: what one host runs, with a model and an environment of its own."""

    image: str
    environment: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """What to run. JSON all through: it is written to disk and read by the supervisor.

    id            deterministic: the same before and after a restart of the server
    owner         (kind, name, uid) of the record it belongs to
    image         an image URI: one that resolves to a runtime of this machine, or a container image
    command       the argument of the image's own program: "train", "serve", or "" for nothing; ignored where entrypoint
                  or arguments are given
    environment   in addition to what the platform itself sets
    files         text files to write as they are, path relative to /opt/ml
    host_files    likewise, but {host} in them stands for the host's name, {network_interface} for the interface over
                  which hosts reach each other
    log_group     e.g. /aws/sagemaker/TrainingJobs
    log_stream    one per host; {host} stands for its name
    metrics       (name, regular expression) pairs searched in every log line
    metric_dimensions   CloudWatch's dimensions of these metrics, e.g. {"TrainingJobName": …}; their namespace is the
                  log group
    max_runtime_s counts from the program's start; None: no limit
    grace_s       between SIGTERM and SIGKILL
    queued_at     when it was asked for, epoch seconds: first come, first served
    isolated      no network (EnableNetworkIsolation)
    layout        of /opt/ml, a training job's (and a replica's) or a processing job's: which folders there are
                  besides those of inputs, outputs and files, which SM_* variables are set, whether a message is read
    pipeline      of a replica whose requests go through several containers: host -> what it runs. Requests go through
                  them in the order of `hosts`; `image`, `environment` and `inputs` are not used then
    """

    id: str
    owner: tuple[str, str, str]
    image: str
    command: Literal["train", "serve", ""] = "train"
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ("algo-1",)
    files: Mapping[str, str] = field(default_factory=dict)
    host_files: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    resources: Resources = Resources()
    log_group: str = "/aws/sagemaker/TrainingJobs"
    log_stream: str = "{host}"
    metrics: tuple[tuple[str, str], ...] = ()
    metric_dimensions: Mapping[str, str] = field(default_factory=dict)
    max_runtime_s: float | None = None
    grace_s: float = 120.0
    serve: Serve | None = None
    queued_at: float = 0.0
    isolated: bool = False
    layout: Literal["training", "processing"] = "training"
    pipeline: Mapping[str, PipelineContainer] = field(default_factory=dict)

    def for_host(self, host: str) -> Task:
        """The task of one host: in a pipeline, with the container which that host runs."""
        if host not in self.pipeline:
            return self
        container = self.pipeline[host]
        return dataclasses.replace(
            self, image=container.image, environment=container.environment, inputs=container.inputs
        )

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Task:
        raw: dict[str, Any] = json.loads(text)
        return cls(
            **{
                **raw,
                "owner": tuple(raw["owner"]),
                "entrypoint": tuple(raw["entrypoint"]),
                "arguments": tuple(raw["arguments"]),
                "hosts": tuple(raw["hosts"]),
                "inputs": _inputs(raw["inputs"]),
                "pipeline": {
                    host: PipelineContainer(container["image"], container["environment"], _inputs(container["inputs"]))
                    for host, container in raw.get("pipeline", {}).items()
                },
                "outputs": tuple(Output(**item) for item in raw["outputs"]),
                "resources": Resources(**raw["resources"]),
                "metrics": tuple((name, regex) for name, regex in raw["metrics"]),
                "serve": Serve(**raw["serve"]) if raw["serve"] else None,
            }
        )


def _inputs(raw: list[dict[str, Any]]) -> tuple[Input, ...]:
    return tuple(map(Input.from_json, raw))


@dataclass(frozen=True, slots=True)
class Metric:
    """The last value seen of a metric, and when, epoch seconds."""

    value: float
    at: float


@dataclass(frozen=True, slots=True)
class TaskState:
    """The state of a task, as a backend reports it.

    exit_code     the first non-zero one of the hosts, else 0; None where the program never ended by itself
    failure       "" or the text for FailureReason, blame first: "AlgorithmError: …", "ClientError: …",
                  "CapacityError: …", "InternalServerError: …"; at most 1024 characters
    cause         why it ended, where its program did not end by itself
    message       what a processing job left in /opt/ml/output/message, at most 1024 bytes of UTF-8
    address       of a replica: the URL at which the gateway reaches it; "" while there is none
    pipeline_addresses  of an inference pipeline: the addresses of the hosts behind the first
    uploaded      Output.path -> URI, for each output that is wholly in S3
    *_at          epoch seconds, 0 while not reached: staging (inputs), started (program), ended (program), over
    """

    phase: Phase
    owner: tuple[str, str, str] | None = None
    exit_code: int | None = None
    failure: str = ""
    cause: Cause = Cause.NONE
    message: str = ""
    address: str = ""
    pipeline_addresses: tuple[str, ...] = ()
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    uploaded: Mapping[str, str] = field(default_factory=dict)
    staging_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    over_at: float = 0.0

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> TaskState:
        """Also of a state that a supervisor of an earlier version writes, with `further` for `pipeline_addresses`."""
        raw: dict[str, Any] = json.loads(text)
        addresses = raw.pop("further", ())
        return cls(
            **{
                **raw,
                "phase": Phase(raw["phase"]),
                "cause": Cause(raw["cause"]),
                "owner": tuple(raw["owner"]) if raw["owner"] else None,
                "pipeline_addresses": tuple(raw.get("pipeline_addresses", addresses)),
                "metrics": {name: Metric(**value) for name, value in raw["metrics"].items()},
            }
        )


ABSENT = TaskState(Phase.ABSENT)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line a program printed."""

    at: datetime
    text: str
