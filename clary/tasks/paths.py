"""The paths of a task's files: /opt/ml, or SAGEMAKER_BASE_DIR where there is no such folder."""

from __future__ import annotations

import os
from pathlib import Path

OPT_ML = "/opt/ml"


def base_dir() -> Path:
    return Path(os.environ.get("SAGEMAKER_BASE_DIR") or OPT_ML)


def config_dir() -> Path:
    return base_dir() / "input" / "config"


def data_dir() -> Path:
    """Holds one folder per channel."""
    return base_dir() / "input" / "data"


def model_dir() -> Path:
    return base_dir() / "model"


def output_dir() -> Path:
    return base_dir() / "output"


def failure_file() -> Path:
    """Its first 1024 characters become FailureReason."""
    return output_dir() / "failure"


def code_dir() -> Path:
    """The user's code, unpacked."""
    return base_dir() / "code"


def local_path(text: str) -> Path:
    """A path as AWS's clients write it (`/opt/ml/model/code`, `file://…`), where it is for this task."""
    text = text.removeprefix("file://")
    inside = text.removeprefix(OPT_ML)
    if inside != text and inside[:1] in ("", "/"):
        return base_dir() / inside.strip("/")
    return Path(text)
