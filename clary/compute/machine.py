"""What this machine has; in a container or a service unit, the share that may be used."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

from clary.core.instances import Machine
from clary.core.settings import Settings

_CGROUPS = Path("/sys/fs/cgroup")
_NVIDIA_SMI_S = 5.0  # nvidia-smi takes a second or two where the driver is not loaded yet


@functools.cache
def this_machine() -> Machine:
    """The CPUs and memory this process may use, and the GPUs. Determined once: a machine does not change."""
    cpus, memory_mib = float(_affinity()), _physical_mib()
    for group in _own_cgroups():
        cpus = min(cpus, _cpu_quota(group) or cpus)
        memory_mib = min(memory_mib, _memory_limit_mib(group) or memory_mib)
    return Machine(cpus, memory_mib, count_gpus())


def capacity(settings: Settings) -> Machine:
    """What tasks may hold together: the settings' figures, where there are none the machine's."""
    machine = this_machine()
    return Machine(settings.cpus or machine.cpus, settings.memory_mib or machine.memory_mib, machine.gpus)


def count_gpus() -> int:
    """The GPUs that NVIDIA's driver lists; 0 where there is none."""
    if shutil.which("nvidia-smi") is None:
        return 0
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=_NVIDIA_SMI_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.strip().isdigit() for line in answer.stdout.splitlines()) if answer.returncode == 0 else 0


def _affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _physical_mib() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20


def _own_cgroups(root: Path = _CGROUPS, own: Path = Path("/proc/self/cgroup")) -> list[Path]:
    """The folders whose limits hold for this process, its own group and all above it; version 2, then version 1."""
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return []
    found: list[Path] = []
    for _, controllers, path in (line for line in lines if len(line) == 3):
        for controller in controllers.split(",") if controllers else [""]:
            if controller in ("", "cpu", "memory"):
                group = root / controller / path.strip("/")
                found += [group, *(above for above in group.parents if above.is_relative_to(root / controller))]
    return found


def _cpu_quota(group: Path) -> float | None:
    """CPUs a control group may use, None where it has no limit."""
    if text := _read(group / "cpu.max"):
        quota, _, period = text.partition(" ")
    else:
        quota, period = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _memory_limit_mib(group: Path) -> int | None:
    """A control group's limit, None where it has none (version 1 then has a number beyond any memory)."""
    text = _read(group / "memory.max") or _read(group / "memory.limit_in_bytes")
    return int(text) >> 20 if text.isdigit() and int(text) < 1 << 60 else None


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
