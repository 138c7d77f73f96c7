"""Metrics as CloudWatch names and counts them, and the files in which they wait for the server.

A spool file is written by one process, which holds a lock on it while it lives, and appends whole lines. The server
reads what is new, keeps it in its tables and removes the files of processes that have ended. So what was appended is
kept once, whoever dies.
Reference: "Amazon CloudWatch concepts", Amazon CloudWatch User Guide: metrics, dimensions, statistic sets.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SPOOL_SUFFIX = ".jsonl"


@dataclass(frozen=True, slots=True)
class Series:
    """One metric: its namespace, its name, its dimensions in the order of their names, its unit."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()
    unit: str = "None"

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str], unit: str = "None") -> Series:
        return cls(namespace, name, tuple(sorted(dimensions.items())), unit)


@dataclass(frozen=True, slots=True)
class Sample:
    """A statistic set: the `count` values of a period, or a single value.

    at         an aware datetime: when the period began or ended, as who counted has it; when the value was printed
    period_s   how long the period is, seconds; 0 for a single value
    """

    at: datetime
    sum: float
    count: float
    minimum: float
    maximum: float
    period_s: int = 0

    @classmethod
    def value(cls, at: datetime, value: float) -> Sample:
        """A single value."""
        return cls(at, value, 1.0, value, value)

    @property
    def mean(self) -> float:
        return self.sum / self.count


def to_line(series: Series, sample: Sample) -> str:
    """A line of a spool file, with its line end."""
    head: dict[str, Any] = {"namespace": series.namespace, "name": series.name, "dimensions": dict(series.dimensions)}
    if series.unit != "None":
        head["unit"] = series.unit
    head["at"] = sample.at.timestamp()
    if not sample.period_s:
        return json.dumps({**head, "value": sample.sum}) + "\n"
    statistics = {"sum": sample.sum, "count": sample.count, "min": sample.minimum, "max": sample.maximum}
    return json.dumps({**head, "period_s": sample.period_s, **statistics}) + "\n"


def from_line(line: bytes | str) -> tuple[Series, Sample]:
    """The samples in a line of a spool file. Raises ValueError for any other line."""
    try:
        raw = json.loads(line)
        series = Series.of(raw["namespace"], raw["name"], raw["dimensions"], raw.get("unit", "None"))
        at = datetime.fromtimestamp(float(raw["at"]), UTC)
        if "value" in raw:
            sample = Sample.value(at, float(raw["value"]))
        else:
            sum_, count, minimum, maximum = (float(raw[name]) for name in ("sum", "count", "min", "max"))
            sample = Sample(at, sum_, count, minimum, maximum, max(1, int(raw["period_s"])))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError, RecursionError) as error:
        raise ValueError(f"not a line of metrics: {error!r}") from None
    texts = [series.namespace, series.name, series.unit, *(text for pair in series.dimensions for text in pair)]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("not a line of metrics: its names are not texts")
    if not all(math.isfinite(number) for number in (sample.sum, sample.count, sample.minimum, sample.maximum)):
        raise ValueError("not a line of metrics: its numbers are not finite")
    if sample.count <= 0:
        raise ValueError("not a line of metrics: it counts no values")
    return series, sample


class Spool:
    """The spool file of this process. It is made at the first append."""

    def __init__(self, folder: Path, name: str) -> None:
        """`name` is this process's alone, for ever: nobody else may have written a file of this name."""
        self.path = folder / f"{name}{SPOOL_SUFFIX}"
        self._descriptor: int | None = None

    def append(self, samples: Iterable[tuple[Series, Sample]]) -> None:
        """Append them all, or raise OSError (the disk is full) with none of them appended."""
        lines = "".join(to_line(series, sample) for series, sample in samples).encode()
        if not lines:
            return
        if self._descriptor is None:
            self._descriptor = _open_locked(self.path)
        end = os.fstat(self._descriptor).st_size
        try:
            written = os.write(self._descriptor, lines)
            while written < len(lines):
                written += os.write(self._descriptor, lines[written:])
        except OSError:
            os.ftruncate(self._descriptor, end)
            raise

    def close(self) -> None:
        """Let go of the file: the server removes it once it has read it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _open_locked(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        descriptor = os.open(path, flags, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        # Between opening and locking a reader may have found the empty file without a lock, and removed it.
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)


def is_abandoned(path: Path) -> bool:
    """Whether the process that wrote a spool file has ended, or closed it. Raises FileNotFoundError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
