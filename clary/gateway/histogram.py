"""Latencies counted in buckets: cheap to add to, and quantiles exact to a few per cent."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

# The E24 series of preferred numbers: steps of 10 %, so a quantile is off by half of that at most.
_E24 = (10, 11, 12, 13, 15, 16, 18, 20, 22, 24, 27, 30, 33, 36, 39, 43, 47, 50, 56, 62, 68, 75, 82, 91)
UPPER_US: tuple[int, ...] = tuple(step * int(10**decade) for decade in range(8) for step in _E24)  # 10 us to 910 s
EXPORTED_US = frozenset(first * 10**decade for decade in range(1, 9) for first in (1, 2, 5))

_INFINITY = float("inf")


class Histogram:
    """Counts of durations in microseconds; beside them the extremes of the period since `reset_extremes`."""

    __slots__ = ("_counts", "count", "max_us", "min_us", "total_us")

    def __init__(self) -> None:
        self._counts = [0] * (len(UPPER_US) + 1)
        self.count = 0
        self.total_us = 0.0
        self.min_us = _INFINITY
        self.max_us = -_INFINITY

    def add(self, duration_us: float) -> None:
        self._counts[bisect_left(UPPER_US, duration_us)] += 1
        self.count += 1
        self.total_us += duration_us
        if duration_us < self.min_us:
            self.min_us = duration_us
        if duration_us > self.max_us:
            self.max_us = duration_us

    def reset_extremes(self) -> None:
        """Begin a new period: `min_us` and `max_us` are infinite until something is added."""
        self.min_us = _INFINITY
        self.max_us = -_INFINITY

    def quantile(self, share: float) -> float:
        """The duration in microseconds that `share` of all stay below; 0 where there are none."""
        rank = share * self.count
        below = 0
        for index, count in enumerate(self._counts):
            if count and below + count >= rank:
                low = UPPER_US[index - 1] if index else 0
                high = UPPER_US[min(index, len(UPPER_US) - 1)]
                return low + (high - low) * (rank - below) / count
            below += count
        return 0.0

    def cumulative(self) -> list[tuple[int, int]]:
        """(upper bound in microseconds, how many at most that long), for a few round bounds."""
        exported = []
        below = 0
        for upper, count in zip(UPPER_US, self._counts, strict=False):
            below += count
            if upper in EXPORTED_US:
                exported.append((upper, below))
        return exported

    def to_json(self) -> dict[str, Any]:
        """The counts of the buckets that are not empty, by their index, and the total."""
        counts = {str(index): count for index, count in enumerate(self._counts) if count}
        return {"counts": counts, "total_us": self.total_us}

    def add_json(self, raw: dict[str, Any]) -> None:
        """Add what `to_json` of another gave."""
        for index, count in raw["counts"].items():
            self._counts[int(index)] += count
            self.count += count
        self.total_us += raw["total_us"]
