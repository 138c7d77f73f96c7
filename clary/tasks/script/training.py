"""Run the training script that a job names."""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path

from clary.tasks import failure, paths
from clary.tasks.failure import ClientError
from clary.tasks.script import environment, process, requirements, source
from clary.tasks.script.configuration import Configuration
from clary.tasks.script.errors import ProcessError


def train(framework_module: str = "") -> int:
    """Run the script that the job names. Returns its exit code; unless it is 0 the failure file has the reason."""
    # Process 1 of a container would ignore SIGTERM without a handler.
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    try:
        return _train(Configuration.read(), framework_module)
    except ClientError as error:
        failure.write(str(error))
        return 1
    except ProcessError as error:
        failure.write(str(error))
        return error.exit_code


def _train(job: Configuration, framework_module: str) -> int:
    code = paths.code_dir()
    code.mkdir(parents=True, exist_ok=True)
    program = job.program
    variables = environment.variables(job, framework_module)
    source.fetch(job.submit_directory, code)
    check(code, program)
    python = requirements.install(code)
    command = invocation(code, program, python, environment.arguments(job.hyperparameters))
    print("Invoking the script:", " ".join(command), flush=True)
    outcome = process.run(command, code, {**inherited(code, python), **variables})
    if outcome.exit_code and not outcome.stopped:
        raise ProcessError("ExecuteUserScriptError", outcome.exit_code, outcome.stderr, command)
    return outcome.exit_code


def check(code: Path, program: str) -> None:
    """Raises ClientError where there is no such script."""
    if not requirements.is_package(code) and not (code / program).is_file():
        names = ", ".join(sorted(entry.name for entry in code.iterdir())[:20]) or "nothing"
        raise ClientError(f'sagemaker_program is "{program}", but the source directory holds {names}.')


def invocation(code: Path, program: str, python: str, arguments: list[str]) -> list[str]:
    """The command: a package's module, a Python script, or anything else for the shell."""
    if requirements.is_package(code):
        return [python, "-m", program.removesuffix(".py").replace("/", "."), *arguments]
    if program.endswith(".py"):
        return [python, program, *arguments]
    (code / program).chmod(0o755)
    # exec: signals then reach the script, not a shell that waits for it.
    return ["/bin/sh", "-c", f"exec ./{shlex.join([program, *arguments])}"]


def inherited(code: Path, python: str) -> dict[str, str]:
    """The environment of this process, with the code importable and that Python first on the path."""
    variables = dict(os.environ)
    folders = {"PATH": str(Path(python).parent), "PYTHONPATH": str(code)}
    for name, folder in folders.items():
        variables[name] = os.pathsep.join(filter(None, [folder, variables.get(name, "")]))
    return {"PYTHONUNBUFFERED": "1", **variables}
