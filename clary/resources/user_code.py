"""Source archives of the SDKs' script mode, brought to /opt/ml/code by the platform for Clary's own programs.

AWS's containers fetch them themselves. Here that would cost each job the start of an S3 client, half a second, for a
file that is on this machine; CLARY_STAGED_CODE tells the program that it need not. Containers fetch them as they do at
AWS.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from clary.compute.images import built_in
from clary.core.tasks import Input


def staged_code(image: str, submit_directory: str | None) -> tuple[tuple[Input, ...], dict[str, str]]:
    """The input and the environment that bring this archive; nothing where it is no archive in S3."""
    if not submit_directory or not submit_directory.startswith("s3://") or built_in(image) is None:
        return (), {}
    return (Input("archive", submit_directory, "code"),), {"CLARY_STAGED_CODE": submit_directory}


def submit_directory(hyperparameters: Mapping[str, str]) -> str | None:
    """`sagemaker_submit_directory`; None where there is none. SDKs write it as JSON, people as it is: so it is read."""
    text = hyperparameters.get("sagemaker_submit_directory", "null")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else None
