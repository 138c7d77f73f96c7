"""One program in a process of its own: what it cost, from start to end, its imports included."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"


class NotInstalled(Exception):
    """The peer's environment is not there: `make bench` makes it."""


@dataclass(frozen=True)
class Cost:
    cpu_s: float
    wall_s: float
    peak_mib: float
    last_line: str  # of what it printed


def python(environment: str = "") -> str:
    """Clary's own interpreter, or that of a peer's environment. Raises NotInstalled."""
    if not environment:
        return sys.executable
    found = ROOT / f".venv-bench-{environment}" / "bin" / "python"
    if not found.exists():
        raise NotInstalled(f"{found} is not there; `make bench` makes it")
    return str(found)


def run(program: str, *arguments: str | Path, environment: str = "") -> Cost:
    """Run bench/data/programs/<program>.py. Raises RuntimeError with the end of its stderr where it fails."""
    argv = [python(environment), str(PROGRAMS / f"{program}.py"), *map(str, arguments)]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = os.times().elapsed
        variables = {**os.environ, "PYTHONWARNINGS": "ignore"}
        process = subprocess.Popen(argv, stdout=output, stderr=errors, cwd=ROOT, env=variables)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall_s = os.times().elapsed - began
        output.seek(0), errors.seek(0)
        stdout, stderr = output.read().decode(), errors.read().decode()
    if process.returncode:
        raise RuntimeError(f"{program}: exit {process.returncode}: {stderr[-2_000:]}")
    last = stdout.strip().rpartition("\n")[2]
    return Cost(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / 1024, last)
