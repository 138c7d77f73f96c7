"""The processors that a task may use."""

from __future__ import annotations

import os
from pathlib import Path


def granted(name: str) -> int | None:
    """What the platform says in SM_NUM_CPUS or SM_NUM_GPUS; None where it does not."""
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else None


def cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> int:
    """Without asking the driver, which takes long."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1", "NoDevFiles")])
    return len(list(Path("/dev").glob("nvidia[0-9]*")))
