"""botocore's service models, read as data: the operations, and the shapes of their requests and responses.

botocore itself is not imported: its model files are JSON, read on first use and kept without their documentation.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Shape = Mapping[str, Any]

# The services that Clary answers for: the folder of each model, and the prefix of X-Amz-Target ("" for AWS query).
SERVICES = {"sagemaker": "SageMaker", "logs": "Logs_20140328", "sts": "", "iam": ""}

# Instance types that mean this machine, accepted wherever the model lists `ml.*` names.
LOCAL_INSTANCE_TYPES = ("local", "local_gpu")


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a service. `input` and `output` name shapes; "" where there is none."""

    service: str
    name: str
    input: str
    output: str
    wrapper: str = ""  # the element around the result, in AWS query


@dataclass(frozen=True, slots=True)
class Service:
    """A service of AWS. `protocol` is json or query."""

    name: str
    protocol: str
    target: str
    namespace: str
    operations: Mapping[str, Operation]
    shapes: Mapping[str, Shape]


class Services:
    """The services that Clary answers for; a model is read when it is first needed."""

    def named(self, name: str) -> Service:
        """The service of that name. Raises KeyError where Clary does not answer for it."""
        if name not in SERVICES:
            raise KeyError(name)
        return _load(name)

    def by_target(self, prefix: str) -> Service | None:
        """The service whose X-Amz-Target starts with this prefix."""
        return next((_load(name) for name, target in SERVICES.items() if target and target == prefix), None)


@cache
def _load(name: str) -> Service:
    model = _read(name)
    shapes: dict[str, dict[str, Any]] = model["shapes"]
    for shape in shapes.values():
        _add_local_instance_types(shape)
    return Service(
        name=name,
        protocol=model["metadata"]["protocol"],
        target=model["metadata"].get("targetPrefix", ""),
        namespace=model["metadata"].get("xmlNamespace", ""),
        operations={op: _operation(name, op, raw) for op, raw in model["operations"].items()},
        shapes=shapes,
    )


def _operation(service: str, name: str, raw: Mapping[str, Any]) -> Operation:
    request, response = raw.get("input", {}), raw.get("output", {})
    return Operation(
        service, name, request.get("shape", ""), response.get("shape", ""), response.get("resultWrapper", "")
    )


def _read(name: str) -> dict[str, Any]:
    spec = find_spec("botocore")
    assert spec is not None, "botocore is a dependency"
    assert spec.origin is not None
    newest = max((Path(spec.origin).parent / "data" / name).glob("*/service-2.json.gz"))
    model: dict[str, Any] = json.loads(gzip.decompress(newest.read_bytes()), object_hook=_without_documentation)
    return model


def _without_documentation(raw: dict[str, Any]) -> dict[str, Any]:
    # Only texts are left out: a structure may well have a member of that name.
    if isinstance(raw.get("documentation"), str):
        del raw["documentation"]
    return raw


def _add_local_instance_types(shape: dict[str, Any]) -> None:
    if any(value.startswith("ml.") for value in shape.get("enum", ())):
        shape["enum"] = [*shape["enum"], *LOCAL_INSTANCE_TYPES]
