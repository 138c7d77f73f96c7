"""The state of an endpoint's record: its deployments, and its replicas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from clary.core import structured
from clary.core.records import JSON, Record
from clary.core.tasks import Resources

# 1 had no `version`: see `_upgraded`.
VERSION = 2


@dataclass(frozen=True, slots=True)
class ModelData:
    """Where a container's model lies: an archive, or objects below a prefix."""

    uri: str
    is_archive: bool


@dataclass(frozen=True, slots=True)
class Container:
    name: str
    image: str
    environment: Mapping[str, str] = field(default_factory=dict)
    model: ModelData | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """A production variant as it is deployed.

    containers   in the order in which requests go through them
    fused        several containers that are one program
    isolated     without network
    resources    of each replica
    count        how many replicas there shall be
    """

    name: str
    containers: tuple[Container, ...]
    resources: Resources
    count: int
    weight: float
    startup_timeout_s: float
    fused: bool = False
    isolated: bool = False


@dataclass(frozen=True, slots=True)
class Deployment:
    """An endpoint's own copy of a configuration and its models. `number` is never used again by the endpoint."""

    number: int
    config_name: str
    started_at: float
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class ReplicaRecord:
    """A replica as the record knows it: its task, and what it is a replica of."""

    task_id: str
    variant: str
    deployment: int
    retiring: bool = False


@dataclass(frozen=True, slots=True)
class Failures:
    """How many of a variant's replicas have failed in a row, and when the last did, epoch seconds."""

    count: int
    last_at: float


@dataclass(frozen=True, slots=True)
class EndpointState:
    """
    current       what serves, or is created
    incoming      what an update brings, until it has taken over or failed
    deployments   how many there have been
    last_serial   of the newest replica's task id
    failures      by variant; a variant whose replicas live has none
    """

    current: Deployment
    incoming: Deployment | None = None
    deployments: int = 1
    replicas: tuple[ReplicaRecord, ...] = ()
    last_serial: int = 0
    failures: Mapping[str, Failures] = field(default_factory=dict)
    version: int = VERSION

    @classmethod
    def of(cls, endpoint: Record) -> EndpointState:
        return cls.from_json(endpoint.state)

    @classmethod
    def from_json(cls, state: Mapping[str, JSON]) -> EndpointState:
        """Reads what an earlier version wrote too. Raises ValueError for what is no state."""
        return structured.from_json(cls, state if "version" in state else _upgraded(state))

    def to_json(self) -> dict[str, JSON]:
        return structured.to_members(self)

    def retire(self, which: Callable[[ReplicaRecord], bool]) -> EndpointState:
        """The same with these replicas retiring, beside those that do already."""
        replicas = (replace(replica, retiring=replica.retiring or which(replica)) for replica in self.replicas)
        return replace(self, replicas=tuple(replicas))


def _upgraded(state: Mapping[str, Any]) -> JSON:
    """A state of version 1 as version 2 writes it."""
    return {
        "current": _deployment(state["config"]),
        "incoming": _deployment(state["next"]) if state["next"] else None,
        "deployments": state["deployments"],
        "replicas": [{**replica, "task_id": replica["task"]} for replica in state["replicas"]],
        "last_serial": state["serial"],
        "failures": {
            variant: {"count": count, "last_at": last_at} for variant, (count, last_at) in state["failures"].items()
        },
        "version": VERSION,
    }


def _deployment(old: Mapping[str, Any]) -> JSON:
    return {
        "number": old["number"],
        "config_name": old["name"],
        "started_at": old["started"],
        "variants": [_variant(variant) for variant in old["variants"]],
    }


def _variant(old: Mapping[str, Any]) -> JSON:
    """Before there were pipelines, a variant was its only container."""
    containers = old.get("containers") or [{"name": "container-1", **old}]
    return cast(JSON, {**old, "containers": [_container(container) for container in containers]})


def _container(old: Mapping[str, Any]) -> JSON:
    model = old["model"]
    return {
        "name": old["name"],
        "image": old["image"],
        "environment": old["environment"],
        "model": {"uri": model["uri"], "is_archive": model["how"] == "archive"} if model else None,
    }
