"""Answer requests with a user's inference script."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from clary.tasks import failure, paths
from clary.tasks.failure import ClientError
from clary.tasks.host.server import serve
from clary.tasks.host.user_code import Defaults, UserCode
from clary.tasks.script import requirements, source, virtual_environment
from clary.tasks.script.configuration import inside_code_dir
from clary.tasks.script.errors import ProcessError


def serve_script(defaults: Defaults) -> None:
    """Until SIGTERM. Where the script or what it needs is not to be had, the process ends with exit code 1.

    defaults  what the framework does where the script defines no function for it
    """
    try:
        script = prepare()
    except (ClientError, ProcessError) as error:
        failure.write(str(error))
        sys.exit(1)
    serve(UserCode(script, defaults))


def prepare() -> Path:
    """Fetch the code and install what it needs. Returns the path of the inference script."""
    program = inside_code_dir(os.environ.get("SAGEMAKER_PROGRAM") or "inference.py")
    code = code_dir()
    virtual_environment.activate(requirements.install(code))
    os.environ.setdefault("SM_MODEL_DIR", str(paths.model_dir()))
    return code / program


def code_dir() -> Path:
    """The folder with the code: /opt/ml/model/code of a repacked model, else /opt/ml/code, after it was fetched."""
    location = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if not location:
        packed = paths.model_dir() / "code"
        return packed if packed.is_dir() else paths.code_dir()
    local = paths.local_path(location)
    if not location.startswith("s3://") and local.is_dir():
        return local
    source.fetch(location, paths.code_dir())
    return paths.code_dir()
