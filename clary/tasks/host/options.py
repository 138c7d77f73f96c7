"""How a model host is set up, from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# A Python process runs one thread of Python at a time, but NumPy, scikit-learn and XGBoost let go of the lock, and
# code that waits for something else must not hold up everybody. Two threads at least, so that it never does.
THREADS = max(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2)

# A replica has 30 s between SIGTERM and SIGKILL.
DRAIN_S = 25

# Of a request in a batch transform job.
MAX_PAYLOAD_MB = 6


@dataclass(frozen=True, slots=True)
class Options:
    """Read from the environment.

    host            CLARY_BIND_HOST: loopback by default, since the gateway decides who may call
    port            SAGEMAKER_BIND_TO_PORT
    workers         SAGEMAKER_MODEL_SERVER_WORKERS: processes, each with its own copy of the model
    threads         SAGEMAKER_MODEL_SERVER_THREADS: requests that a process works on at once; others wait
    timeout_s       SAGEMAKER_MODEL_SERVER_TIMEOUT (or ..._SECONDS): longest that one request may take; 0: no limit
    max_body_bytes  MAX_CONTENT_LENGTH, as AWS's XGBoost image calls it; a request to an asynchronous endpoint may
                    have 1 GB
    log_level       SAGEMAKER_CONTAINER_LOG_LEVEL, a number of the logging module
    """

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    threads: int = THREADS
    timeout_s: int = 60
    max_body_bytes: int = 1 << 30
    log_level: int = 20

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Options:
        """Raises ValueError naming the variable."""
        timeout_s = _number(environment, "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", cls().timeout_s, 0, 86400)
        return cls(
            host=environment.get("CLARY_BIND_HOST") or "127.0.0.1",
            port=_number(environment, "SAGEMAKER_BIND_TO_PORT", 8080, 0, 65535),
            workers=_number(environment, "SAGEMAKER_MODEL_SERVER_WORKERS", 1, 1, 256),
            threads=_number(environment, "SAGEMAKER_MODEL_SERVER_THREADS", THREADS, 1, 1024),
            timeout_s=_number(environment, "SAGEMAKER_MODEL_SERVER_TIMEOUT", timeout_s, 0, 86400),
            max_body_bytes=_number(environment, "MAX_CONTENT_LENGTH", 1 << 30, 1, 1 << 40),
            log_level=_number(environment, "SAGEMAKER_CONTAINER_LOG_LEVEL", 20, 0, 100),
        )


def _number(environment: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environment.get(name, "").strip()
    if not text:
        return default
    # At most as long as a sensible number: int() of a very long text takes very long.
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and low <= int(text) <= high):
        raise ValueError(f"environment variable {name} is {text[:50]!r}; give a whole number from {low} to {high}.")
    return int(text)


def flag(environment: Mapping[str, str], name: str) -> bool:
    """Whether a variable is set to anything but false, no or 0."""
    return environment.get(name, "").lower() not in ("", "0", "false", "no")


def execution_parameters(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """The answer to GET /execution-parameters: batch transform sends as many requests at once as the host works on."""
    options = Options.from_environment(environment)
    return {
        "MaxConcurrentTransforms": options.workers * options.threads,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": MAX_PAYLOAD_MB,
    }
