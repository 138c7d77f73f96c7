"""Unit tests start no process and open no connection, so that all of them take seconds, on any machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

# Events of Python's audit hooks (see its documentation, "Audit events table").
FORBIDDEN = frozenset(
    {"os.fork", "os.forkpty", "os.posix_spawn", "os.system", "socket.bind", "socket.connect", "subprocess.Popen"}
)
_running: list[str] = []


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if _running and event in FORBIDDEN:
        raise RuntimeError(
            f"{event}{arguments[:2]!r} in a unit test ({_running[-1]}): one that needs a process or a "
            "connection belongs to tests/faults, tests/programs or tests/acceptance"
        )


@pytest.fixture(autouse=True)
def no_processes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have each test of a folder that imports this fixture fail where it starts a process or connects."""
    if not _installed:
        sys.addaudithook(_refuse)  # it stays for as long as the interpreter does
        _installed.append(True)
    _running.append(request.node.nodeid)
    yield
    _running.pop()


_installed: list[bool] = []
