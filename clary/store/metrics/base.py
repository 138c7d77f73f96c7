"""What a store of metrics promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from clary.core.metrics import Sample, Series

# The periods samples are kept under, seconds: single values, periods shorter than a minute, and so on.
SINGLE_VALUES = 0
HIGH_RESOLUTION = 1
MINUTES = 60
FIVE_MINUTES = 300
HOURS = 3600


@dataclass(frozen=True, slots=True)
class Retention:
    """How long samples of each period are kept, before those of a longer period take their place.

    Reference: "Amazon CloudWatch concepts", Metrics retention, whose spans are the defaults.
    """

    single_values: timedelta = timedelta(days=15)
    high_resolution: timedelta = timedelta(hours=3)
    minutes: timedelta = timedelta(days=15)
    five_minutes: timedelta = timedelta(days=63)
    hours: timedelta = timedelta(days=455)

    def steps(self) -> Sequence[tuple[int, timedelta, int | None]]:
        """Each (period kept under, kept for, period of what takes their place; None where nothing does)."""
        return (
            (SINGLE_VALUES, self.single_values, FIVE_MINUTES),
            (HIGH_RESOLUTION, self.high_resolution, MINUTES),
            (MINUTES, self.minutes, FIVE_MINUTES),
            (FIVE_MINUTES, self.five_minutes, HOURS),
            (HOURS, self.hours, None),
        )


class MetricStore(Protocol):
    """Keeps samples of series. Safe to use from many tasks. Raises StoreError where the database itself fails."""

    async def put(
        self, samples: Sequence[tuple[Series, Sample]], source: str = "", start: int = 0, end: int = 0
    ) -> None:
        """Keep samples, all or none.

        Those that were read from a source, from byte `start` to byte `end`, are kept once however often they are put:
        raises StaleWrite where the source has been read to another byte than `start`.
        """
        ...

    async def position(self, source: str) -> int:
        """Up to which byte a source has been read; 0 for a new one."""
        ...

    async def forget_source(self, source: str) -> None:
        """The source is no more. Its samples stay."""
        ...

    async def read(self, series: Series, start: datetime, end: datetime, period_s: int = 0) -> Sequence[Sample]:
        """The samples of a series in [start, end), oldest first.

        period_s   0: as they are kept. Else one sample for each period in which there are any, which begins at a
                   multiple of the period since 1970.
        """
        ...

    async def series(
        self, namespace: str, name: str | None = None, dimensions: Sequence[tuple[str, str]] | None = None
    ) -> Sequence[Series]:
        """The series of a namespace that have samples, ordered; of this name, of exactly these dimensions."""
        ...

    async def downsample(self, now: datetime, retention: Retention) -> None:
        """Replace samples that are older than their period is kept by fewer ones of a longer period."""
        ...
