"""Packages that a script needs beside its framework: requirements.txt, or its own setup.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from clary.tasks.script import process
from clary.tasks.script.errors import ProcessError


def is_package(code: Path) -> bool:
    return (code / "setup.py").is_file()


def task_python() -> str:
    """The Python for what the user brings: that of the task's own environment, where the platform has made one."""
    folder = os.environ.get("VIRTUAL_ENV", "")
    python = Path(folder) / "bin" / "python"
    return str(python) if folder and Path(folder) != Path(sys.prefix) and python.exists() else sys.executable


def install(code: Path) -> str:
    """Install the packages that the folder requires. Returns the Python to run it with. Raises ProcessError."""
    package, listed = is_package(code), (code / "requirements.txt").is_file()
    python = task_python()
    if not package and not listed:
        return python
    from clary.tasks.script import virtual_environment

    if python == sys.executable:
        python = virtual_environment.create(virtual_environment.folder())
    command = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    if listed:
        command += ["-r", "requirements.txt"]
    if package:
        command += ["--no-build-isolation", "."] if virtual_environment.can_build() else ["."]
    print("Installing:", " ".join(command), flush=True)
    outcome = process.run(command, code, dict(os.environ))
    if outcome.stopped:
        sys.exit(outcome.exit_code)
    if outcome.exit_code:
        name = "InstallModuleError" if package else "InstallRequirementsError"
        raise ProcessError(name, outcome.exit_code, outcome.stderr, command)
    return python
