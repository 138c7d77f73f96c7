"""A job's configuration: /opt/ml/input/config and the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from clary.tasks import configuration, paths
from clary.tasks.failure import ClientError

# Hyperparameters for the toolkit and not for the script: these, and all others with the prefix, which the script finds
# in SM_FRAMEWORK_PARAMS.
PREFIX = "sagemaker_"
TOOLKIT = {
    "sagemaker_program",
    "sagemaker_submit_directory",
    "sagemaker_enable_cloudwatch_metrics",
    "sagemaker_region",
    "sagemaker_container_log_level",
    "sagemaker_job_name",
    "sagemaker_s3_output",
    "default_user_module_name",
    "_tuning_objective_metric",
}


class Configuration(NamedTuple):
    """The three files. (No dataclass: importing that module takes longer than all of this.)

    settings         hyperparameters for the toolkit (sagemaker_…), decoded
    hyperparameters  those for the script, decoded: SDKs write each value as JSON inside a string
    """

    settings: Mapping[str, Any]
    hyperparameters: Mapping[str, Any]
    resources: Mapping[str, Any]
    channels: Mapping[str, Any]

    @classmethod
    def read(cls) -> Configuration:
        """Raises ClientError naming the file or field."""
        values = {key: decoded(value) for key, value in configuration.read("hyperparameters.json").items()}
        return cls(
            settings={key: value for key, value in values.items() if _is_toolkit(key)},
            hyperparameters={key: value for key, value in values.items() if not _is_toolkit(key)},
            resources={"current_host": "algo-1", "hosts": ["algo-1"], **configuration.read("resourceconfig.json")},
            channels=configuration.read("inputdataconfig.json"),
        )

    @property
    def program(self) -> str:
        """The script, relative to the code folder. Raises ClientError where none is named."""
        program = os.environ.get("SAGEMAKER_PROGRAM") or self.settings.get(f"{PREFIX}program")
        if not program:
            raise ClientError(
                "no script to run: give the hyperparameter sagemaker_program, or SAGEMAKER_PROGRAM in Environment."
            )
        return inside_code_dir(program)

    @property
    def submit_directory(self) -> str:
        location = self.settings.get(f"{PREFIX}submit_directory") or os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY")
        return str(location or paths.code_dir())


def inside_code_dir(program: object) -> str:
    """Raises ClientError where it is not a relative path inside the folder."""
    name = os.path.normpath(str(program))
    if "\0" in name or name.startswith(("/", "..", "-")):
        raise ClientError(f"sagemaker_program is {str(program)[:200]!r}; give a path relative to the source directory.")
    return name


def decoded(value: object) -> Any:
    """A hyperparameter's value; a text that is not JSON is the value."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value


def _is_toolkit(key: str) -> bool:
    return key in TOOLKIT or key.startswith(PREFIX)
