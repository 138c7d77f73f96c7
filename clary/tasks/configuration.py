"""The platform's files about a training job, in /opt/ml/input/config."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from clary.tasks import paths
from clary.tasks.failure import ClientError


def read(name: str) -> dict[str, Any]:
    """A file's JSON object; {} where there is no such file. Raises ClientError for anything else."""
    file = paths.config_dir() / name
    try:
        value = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ClientError(f"{file} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ClientError(f"{file} must hold one JSON object.")
    return value


def hyperparameters() -> dict[str, str]:
    """As the request has them. Raises ClientError."""
    values = read("hyperparameters.json")
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


class Resources(NamedTuple):
    """resourceconfig.json. (No dataclass: importing that module takes longer than a script's whole start.)"""

    host: str
    hosts: list[str]
    network_interface: str


def resources() -> Resources:
    """This host and the others; alone where there is no such file."""
    values = read("resourceconfig.json")
    return Resources(
        values.get("current_host", "algo-1"),
        values.get("hosts", ["algo-1"]),
        values.get("network_interface_name", "eth0"),
    )


def job_name() -> str:
    """What tells this job from others; the same on each of its hosts."""
    return os.environ.get("TRAINING_JOB_ARN") or os.environ.get("TRAINING_JOB_NAME") or "job"
