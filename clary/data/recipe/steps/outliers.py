"""Outliers: values brought between two limits, made missing, or their rows left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from clary.data.batch import Batch, Column, Kind, Schema, numbers
from clary.data.recipe.step import Fitting, PerColumn, Step, check_choice, need, step
from clary.data.recipe.steps.training import RowStep
from clary.data.statistics.quantiles import Quantiles

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode

Action = Literal["clip", "missing", "drop_rows"]
# Of a normal distribution the median of absolute deviations is this share of the standard deviation.
_NORMAL_MAD = 0.6745


@step
@dataclass(frozen=True, kw_only=True)
class Clip(Step):
    """Bring number columns between two limits, as pandas' `clip` does. Missing values stay missing.

    lower, upper  the limits; None: no limit on that side
    """

    lower: float | None = None
    upper: float | None = None

    name: ClassVar[str] = "clip"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.NUMBER,)
    keeps_schema: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need(self.lower is not None or self.upper is not None, "give lower, upper, or both")
        for parameter in ("lower", "upper"):
            limit = getattr(self, parameter)
            need(limit is None or not math.isnan(limit), "a number is needed", parameter)
        both = self.lower is not None and self.upper is not None
        need(not both or self.lower <= self.upper, "lower is above upper")  # type: ignore[operator]

    def fitting(self, schema: Schema) -> Fitting:
        yield from ()  # nothing is learnt from the table
        names = self.chosen(schema)
        low = -math.inf if self.lower is None else float(self.lower)
        high = math.inf if self.upper is None else float(self.upper)
        return Limited(names, (low,) * len(names), (high,) * len(names), "clip")


@step
@dataclass(frozen=True, kw_only=True)
class Winsorize(Step):
    """Bring number columns between two of their quantiles. Missing values stay missing.

    lower, upper  the quantiles, in [0, 1]; exact, with linear interpolation
    """

    lower: float = 0.01
    upper: float = 0.99

    name: ClassVar[str] = "winsorize"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.NUMBER,)
    keeps_schema: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need(0 <= self.lower < self.upper <= 1, "0 <= lower < upper <= 1 is needed")

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        found = yield [Quantiles(name, (self.lower, self.upper)) for name in names]
        limits = [_limits(float(low), float(high)) for low, high in found]
        return Limited(names, tuple(low for low, _ in limits), tuple(high for _, high in limits), "clip")


@step
@dataclass(frozen=True, kw_only=True)
class Outliers(Step):
    """Find values far from the others of their column, and deal with them.

    method  iqr: below the first quartile, or above the third, by more than `factor` times their difference (Tukey 1977;
            factor 1.5 without another);
            robust_z: 0.6745 |value - median| / median of |value - median| above `factor` (Iglewicz & Hoaglin 1993;
            factor 3.5 without another)
    action  clip: they become the limit; missing: they become missing; drop_rows: their rows are left out of those that
            are learnt from (at inference nothing happens)
    factor  larger finds fewer
    A column of which half the values are the same has no scale, and no outliers. Quantiles are exact.
    """

    method: Literal["iqr", "robust_z"] = "iqr"
    action: Action = "clip"
    factor: float | None = None

    name: ClassVar[str] = "outliers"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.NUMBER,)
    keeps_schema: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_choice("method", self.method, ("iqr", "robust_z"))
        check_choice("action", self.action, ("clip", "missing", "drop_rows"))
        need(self.factor is None or (self.factor > 0 and math.isfinite(self.factor)), "more than 0", "factor")

    @property
    def changes_rows(self) -> bool:  # type: ignore[override]  # only with that one action
        return self.action == "drop_rows"

    def writes(self, schema: Schema) -> tuple[str, ...]:
        return () if self.action == "drop_rows" else self.chosen(schema)

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        if self.method == "iqr":
            found = yield [Quantiles(name, (0.25, 0.75)) for name in names]
            factor = 1.5 if self.factor is None else self.factor
            centres = [(float(low), float(high)) for low, high in found]
            widths = [factor * (high - low) for low, high in centres]
        else:
            medians = yield [Quantiles(name, (0.5,)) for name in names]
            factor = 3.5 if self.factor is None else self.factor
            centres = [(float(middle), float(middle)) for (middle,) in medians]
            spreads = yield [Quantiles(name, (0.5,), centre=low) for name, (low, _) in zip(names, centres, strict=True)]
            widths = [factor * float(spread) / _NORMAL_MAD for (spread,) in spreads]
        limits = [
            _limits(low - width, high + width) if width > 0 else (-math.inf, math.inf)
            for (low, high), width in zip(centres, widths, strict=True)
        ]
        low, high = tuple(low for low, _ in limits), tuple(high for _, high in limits)
        return RowsWithin(names, low, high) if self.action == "drop_rows" else Limited(names, low, high, self.action)


def _limits(low: float, high: float) -> tuple[float, float]:
    """NaN, of a column without values, is no limit."""
    return -math.inf if math.isnan(low) else low, math.inf if math.isnan(high) else high


@dataclass(frozen=True)
class Limited(PerColumn):
    """Values outside of [low, high] become the limit (action clip), or missing."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    action: str

    def apply(self, place: int, column: Column) -> Column:
        values, low, high = numbers(column), self.low[place], self.high[place]
        if self.action == "clip":
            made = np.clip(values, low, high)
            made += 0.0  # 0.0 and -0.0 are equal, and which of them numpy takes is undefined: 0.0 is taken
            return made
        return np.where((values < low) | (values > high), np.nan, values)

    def row(self, code: RowCode) -> None:
        nothing = code.constant(math.nan)
        for name, low, high in zip(
            self.names, map(code.constant, self.low), map(code.constant, self.high), strict=True
        ):
            value = code.read(name)
            if self.action == "clip":
                code.write(name, f"({low} if {value} < {low} else {high} if {value} > {high} else {value}) + 0.0")
            else:
                code.write(name, f"{nothing} if {value} < {low} or {value} > {high} else {value}")

    def notes(self) -> Sequence[str]:
        become = "become the limit" if self.action == "clip" else "become missing"
        return _notes(self.names, self.low, self.high, become)


@dataclass(frozen=True)
class RowsWithin(RowStep):
    """Rows in which no value is outside of [low, high]; a missing value is not."""

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.names

    def transform(self, batch: Batch) -> Batch:
        out = np.zeros(batch.rows, bool)
        for name, low, high in zip(self.names, self.low, self.high, strict=True):
            values = numbers(batch[name])
            out |= (values < low) | (values > high)
        return batch.take(~out) if out.any() else batch

    def notes(self) -> Sequence[str]:
        return _notes(self.names, self.low, self.high, "are left out with their rows")


def _notes(names: Sequence[str], low: Sequence[float], high: Sequence[float], outcome: str) -> tuple[str, ...]:
    sentences = []
    for name, lower, upper in zip(names, low, high, strict=True):
        sides = [f"below {lower:g}"] * math.isfinite(lower) + [f"above {upper:g}"] * math.isfinite(upper)
        where = " or ".join(sides)
        sentences.append(f"Values of {name!r} {where} {outcome}." if sides else f"No value of {name!r} is an outlier.")
    return tuple(sentences)
