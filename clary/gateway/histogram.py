"""Latencies counted in buckets: cheap to add to, exact to a few per cent when asked for a quantile."""

from __future__ import annotations

from bisect import bisect_left

# The E24 series of preferred numbers: steps of 10 %, so a quantile is off by half of that at most.
_E24 = (10, 11, 12, 13, 15, 16, 18, 20, 22, 24, 27, 30, 33, 36, 39, 43, 47, 50, 56, 62, 68, 75, 82, 91)
UPPER_US: tuple[int, ...] = tuple(step * int(10**decade) for decade in range(8) for step in _E24)  # 10 us to 910 s
SHOWN_US = frozenset(first * 10**decade for decade in range(1, 9) for first in (1, 2, 5))


class Histogram:
    """Counts of durations in microseconds."""

    __slots__ = ("_counts", "count", "total_us")

    def __init__(self) -> None:
        self._counts = [0] * (len(UPPER_US) + 1)
        self.count = 0
        self.total_us = 0.0

    def add(self, duration_us: float) -> None:
        self._counts[bisect_left(UPPER_US, duration_us)] += 1
        self.count += 1
        self.total_us += duration_us

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
        shown = []
        below = 0
        for upper, count in zip(UPPER_US, self._counts, strict=False):
            below += count
            if upper in SHOWN_US:
                shown.append((upper, below))
        return shown
