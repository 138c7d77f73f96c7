"""What the values of a metric come to in a period, as CloudWatch keeps them. Pure.

Reference: StatisticSet (CloudWatch API Reference).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StatisticSet:
    """`sum`, `min` and `max` of `count` values."""

    sum: float
    count: int
    min: float
    max: float

    def merged(self, other: StatisticSet) -> StatisticSet:
        """The values of both."""
        return StatisticSet(
            self.sum + other.sum, self.count + other.count, min(self.min, other.min), max(self.max, other.max)
        )


def occurrences(number: int, requests: int) -> StatisticSet:
    """Of a metric that is 1 for each request to which something happened, and 0 for the others."""
    requests = max(requests, number)
    return StatisticSet(number, requests, 1 if number == requests else 0, 1 if number else 0)
