"""Drop columns with little information: nearly constant, mostly missing, or redundant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Kind, Schema
from clary.data.errors import StepError
from clary.data.recipe.step import Fitting, Step, need, step
from clary.data.recipe.steps.features import NUMERIC, Feature, features
from clary.data.recipe.steps.selection.fitted import Selection, selection
from clary.data.statistics.base import Statistic
from clary.data.statistics.block_moments import BlockMoments
from clary.data.statistics.gaps import Gaps
from clary.data.statistics.moments import Moments
from clary.data.statistics.pairs import Correlation, Correlations

MOST_PAIRED = 2_048  # columns of which every two are compared


@step
@dataclass(frozen=True, kw_only=True)
class SelectVariance(Step):
    """Drop columns whose variance (ddof=0) is not above a threshold; at 0, those of one value. Missing values do not
    count. Exact, in one pass; equals scikit-learn's VarianceThreshold.

    threshold  in squared units of the column
    """

    name = "select_variance"
    kinds = NUMERIC

    threshold: float = 0.0

    def __post_init__(self) -> None:
        need(self.threshold >= 0, "not below 0", "threshold")

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        flat = features(schema, names)
        moments = yield [_moments(schema, name) for name in names]
        variance, reach, infinite = (np.concatenate(part) for part in zip(*map(_spread, moments), strict=True))
        if infinite.any():
            place = int(infinite.argmax())
            raise StepError(
                f"{int(infinite[place])} values are infinite; clip them or make them missing first",
                column=flat[place].name,
            )
        # Of equal values rounding may make a tiny variance; their range is exactly zero. As in scikit-learn.
        variances = np.fmin(variance, reach) if self.threshold == 0 else variance
        reasons = [
            "it has no values"
            if np.isnan(value)
            else "all its values are the same"
            if not extent
            else f"its variance {value:.6g} is not above {self.threshold:g}"
            for value, extent in zip(variance, reach, strict=True)
        ]
        return selection(flat, variances > self.threshold, reasons, variance)


def _moments(schema: Schema, name: str) -> Statistic[Any, Any]:
    return BlockMoments(name) if schema[name].kind is Kind.BLOCK else Moments(name)


def _spread(moment: Any) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(variance, range, infinite values), each as long as the column has columns."""
    if moment is None:
        raise StepError("there are no rows")
    with np.errstate(invalid="ignore"):  # inf - inf, which the caller reports
        reach = np.atleast_1d(np.subtract(moment.high, moment.low))
    return np.atleast_1d(moment.variance()), reach, np.atleast_1d(np.asarray(moment.infinite, np.float64))


@step
@dataclass(frozen=True, kw_only=True)
class SelectMissing(Step):
    """Drop columns in which too many values are missing. Columns of any kind; exact, in one pass.

    share  of rows, in [0, 1]: a column goes where more of its values are missing
    """

    name = "select_missing"

    share: float = 0.5

    def __post_init__(self) -> None:
        need(0 <= self.share <= 1, "a share in [0, 1] is wanted", "share")

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        flat = features(schema, names)
        (gaps,) = yield [Gaps(names)]
        if not gaps.rows:
            raise StepError("there are no rows")
        shares = gaps.missing / gaps.rows
        reasons = [
            f"{count} of {gaps.rows} values are missing ({share:.1%}, more than {self.share:.1%})"
            for count, share in zip(gaps.missing, shares, strict=True)
        ]
        return selection(flat, shares <= self.share, reasons, shares)


@step
@dataclass(frozen=True, kw_only=True)
class SelectCorrelation(Step):
    """Of every two columns that are highly correlated, drop the column that stands further back in the table.

    Pearson's correlation, each over the rows in which both columns have a value, as pandas' DataFrame.corr; exact, in
    one pass. Columns are taken in the table's order: each stays whose correlation with those that stay is not too
    high.
    For up to 2,048 columns.

    threshold  of |r|, in (0, 1]: above it one of the two goes
    """

    name = "select_correlation"
    kinds = NUMERIC

    threshold: float = 0.95

    def __post_init__(self) -> None:
        need(0 < self.threshold <= 1, "a figure in (0, 1] is wanted", "threshold")

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        flat = features(schema, names)
        if len(flat) > MOST_PAIRED:
            raise StepError(
                f"they are {len(flat):,} columns, more than {MOST_PAIRED:,}; name fewer, "
                "or take the step `select_variance` first"
            )
        (found,) = yield [Correlations(names)]
        return _uncorrelated(flat, found, self.threshold)


def _uncorrelated(flat: tuple[Feature, ...], found: Correlation, threshold: float) -> Selection:
    """Keep each feature that is close to none of those kept before it."""
    close = np.abs(np.nan_to_num(found.r))
    kept: list[int] = []
    reasons = [""] * len(flat)
    highest = np.zeros(len(flat))
    for place in range(len(flat)):
        beside = close[place, kept]
        if len(beside):
            highest[place] = beside.max()
        if highest[place] > threshold:
            other = kept[int(beside.argmax())]
            reasons[place] = (
                f"its correlation with {flat[other].name!r}, which stays, is {found.r[place, other]:.6g} "
                f"(|r| above {threshold:g}, {int(found.count[place, other])} rows)"
            )
        else:
            kept.append(place)
    keep = np.zeros(len(flat), dtype=bool)
    keep[kept] = True
    return selection(flat, keep, reasons, highest)
