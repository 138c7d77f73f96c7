"""Which tasks may start now: first come, first served, and none starves.

Pure: held and claimed resources go in, the claims that may start come out. A task's hosts start together.
A claim that does not fit reserves what it will need: those behind it may use the rest, and never delay it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from clary.core.errors import CapacityError
from clary.core.instances import Machine
from clary.core.tasks import Task

_ROUNDING = 1e-6  # of CPUs, which are fractions


@dataclass(frozen=True, slots=True)
class Claim:
    """The resources a task needs, all its hosts together, and since when it waits."""

    task_id: str
    queued_at: float
    cpus: float = 0.0
    memory_mib: int = 0
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """The resources of a running task. `gpus` are indices, each held by one task."""

    cpus: float = 0.0
    memory_mib: int = 0
    gpus: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplicaShare:
    """What a host of a replica holds while it serves: nothing, unless the settings give a share."""

    cpus: float = 0.0
    memory_mib: int = 0


def claim(task: Task, machine: Machine, replica: ReplicaShare) -> Claim:
    """What a task holds on this machine, clamped to it, so that nothing waits for ever.

    Raises CapacityError for accelerators that are not there: those are never clamped.
    """
    # The containers of a pipeline are one instance's, and share what it has.
    hosts, wanted = 1 if task.pipeline else len(task.hosts), task.resources
    gpus = wanted.gpus * hosts
    if gpus and wanted.accelerator != "gpu":
        raise CapacityError(
            f"the task asks for {gpus} {wanted.accelerator} accelerator(s), which this machine cannot "
            "have; choose an instance type with GPUs or without accelerators"
        )
    if gpus > machine.gpus:
        raise CapacityError(
            f"the task asks for {gpus} GPU(s) ({hosts} x {wanted.gpus}), this machine has {machine.gpus}; "
            "choose an instance type with fewer GPUs, or fewer instances"
        )
    cpus, memory_mib = (replica.cpus, replica.memory_mib) if task.serve else (wanted.cpus, wanted.memory_mib)
    return Claim(
        task.id, task.queued_at, min(cpus * hosts, machine.cpus), min(memory_mib * hosts, machine.memory_mib), gpus
    )


def admit(queue: Collection[Claim], held: Collection[Held], machine: Machine) -> list[tuple[Claim, tuple[int, ...]]]:
    """The claims that may start now, oldest first (then by id), each with the indices of its GPUs."""
    cpus = machine.cpus - sum(task.cpus for task in held)
    memory_mib = machine.memory_mib - sum(task.memory_mib for task in held)
    taken = {index for task in held for index in task.gpus}
    gpus = [index for index in range(machine.gpus) if index not in taken]
    starting: list[tuple[Claim, tuple[int, ...]]] = []
    for waiting in sorted(queue, key=lambda claim: (claim.queued_at, claim.task_id)):
        if (
            (not waiting.cpus or waiting.cpus <= cpus + _ROUNDING)
            and (not waiting.memory_mib or waiting.memory_mib <= memory_mib)
            and waiting.gpus <= len(gpus)
        ):
            starting.append((waiting, tuple(gpus[: waiting.gpus])))
        cpus, memory_mib, gpus = cpus - waiting.cpus, memory_mib - waiting.memory_mib, gpus[waiting.gpus :]
    return starting
