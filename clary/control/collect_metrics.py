"""From the spool files of programs' supervisors and gateways into the tables of metrics.

What was read is kept in the transaction that moves the file's position, so a server that dies in between reads the
same lines again, and keeps them once. A file is removed when its process has ended and all of it has been kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from clary.core.clock import Clock
from clary.core.errors import StaleWrite, StoreError
from clary.core.metrics import SPOOL_SUFFIX, Sample, Series, from_line, is_abandoned
from clary.store.metrics.base import MetricStore, Retention

log = structlog.get_logger()

# What a program prints is kept within a second.
COLLECT_EVERY_S = 0.5
DOWNSAMPLE_EVERY = timedelta(hours=1)
# After an error of the database: this long until the next try.
RETRY_AFTER_S = 5.0
# Bytes read at once: a few thousand samples in one transaction.
CHUNK_BYTES = 1 << 20
# A file that has not grown for so many rounds may have no writer any more.
QUIET_ROUNDS = 4


@dataclass(slots=True)
class _File:
    """How far a spool file has been read, and for how many rounds it has not grown."""

    position: int
    quiet_rounds: int = 0


class MetricsCollector:
    """Keeps the metrics of one spool folder. For one event loop; nobody else may collect the same folder."""

    def __init__(self, spool: Path, metrics: MetricStore, clock: Clock, retention: Retention) -> None:
        self._spool = spool
        self._metrics = metrics
        self._clock = clock
        self._retention = retention
        self._files: dict[str, _File] = {}
        self._downsample_at = clock.now() + DOWNSAMPLE_EVERY

    async def run(self) -> None:
        """Collect until cancelled, whatever goes wrong in between."""
        while True:
            pause_s = COLLECT_EVERY_S
            try:
                await self.collect()
                await self.downsample_when_due()
            except Exception as error:
                log.warning("metrics were not collected; trying again", error=repr(error), wait_s=RETRY_AFTER_S)
                pause_s = RETRY_AFTER_S
            await self._clock.sleep_until(self._clock.now() + timedelta(seconds=pause_s))

    async def collect(self) -> None:
        """Keep all that has been appended. Raises StoreError where the database fails."""
        sizes = _sizes(self._spool)  # microseconds: handing it to a thread would cost more
        for name in self._files.keys() - sizes.keys():
            del self._files[name]
        for name, size in sizes.items():
            try:
                await self._collect_file(name, size)
            except StoreError:
                raise
            except Exception as error:  # no single file keeps the others waiting
                log.warning("a file of metrics was not read", file=name, error=repr(error))

    async def _collect_file(self, name: str, size: int) -> None:
        file = self._files.get(name)
        if file is None:
            file = self._files[name] = _File(await self._metrics.position(name))
        if size > file.position:
            file.quiet_rounds = 0
            await self._keep(name, file)
            return
        file.quiet_rounds += 1
        if file.quiet_rounds % QUIET_ROUNDS == 0:
            await self._remove_abandoned(name, file)

    async def _keep(self, name: str, file: _File) -> None:
        while True:
            samples, end = await asyncio.to_thread(_read, self._spool / name, file.position)
            if end == file.position:
                return
            try:
                await self._metrics.put(samples, name, file.position, end)
            except StaleWrite:
                file.position = await self._metrics.position(name)
            else:
                file.position = end

    async def _remove_abandoned(self, name: str, file: _File) -> None:
        """A last line that a process could not finish goes with its file."""
        path = self._spool / name
        if not await asyncio.to_thread(is_abandoned, path):
            return
        await self._keep(name, file)  # what was appended between the last reading and the end of the process
        path.unlink(missing_ok=True)
        await self._metrics.forget_source(name)
        self._files.pop(name, None)

    async def downsample_when_due(self) -> None:
        now = self._clock.now()
        if now >= self._downsample_at:
            self._downsample_at = now + DOWNSAMPLE_EVERY
            await self._metrics.downsample(now, self._retention)


def _sizes(spool: Path) -> dict[str, int]:
    """Every spool file and its size, bytes."""
    found = {}
    with contextlib.suppress(FileNotFoundError), os.scandir(spool) as entries:
        for entry in entries:
            if entry.name.endswith(SPOOL_SUFFIX) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):
                    found[entry.name] = entry.stat(follow_symlinks=False).st_size
    return found


def _read(path: Path, start: int) -> tuple[Sequence[tuple[Series, Sample]], int]:
    """The samples of the whole lines from `start`, as many as are read at once, and where they end."""
    with path.open("rb") as file:
        file.seek(start)
        chunk = file.read(CHUNK_BYTES)
    end = chunk.rfind(b"\n") + 1
    if not end and len(chunk) == CHUNK_BYTES:
        end = CHUNK_BYTES  # no line is so long: this is something else
    samples = []
    for line in chunk[:end].splitlines():
        try:
            samples.append(from_line(line))
        except ValueError as error:
            log.warning("a line of metrics was left out", file=path.name, error=str(error))
    return samples, start + end
