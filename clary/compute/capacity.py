"""Who may start now: first come, first served, and nobody starves.

Pure: what is held and what is wanted go in, who starts comes out. A task is a gang, so its hosts start together.
A claim that does not fit keeps what it will need: those behind it may use the rest, and never make it wait longer.
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
    """What a task wants, all its hosts together, and since when."""

    task_id: str
    queued_at: float
    cpus: float = 0.0
    memory_mib: int = 0
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """What a running task has. `gpus` are indices, one task's alone."""

    cpus: float = 0.0
    memory_mib: int = 0
    gpus: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplicaShare:
    """What a host of a replica holds while it serves: nothing, unless the settings say otherwise."""

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
            "choose an instance type without so many, or fewer instances"
        )
    cpus, memory_mib = (replica.cpus, replica.memory_mib) if task.serve else (wanted.cpus, wanted.memory_mib)
    return Claim(
        task.id, task.queued_at, min(cpus * hosts, machine.cpus), min(memory_mib * hosts, machine.memory_mib), gpus
    )


def admit(queue: Collection[Claim], held: Collection[Held], machine: Machine) -> list[tuple[Claim, tuple[int, ...]]]:
    """Those that may start now, oldest first (then by id), each with the indices of its GPUs."""
    cpus = machine.cpus - sum(one.cpus for one in held)
    memory_mib = machine.memory_mib - sum(one.memory_mib for one in held)
    taken = {index for one in held for index in one.gpus}
    gpus = [index for index in range(machine.gpus) if index not in taken]
    starting: list[tuple[Claim, tuple[int, ...]]] = []
    for one in sorted(queue, key=lambda one: (one.queued_at, one.task_id)):
        if (
            (not one.cpus or one.cpus <= cpus + _ROUNDING)
            and (not one.memory_mib or one.memory_mib <= memory_mib)
            and one.gpus <= len(gpus)
        ):
            starting.append((one, tuple(gpus[: one.gpus])))
        cpus, memory_mib, gpus = cpus - one.cpus, memory_mib - one.memory_mib, gpus[one.gpus :]
    return starting
