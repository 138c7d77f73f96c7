"""The values that a hyperparameter may have; `str()` of a domain is what errors and documentation say is allowed."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """[low, high]; None where there is no bound."""

    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = self.low is None or value > self.low or (value == self.low and not self.low_open)
        below = self.high is None or value < self.high or (value == self.high and not self.high_open)
        return math.isfinite(value) and above and below

    @property
    def notation(self) -> str:
        """`(0, 1]`."""
        low = "(-inf" if self.low is None else f"{'(' if self.low_open else '['}{self.low}"
        high = "+inf)" if self.high is None else f"{self.high}{')' if self.high_open else ']'}"
        return f"{low}, {high}"


@dataclass(frozen=True, slots=True)
class Integer(Interval):
    def __str__(self) -> str:
        return f"an integer in {self.notation}"


@dataclass(frozen=True, slots=True)
class Continuous(Interval):
    def __str__(self) -> str:
        return f"a number in {self.notation}"


@dataclass(frozen=True, slots=True)
class Categorical:
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"one of {', '.join(self.values)}"


@dataclass(frozen=True, slots=True)
class Boolean:
    """ "true" or "false"."""

    def __str__(self) -> str:
        return "true or false"


@dataclass(frozen=True, slots=True)
class CategoryList:
    """Some of the values, separated by commas, or as a JSON list."""

    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"a list, separated by commas, of {', '.join(self.values)}"


@dataclass(frozen=True, slots=True)
class IntegerList:
    """(1, -1), each in the interval; nested: a list of such lists, [[0, 1], [2, 3]]."""

    interval: Interval
    nested: bool = False

    def __str__(self) -> str:
        inner = f"integers in {self.interval.notation}"
        return f"a list of lists of {inner}, as [[0, 1], [2, 3]]" if self.nested else f"a list of {inner}, as (1, -1)"


@dataclass(frozen=True, slots=True)
class MetricList:
    """Metrics that the algorithm shall report, separated by commas, or as a JSON list.

    parametrized  those that may have a number behind the name: `error@0.7`
    """

    metrics: tuple[str, ...]
    parametrized: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"a list, separated by commas, of {', '.join(self.metrics)}"
        if not self.parametrized:
            return text
        *others, last = self.parametrized
        names = f"{', '.join(others)} and {last}" if others else last
        return f"{text}; {names} may have a parameter, as in {self.parametrized[0]}@0.7"


@dataclass(frozen=True, slots=True)
class ObjectiveMetric:
    """The metric that a tuning job optimizes, with its channel: `validation:auc`."""

    channels: tuple[str, ...]
    metrics: MetricList

    def __str__(self) -> str:
        return f"validation:<metric>, where the metric is one of {', '.join(self.metrics.metrics)}"


Domain = Integer | Continuous | Categorical | Boolean | CategoryList | IntegerList | MetricList | ObjectiveMetric
