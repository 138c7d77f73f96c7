"""The figures of a profile. All are plain numbers, texts and tuples; NaN where a figure does not exist.

Times are microseconds since 1970, UTC, save where a text is said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Kind


@dataclass(frozen=True)
class Histogram:
    """How many values of `values` lie in each of len(counts) equal ranges from low to high; the last one is closed.

    below, above  values outside: the range leaves far outliers out, so that the others can be seen
    values        how many values were looked at: all, or those of a sample
    """

    low: float
    high: float
    counts: tuple[int, ...]
    below: int
    above: int
    values: int


@dataclass(frozen=True)
class Numbers:
    """Of a column of numbers or booleans; moments over finite values, as pandas' mean, var, skew and kurt.

    quantiles         by numpy's linear method
    median_deviation  the median of |value - median|
    outliers          values more than 1.5 interquartile ranges below the first or above the third quartile (fences)
    robust_outliers   values with |0.6745 (value - median) / median_deviation| > 3.5; None where that deviation is 0
    whole             whether all are integers
    order             "increasing", "not decreasing" or "" in the table's order
    """

    mean: float
    variance: float
    skewness: float
    kurtosis: float
    low: float
    high: float
    finite_low: float
    finite_high: float
    quantiles: Mapping[float, float]
    zeros: int
    negatives: int
    infinite: int
    whole: bool
    order: str
    fences: tuple[float, float]
    outliers: int
    median_deviation: float
    robust_outliers: int | None
    histogram: Histogram | None = None

    @property
    def deviation(self) -> float:
        return math.sqrt(self.variance)


@dataclass(frozen=True)
class Times:
    """Of a column of times, as numbers; `Profile.to_dict` writes them as ISO 8601."""

    first: float
    last: float
    mean: float
    quantiles: Mapping[float, float]
    order: str
    histogram: Histogram | None = None


@dataclass(frozen=True)
class Texts:
    """Of a column of text; lengths in characters, words from a sample.

    empty      texts without a character; blank: on the sample, texts of white space only
    words      the most frequent ones on the sample, lower case, with the number of their rows
    all_numbers, all_times  whether every text of the sample reads as a number, as a date or time
    dates      how it reads as one: "plain" (ISO 8601 or the year first), "day first", "month first", "either", or ""
    padded     on the sample, texts with white space around them
    """

    shortest: float
    longest: float
    mean_length: float
    empty: int
    mean_words: float
    words: tuple[tuple[str, int], ...]
    all_numbers: bool
    all_times: bool
    padded: int
    dates: str = ""


@dataclass(frozen=True)
class Level:
    """A value and how many rows have it."""

    value: Any
    rows: int


@dataclass(frozen=True)
class ColumnSummary:
    """Of one column.

    type             as Arrow names it
    distinct         different values, missing ones not counted; distinct_exact: whether that is no estimate
    top              the most frequent values; top_of: of how many rows (of a sample where there are too many levels)
    levels_all       whether `top` was counted over all rows
    index_like       whether every value is there once, and it could be a row's name
    """

    name: str
    kind: Kind
    type: str
    rows: int
    missing: int
    distinct: int
    distinct_exact: bool
    top: tuple[Level, ...]
    top_of: int
    numbers: Numbers | None = None
    times: Times | None = None
    texts: Texts | None = None
    index_like: bool = False

    @property
    def count(self) -> int:
        return self.rows - self.missing

    @property
    def missing_share(self) -> float:
        return self.missing / self.rows if self.rows else 0.0

    @property
    def top_exact(self) -> bool:
        return self.top_of == self.rows


@dataclass(frozen=True)
class Matrix:
    """An association of each pair of columns, in [-1, 1] or [0, 1]; NaN where it does not exist.

    rows   how many it was worked out over
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    rows: int

    def pairs(self, at_least: float) -> list[tuple[str, str, float]]:
        """The pairs with |value| of at least so much, the strongest first."""
        found = [
            (self.names[i], self.names[j], float(self.values[i, j]))
            for i, j in zip(*np.nonzero(np.abs(np.nan_to_num(self.values)) >= at_least), strict=True)
            if i < j
        ]
        return sorted(found, key=lambda pair: -abs(pair[2]))


@dataclass(frozen=True)
class Pattern:
    """Rows in which these columns, and no others, are missing."""

    columns: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class Classes:
    """A target of classes: how many rows each has, the most frequent first."""

    rows: tuple[Level, ...]

    @property
    def imbalance(self) -> float:
        """Rows of the largest class for each of the smallest."""
        return self.rows[0].rows / self.rows[-1].rows if self.rows else float("nan")


@dataclass(frozen=True)
class Importance:
    """What a column tells of the target.

    drop    how much worse the quick model becomes when the column is shuffled; NaN where the model does without it
    alone   the cross-validated score of a small tree of this column only
    """

    column: str
    drop: float
    alone: float


@dataclass(frozen=True)
class Target:
    """How well a quick model tells the target, and from what. All on a sample of `rows` rows.

    task      "classification" or "regression"
    metric    "balanced accuracy" or "R²"; score: cross-validated; baseline: of always the same answer
    """

    column: str
    task: str
    classes: Classes | None
    metric: str
    score: float
    spread: float
    baseline: float
    importances: tuple[Importance, ...]
    rows: int
    told: tuple[str, ...] = ()


class Severity(StrEnum):
    ERROR = "error"  # a model would be wrong, or would not work at all
    WARNING = "warning"  # a model would be worse
    INFO = "info"  # good to know


@dataclass(frozen=True)
class Finding:
    """Something a person should look at.

    text  a sentence with the figure
    step  what would mend it, as a recipe has it: {"impute": {"columns": ["age"], "strategy": "median"}}; None where no
          step does
    """

    severity: Severity
    code: str
    column: str
    text: str
    step: Mapping[str, Any] | None = None
