"""What instance types mean: `ml.m5.xlarge` is four vCPUs and 16 GiB.

Most follow from the name: the size gives the vCPUs, the family the memory for each of them. Where the rule fails the
figure stands in a table.
Reference: Amazon EC2 Instance Types; the enums of the SageMaker service model list the names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from clary.core.errors import ValidationException
from clary.core.tasks import Resources


@dataclass(frozen=True, slots=True)
class InstanceType:
    """An instance type's figures. `local` and `local_gpu` have zeros: they are the machine, whatever it has.

    gpus          accelerators of one instance
    accelerator   what they are: "gpu", or "inferentia", "trainium", "gaudi", which no machine of Clary's has
    """

    name: str
    vcpus: int
    memory_mib: int
    gpus: int = 0
    accelerator: str = "gpu"


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to run tasks on."""

    cpus: float
    memory_mib: int
    gpus: int = 0


def instance_type(name: str) -> InstanceType:
    """The figures of an instance type. Raises ValidationException for a name that is not an instance type."""
    if name in ("local", "local_gpu"):
        return InstanceType(name, 0, 0, int(name == "local_gpu"))
    found = _NAME.fullmatch(name)
    gib_per_vcpu = _GIB_PER_VCPU.get(found["family"]) or _GIB_PER_VCPU.get(found["class"]) if found else None
    if found is None or gib_per_vcpu is None:
        raise _unknown(name)
    family, size = found["family"], found["size"]
    vcpus, gib = _EXCEPTIONS.get(f"{family}.{size}") or (_vcpus(size), _vcpus(size) * gib_per_vcpu)
    accelerators = _ACCELERATORS.get(family)
    if accelerators is None and found["class"] not in ("c", "m", "r", "t"):
        raise _unknown(name)
    if accelerators is not None and size not in accelerators:
        raise _unknown(name)
    kind = next((kind for prefix, kind in _NOT_GPUS.items() if family.startswith(prefix)), "gpu")
    return InstanceType(name, vcpus, round(gib * 1024), accelerators[size] if accelerators else 0, kind)


def resources_for(name: str, machine: Machine) -> tuple[Resources, bool]:
    """What a host of this instance type holds on this machine, and whether that is less than the type has.

    CPUs and memory are clamped to the machine, accelerators never: accelerators that are not there are the backend's
    CapacityError. Raises ValidationException for a name that is no instance type.
    """
    wanted = instance_type(name)
    if name in ("local", "local_gpu"):
        return Resources(machine.cpus, 0, max(machine.gpus, wanted.gpus) if wanted.gpus else 0), False
    cpus, memory_mib = min(wanted.vcpus, machine.cpus), min(wanted.memory_mib, machine.memory_mib)
    clamped = cpus < wanted.vcpus or memory_mib < wanted.memory_mib
    return Resources(cpus, memory_mib, wanted.gpus, wanted.accelerator), clamped


def is_clamped(resources: Resources, name: str) -> bool:
    """Whether these are less than an instance type has at AWS."""
    full = instance_type(name)
    return resources.cpus < full.vcpus or resources.memory_mib < full.memory_mib


def _vcpus(size: str) -> int:
    """By the rule: an xlarge has four, an Nxlarge N times as many."""
    return {"medium": 1, "large": 2}.get(size) or 4 * int(size.removesuffix("xlarge") or 1)


def _unknown(name: str) -> ValidationException:
    return ValidationException(f'Instance type "{name}" is not known: use one such as ml.m5.xlarge, or local.')


_NAME = re.compile(r"ml\.(?P<family>(?P<class>[a-z]+)\d\w*(?:-\w+)?)\.(?P<size>medium|large|\d{0,3}xlarge)")

# By family; where the family is not named, by its class letter.
_GIB_PER_VCPU: Mapping[str, float] = MappingProxyType(
    {
        "c": 2,
        "m": 4,
        "r": 8,
        "t": 4,
        "c4": 1.875,
        "c5n": 2.625,
        "g4dn": 4,
        "g5": 4,
        "g5g": 2,
        "g6": 4,
        "gr6": 8,
        "g6e": 8,
        "g7": 4,
        "g7e": 8,
        "p2": 15.25,
        "p3": 7.625,
        "p3dn": 8,
        "p4d": 12,
        "p4de": 12,
        "p5": 32 / 3,
        "p5e": 32 / 3,
        "p5en": 32 / 3,
        "p6-b200": 32 / 3,
        "p6-b300": 64 / 3,
        "p6e-gb200": 20 / 3,
        "inf1": 2,
        "inf2": 4,
        "trn1": 4,
        "trn1n": 4,
        "trn2": 32 / 3,
        "dl1": 8,
    }
)

# vCPUs and GiB where size and family do not give them.
_EXCEPTIONS: Mapping[str, tuple[int, float]] = MappingProxyType(
    {
        "c4.8xlarge": (36, 60),
        "c5n.9xlarge": (36, 96),
        "c5n.18xlarge": (72, 192),
        "p2.16xlarge": (64, 732),
        "p5.4xlarge": (16, 256),
        "t2.medium": (2, 4),
        "t2.large": (2, 8),
        "t3.medium": (2, 4),
        "t3.large": (2, 8),
        "g7e.12xlarge": (48, 512),
        "g7e.24xlarge": (96, 1024),
        "g7e.48xlarge": (192, 2048),
    }
)

_ONE_UP_TO_16X = {"xlarge": 1, "2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "16xlarge": 1}
_G5 = {**_ONE_UP_TO_16X, "12xlarge": 4, "24xlarge": 4, "48xlarge": 8}
_G7 = {"2xlarge": 1, "4xlarge": 1, "8xlarge": 1, "12xlarge": 2, "24xlarge": 4, "48xlarge": 8}

# Accelerators by family and size: a family that stands here has no other sizes.
_ACCELERATORS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "g4dn": {**_ONE_UP_TO_16X, "12xlarge": 4},
        "g5": _G5,
        "g5g": {**_ONE_UP_TO_16X, "16xlarge": 2},
        "g6": _G5,
        "g6e": _G5,
        "gr6": {"4xlarge": 1, "8xlarge": 1},
        "g7": _G7,
        "g7e": _G7,
        "p2": {"xlarge": 1, "8xlarge": 8, "16xlarge": 16},
        "p3": {"2xlarge": 1, "8xlarge": 4, "16xlarge": 8},
        "p3dn": {"24xlarge": 8},
        "p4d": {"24xlarge": 8},
        "p4de": {"24xlarge": 8},
        "p5": {"4xlarge": 1, "48xlarge": 8},
        "p5e": {"48xlarge": 8},
        "p5en": {"48xlarge": 8},
        "p6-b200": {"48xlarge": 8},
        "p6-b300": {"48xlarge": 8},
        "p6e-gb200": {"36xlarge": 4},
        "inf1": {"xlarge": 1, "2xlarge": 1, "6xlarge": 4, "24xlarge": 16},
        "inf2": {"xlarge": 1, "8xlarge": 1, "24xlarge": 6, "48xlarge": 12},
        "trn1": {"2xlarge": 1, "32xlarge": 16},
        "trn1n": {"32xlarge": 16},
        "trn2": {"48xlarge": 16},
        "dl1": {"24xlarge": 8},
    }
)

_NOT_GPUS: Mapping[str, str] = MappingProxyType({"inf": "inferentia", "trn": "trainium", "dl": "gaudi"})
