"""Files of models."""

from __future__ import annotations

from pathlib import Path


class ModelError(Exception):
    """This file is no model that can be loaded; the message says why, and what to do."""


def write(file: Path, data: bytes) -> None:
    """Whole or not at all: a job may be killed at any time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    part.write_bytes(data)
    part.replace(file)
