"""Every worker collects the same tests in the same order, or a run of several workers ends before it begins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]


def test_two_imports_collect_the_same_tests() -> None:
    """At two times, and with sets and dicts of two orders."""
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-o",
        "addopts=",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        str(TESTS),
    ]
    collected = [
        subprocess.run(
            argv,
            capture_output=True,
            text=True,
            check=False,
            cwd=TESTS.parent,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    assert [done.returncode for done in collected] == [0, 0], collected[0].stdout[-2000:]
    first, second = ([line for line in done.stdout.splitlines() if "::" in line] for done in collected)
    assert len(first) > 6000
    differing = [pair for pair in zip(first, second, strict=False) if pair[0] != pair[1]]
    assert (differing[:5], len(first)) == ([], len(second))
