"""Where requests for an endpoint go: written by the control loop, read by the gateway.

One file per endpoint, `<home>/routes/<endpoint>.json`, replaced whole; no file means no such endpoint.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Mode(StrEnum):
    """How an endpoint takes requests."""

    REAL_TIME = "real-time"  # replicas that always run
    SERVERLESS = "serverless"  # replicas that start when a request waits for them
    ASYNC = "async"  # a queue of requests; answers go to S3


@dataclass(frozen=True, slots=True)
class Replica:
    """A task that answers requests. `address` is http://host:port.

    pipeline   of a pipeline, the names of its containers in the order in which requests go through them
    further    and the addresses of those behind the first
    """

    task_id: str
    address: str
    pipeline: tuple[str, ...] = ()
    further: tuple[str, ...] = ()

    @property
    def container(self) -> str:
        """The name that error messages give to the container at `address`."""
        return self.pipeline[0] if self.pipeline else "primary"

    def further_containers(self) -> list[Replica]:
        """The containers behind the first, in their order, each with the address to connect to."""
        return [
            Replica(self.task_id, address, (name,))
            for name, address in zip(self.pipeline[1:], self.further, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Variant:
    """A share of the traffic, weight / sum of weights, and the replicas that take it (none while they start)."""

    name: str
    weight: float
    replicas: tuple[Replica, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """What the gateway needs to know of an endpoint.

    uid      of the endpoint's record: metrics of a new endpoint under an old name start at zero
    status   AWS's EndpointStatus; requests are taken in InService, Updating, RollingBack, SystemUpdating,
             UpdateRollbackFailed
    mode     decides which operations and members of a request the endpoint takes; a file without it is real-time
    """

    endpoint: str
    uid: str
    status: str
    variants: tuple[Variant, ...] = ()
    mode: Mode = Mode.REAL_TIME

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Route:
        raw: dict[str, Any] = json.loads(text)
        return cls(
            endpoint=raw["endpoint"],
            uid=raw["uid"],
            status=raw["status"],
            variants=tuple(
                Variant(v["name"], v["weight"], tuple(_replica(r) for r in v["replicas"])) for v in raw["variants"]
            ),
            mode=Mode(raw.get("mode", Mode.REAL_TIME)),
        )


def _replica(raw: dict[str, Any]) -> Replica:
    return Replica(raw["task_id"], raw["address"], tuple(raw.get("pipeline", ())), tuple(raw.get("further", ())))
