from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from clary.core.tasks import Task
from clary.supervisor.logs import LONGEST_LINE, Log, log_path
from clary.supervisor.outcome import CannotRun

TASK = Task("t", ("training-job", "n", "u"), "image", log_stream="n/{host}-1")


class Printing:
    """A log fed by hand."""

    def __init__(self, folder: Path) -> None:
        self.seen: list[str] = []
        self.file = folder / "a" / "b.log"
        self.log = Log(self.file, lambda lines, at, log: self.seen.extend(lines))

    def feed(self, data: bytes) -> Printing:
        read, write = os.pipe()
        os.set_blocking(read, False)
        feeder = threading.Thread(target=_feed, args=(write, data))
        feeder.start()
        while self.log.read_from(read):
            pass
        feeder.join()
        os.close(read)
        return self

    @property
    def lines(self) -> list[str]:
        return [line.partition(b" ")[2].decode() for line in self.file.read_bytes().split(b"\n")[:-1]]


def _feed(pipe: int, data: bytes) -> None:
    with os.fdopen(pipe, "wb") as file:
        file.write(data)


# logs


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a\nb", ["a", "b"]),
        (b"a\r\n\nb\n", ["a", "", "b"]),
        (b"10%\r20%\r\n", ["10%\r20%"]),
        ("ü\u2028x\x85y\n".encode(), ["ü\u2028x\x85y"]),
        (b"\xc3\nx\xff\n", ["\ufffd", "x\ufffd"]),
        (b"\x00\n", ["\x00"]),
    ],
)
def test_lines_are_kept_as_they_are(tmp_path: Path, data: bytes, lines: list[str]) -> None:
    printing = Printing(tmp_path)
    assert printing.file.exists()
    assert printing.feed(data).lines == lines
    assert printing.seen == lines


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_long_line_is_cut_between_characters(tmp_path: Path, end: bytes) -> None:
    text = "x" + "€" * LONGEST_LINE
    lines = Printing(tmp_path).feed(text.encode() + end).lines
    assert "".join(lines) == text
    assert max(len(line.encode()) for line in lines) <= LONGEST_LINE
    assert len(lines) == 4


def test_times_never_go_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, 99.0, 101.0])
    monkeypatch.setattr("clary.supervisor.logs.time.time", lambda: next(times))
    printing = Printing(tmp_path)
    for line in (b"a\n", b"b\n", b"c\n"):
        printing.feed(line)
    assert printing.file.read_text() == "100000 a\n100000 b\n101000 c\n"


@pytest.mark.parametrize(
    ("group", "stream"), [("/aws/../x", "s"), ("/aws", "../s"), ("/aws", "a//b"), ("/aws", "\0"), ("", "s")]
)
def test_a_log_cannot_lie_elsewhere(group: str, stream: str) -> None:
    with pytest.raises(CannotRun, match="cannot be the name of a log"):
        log_path(Path("/logs"), Task("t", TASK.owner, "", log_group=group, log_stream=stream), "algo-1")


def test_where_a_log_lies() -> None:
    assert log_path(Path("/logs"), TASK, "algo-2") == Path("/logs/aws/sagemaker/TrainingJobs/n/algo-2-1.log")
