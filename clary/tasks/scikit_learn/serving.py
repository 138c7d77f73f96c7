"""Answer requests with a user's scikit-learn model."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from clary.tasks import paths
from clary.tasks.host import serve
from clary.tasks.host.user_code import Defaults, UserCode
from clary.tasks.scikit_learn import codecs
from clary.tasks.script import layers, requirements, source
from clary.tasks.script.configuration import inside_code_dir
from clary.tasks.script.failure import ClientError, ProcessError, tell


def main() -> None:
    try:
        script = prepare()
    except (ClientError, ProcessError) as error:
        tell(str(error))
        sys.exit(1)
    serve(UserCode(script, Defaults(codecs.decode, codecs.decode_squeezed, codecs.predict, codecs.encode)))


def prepare() -> Path:
    """Bring the code here and install what it needs. Returns the inference script's place."""
    program = inside_code_dir(os.environ.get("SAGEMAKER_PROGRAM") or "inference.py")
    code = code_dir()
    layers.enter(requirements.install(code))
    os.environ.setdefault("SM_MODEL_DIR", str(paths.model_dir()))
    return code / program


def code_dir() -> Path:
    """Where the code is: /opt/ml/model/code of a repacked model in place, anything else in /opt/ml/code."""
    where = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if not where:
        packed = paths.model_dir() / "code"
        return packed if packed.is_dir() else paths.code_dir()
    local = paths.local_path(where)
    if not where.startswith("s3://") and local.is_dir():
        return local
    source.fetch(where, paths.code_dir())
    return paths.code_dir()
