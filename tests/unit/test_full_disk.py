"""What is done so that a full disk takes nothing with it but what it has no room for."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest

from clary.compute.folder import create
from clary.compute.plan import RESERVE_BYTES, RESERVE_FILE, Plan, Platform, Process
from clary.core.errors import LaunchError
from clary.core.tasks import Task
from clary.startup import Unfailing

TASK = Task("t-1", ("training-job", "t", "u"), "image")
PLAN = Plan(Process(("true",), "python", {}, "none"), Platform(*[""] * 11))


def test_a_task_begins_with_room_for_its_end(tmp_path: Path) -> None:
    assert create(tmp_path, TASK, PLAN)
    assert (tmp_path / "t-1" / RESERVE_FILE).stat().st_size == RESERVE_BYTES


def test_without_that_room_it_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refusing(errno.ENOSPC))
    with pytest.raises(LaunchError, match="No space left on the disk"):
        create(tmp_path, TASK, PLAN)
    assert not list(tmp_path.iterdir())


def test_a_file_system_that_cannot_promise_room_is_good_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refusing(errno.EOPNOTSUPP))
    assert create(tmp_path, TASK, PLAN)


def refusing(number: int) -> object:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_log_that_cannot_be_written_ends_no_process() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def flush(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    print("an event", file=Unfailing(Full()), flush=True)
    kept = io.StringIO()
    print("an event", file=Unfailing(kept), flush=True)
    assert kept.getvalue() == "an event\n"
