"""What the gateway counts, appended to a spool file that the server reads into its tables (`core.metrics`).

A line is a statistic set: what was added to a metric in a period. A period without requests writes nothing; a file that
has grown large is closed, and another begins.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from clary.core.clock import Clock
from clary.core.metrics import Sample, Series, Spool
from clary.gateway.metrics import LATENCIES, MetricKey, Metrics
from clary.gateway.statistic_set import StatisticSet

NAMESPACE = "AWS/SageMaker"
_MAX_FILE_BYTES = 8 * 1024 * 1024

log = structlog.get_logger()


class MetricsSpool:
    """Writes what `metrics` counts. What cannot be written is kept, and written with the next period.

    folder      made where it is missing
    max_bytes   of a file, after which another begins
    """

    def __init__(self, metrics: Metrics, folder: Path, clock: Clock, max_bytes: int = _MAX_FILE_BYTES) -> None:
        self._metrics = metrics
        self._folder = folder
        self._clock = clock
        self._max_bytes = max_bytes
        self._spool: Spool | None = None
        self._period_began = clock.now()
        self._unwritten: dict[MetricKey, StatisticSet] = {}
        self._failing = False
        self._one_at_a_time = asyncio.Lock()

    async def run(self, period_s: float) -> None:
        """Write every `period_s` until cancelled."""
        while True:
            await self._clock.sleep_until(self._clock.now() + timedelta(seconds=period_s))
            await self.write()

    async def write(self) -> None:
        """Append what was added since the last call. The event loop does not wait for the disk. Never raises OSError.

        A caller that is cancelled leaves the write to end by itself; the next one waits for it.
        """
        await asyncio.shield(asyncio.create_task(self._write()))

    async def close(self) -> None:
        """Write the last period."""
        await self.write()
        if self._spool is not None:
            self._spool.close()

    async def _write(self) -> None:
        async with self._one_at_a_time:
            for key, values in self._metrics.take().items():
                earlier = self._unwritten.get(key)
                self._unwritten[key] = earlier.merged(values) if earlier else values
            now = self._clock.now()
            if self._unwritten:
                try:
                    await asyncio.to_thread(self._append, self._unwritten, now)
                except OSError as error:
                    self._report(str(error))
                    return
                self._unwritten = {}
                self._report("")
            self._period_began = now

    def _append(self, added: Mapping[MetricKey, StatisticSet], now: datetime) -> None:
        """All of it or nothing, which raises OSError. In a thread."""
        if self._spool is None:
            self._spool = Spool(self._folder, f"gateway-{os.getpid()}-{int(now.timestamp() * 1e9)}")
        period_s = max(1, round((now - self._period_began).total_seconds()))
        self._spool.append([(_series(key), _sample(values, now, period_s)) for key, values in added.items()])
        if self._spool.path.stat().st_size >= self._max_bytes:
            self._spool.close()
            self._spool = None

    def _report(self, trouble: str) -> None:
        """Log that writing began to fail, or works again, each once."""
        if trouble and not self._failing:
            log.warning("metrics_not_written", folder=str(self._folder), error=trouble, kept_for_later=True)
        elif self._failing and not trouble:
            log.info("metrics_written_again", folder=str(self._folder))
        self._failing = bool(trouble)


def _series(key: MetricKey) -> Series:
    dimensions = {"EndpointName": key.endpoint, "VariantName": key.variant}
    return Series.of(NAMESPACE, key.name, dimensions, "Microseconds" if key.name in LATENCIES else "None")


def _sample(values: StatisticSet, at: datetime, period_s: int) -> Sample:
    return Sample(at, values.sum, values.count, values.min, values.max, period_s)
