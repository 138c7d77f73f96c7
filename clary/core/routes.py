"""Where requests for an endpoint go: written by the control loop, read by the gateway.

One file per endpoint, `<home>/routes/<endpoint>.json`, replaced whole; no file means no such endpoint.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Replica:
    """One task that answers. `address` is http://host:port."""

    task_id: str
    address: str


@dataclass(frozen=True, slots=True)
class Variant:
    """A share of the traffic, weight / sum of weights, and the replicas that take it (none while they start)."""

    name: str
    weight: float
    replicas: tuple[Replica, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """What the gateway needs to know of one endpoint.

    uid      of the endpoint's record: metrics of a new endpoint under an old name start at zero
    status   AWS's EndpointStatus; requests are taken in InService, Updating, RollingBack, SystemUpdating,
             UpdateRollbackFailed
    """

    endpoint: str
    uid: str
    status: str
    variants: tuple[Variant, ...] = ()

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
                Variant(v["name"], v["weight"], tuple(Replica(r["task_id"], r["address"]) for r in v["replicas"]))
                for v in raw["variants"]
            ),
        )
