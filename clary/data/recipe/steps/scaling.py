"""Scaling: each column by its own mean, extremes or quantiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Block, Column, Field, Kind, Schema, numbers
from clary.data.errors import StepError
from clary.data.recipe.step import Fitting, PerColumn, Step, check_choice, need, select, step
from clary.data.statistics.base import Statistic
from clary.data.statistics.block_moments import BlockMoment, BlockMoments
from clary.data.statistics.moments import Moment, Moments
from clary.data.statistics.quantiles import Quantiles

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode

Method = Literal["standard", "min_max", "max_abs", "robust"]
_EPSILON = float(np.finfo(np.float64).eps)
_EMPTY = "it has no value to learn a scale from; drop it (step `drop_missing`, axis: columns)"


@step
@dataclass(frozen=True, kw_only=True)
class Scale(Step):
    """Bring number columns to one scale, as scikit-learn's scalers do. Missing values stay missing.

    method          standard: (value - mean) / standard deviation (StandardScaler);
                    min_max: linearly from [lowest, highest] to `feature_range` (MinMaxScaler);
                    max_abs: divided by the largest absolute value; sparse columns stay sparse (MaxAbsScaler);
                    robust: (value - median) / (difference of two quantiles) (RobustScaler)
    with_mean       standard: whether the mean is taken away; false keeps sparse columns sparse
    with_std        standard: whether it is divided by the standard deviation
    feature_range   min_max: the lowest and the highest value wanted
    clip            min_max: whether new values beyond those seen are brought into the range
    with_centering  robust: whether the median is taken away
    with_scaling    robust: whether it is divided by the difference of the quantiles
    quantile_range  robust: the two quantiles, in percent
    unit_variance   robust: whether the difference is made what it is of a normal distribution with variance 1
    Columns without variance are only moved, not divided. Quantiles are exact.
    """

    method: Method = "standard"
    with_mean: bool = True
    with_std: bool = True
    feature_range: tuple[float, float] = (0.0, 1.0)
    clip: bool = False
    with_centering: bool = True
    with_scaling: bool = True
    quantile_range: tuple[float, float] = (25.0, 75.0)
    unit_variance: bool = False

    name: ClassVar[str] = "scale"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.NUMBER, Kind.BLOCK)
    keeps_schema: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_choice("method", self.method, ("standard", "min_max", "max_abs", "robust"))
        need(self.feature_range[0] < self.feature_range[1], "the first has to be below the second", "feature_range")
        need(all(map(math.isfinite, self.feature_range)), "both have to be finite", "feature_range")
        low, high = self.quantile_range
        need(0 <= low < high <= 100, "two percentages are needed, the smaller one first", "quantile_range")
        need(not self.unit_variance or low > 0, "needs quantiles above 0 and below 100", "unit_variance")
        need(not self.unit_variance or high < 100, "needs quantiles above 0 and below 100", "unit_variance")

    def chosen(self, schema: Schema) -> tuple[str, ...]:
        kinds = (Kind.NUMBER,) if self.method == "robust" else self.kinds
        return select(schema, self.columns, kinds, self.leave, self.target)

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        found = yield [self._statistic(schema[name]) for name in names]
        pairs = [self._fitted_column(name, result) for name, result in zip(names, found, strict=True)]
        return Scaled(
            names,
            tuple(offset for offset, _, _ in pairs),
            tuple(scale for _, scale, _ in pairs),
            tuple(schema[name].names for name in names),
            tuple(constant for _, _, constant in pairs),
            self.method,
            float(self.feature_range[0]),
            float(self.feature_range[1]),
            self.clip,
            self._takes_away,
            self._divides,
        )

    @property
    def _takes_away(self) -> bool:
        return {"standard": self.with_mean, "robust": self.with_centering, "max_abs": False, "min_max": True}[
            self.method
        ]

    @property
    def _divides(self) -> bool:
        return {"standard": self.with_std, "robust": self.with_scaling}.get(self.method, True)

    def _statistic(self, field: Field) -> Statistic[Any, Any]:
        if field.kind is Kind.BLOCK:
            return BlockMoments(field.name)
        if self.method == "robust":
            low, high = self.quantile_range
            return Quantiles(field.name, (low / 100, 0.5, high / 100))
        return Moments(field.name)

    def _fitted_column(self, name: str, found: Any) -> tuple[Any, Any, bool]:
        """(offset, scale, constant): floats, or arrays for a block, and whether the column has no variance."""
        if isinstance(found, Moment):
            moments = (found.count, found.missing, found.mean, found.m2, found.low, found.high, found.infinite)
            offset, scale = self._from_moments(name, BlockMoment(*(np.array([value], np.float64) for value in moments)))
            return float(offset[0]), float(scale[0]), found.low == found.high
        if isinstance(found, np.ndarray):
            return self._from_quantiles(name, found)
        if found is None:
            raise StepError("there is no row to learn its scale from", column=name)
        return *self._from_moments(name, found), False

    def _from_moments(self, name: str, found: BlockMoment) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if found.infinite.any():
            reason = f"{int(found.infinite.sum()):,} of its values are infinite: clip them or make them missing first"
            raise StepError(f"{reason} (steps `clip`, `outliers`)", column=name)
        if not found.count.all():
            raise StepError(_EMPTY, column=name)
        with np.errstate(all="ignore"):
            offset, scale = self._by_method(found)
        if not (np.isfinite(offset).all() and np.isfinite(scale).all() and scale.all()):
            raise StepError("its values are too large to be scaled: clip it first (step `clip`)", column=name)
        return offset, scale

    def _by_method(self, found: BlockMoment) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if self.method == "standard":
            variance = found.m2 / found.count
            return found.mean, np.where(_constant(variance, found.mean, found.count), 1.0, np.sqrt(variance))
        if self.method == "max_abs":
            return np.zeros(len(found.mean)), _not_zero(np.maximum(np.abs(found.low), np.abs(found.high)))
        low, high = self.feature_range
        scale = (high - low) / _not_zero(found.high - found.low)
        return low - found.low * scale, scale

    def _from_quantiles(self, name: str, found: NDArray[np.float64]) -> tuple[float, float, bool]:
        low, middle, high = map(float, found)
        if math.isnan(middle):
            raise StepError(
                "it has no value to learn a scale from; drop it (step `drop_missing`, axis: columns)", column=name
            )
        if not all(map(math.isfinite, (low, middle, high, high - low))):
            raise StepError("its quantiles are infinite: clip it or make such values missing first", column=name)
        scale = float(_not_zero(np.array([high - low]))[0])
        if self.unit_variance:
            from scipy.stats import norm

            scale /= float(norm.ppf(self.quantile_range[1] / 100) - norm.ppf(self.quantile_range[0] / 100))
        return middle, scale, low == high


def _constant(
    variance: NDArray[np.float64], mean: NDArray[np.float64], count: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Where a variance is nothing but rounding; the bound is scikit-learn's, after Chan, Golub & LeVeque (1983)."""
    return variance <= count * _EPSILON * variance + (count * mean * _EPSILON) ** 2


def _not_zero(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 where a scale is nothing but rounding: scikit-learn's bound."""
    return np.where(scale < 10 * _EPSILON, 1.0, scale)


@dataclass(frozen=True)
class Scaled(PerColumn):
    """(value - offset) / scale; for min_max, value * scale + offset. Of a block, both are arrays.

    blocks    of each column, the names of a block's columns; () for a number column
    constant  whether a column had no variance
    """

    offset: tuple[Any, ...]
    scale: tuple[Any, ...]
    blocks: tuple[tuple[str, ...], ...]
    constant: tuple[bool, ...]
    method: Method
    low: float
    high: float
    clip: bool
    takes_away: bool
    divides: bool

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(
            Field(name, Kind.BLOCK if inner else Kind.NUMBER, inner)
            for name, inner in zip(self.names, self.blocks, strict=True)
        )

    def apply(self, place: int, column: Column) -> Column:
        if not isinstance(column, Block):
            return self._scaled(numbers(column), self.offset[place], self.scale[place])
        if not column.sparse:
            return Block(column.names, self._scaled(column.dense(), self.offset[place], self.scale[place]))
        return Block(column.names, self._scaled_sparse(column.matrix, self.scale[place]))

    def _scaled(self, values: NDArray[Any], offset: Any, scale: Any) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, as in a row alone
            return self._shifted_and_divided(values, offset, scale)

    def _shifted_and_divided(self, values: NDArray[Any], offset: Any, scale: Any) -> NDArray[np.float64]:
        made: NDArray[np.float64]
        if self.method == "min_max":
            made = values * scale
            made += offset
            if self.clip:
                np.clip(made, self.low, self.high, out=made)
                made += 0.0  # 0.0 and -0.0 are equal, and which of them numpy takes is undefined: 0.0 is taken
            return made
        if not self.takes_away:
            made = values / scale if self.divides else values.astype(np.float64, copy=False)
            return made
        made = values - offset
        return np.divide(made, scale, out=made) if self.divides else made

    def _scaled_sparse(self, matrix: Any, scale: NDArray[np.float64]) -> Any:
        if self.takes_away:
            remedy = "with_mean: false" if self.method == "standard" else "method: max_abs"
            raise StepError(f"it is sparse, and moving its zeros would make it dense: use {remedy}, or leave it out")
        if not self.divides:
            return matrix
        made = matrix.astype(np.float64)
        made.data /= scale[made.indices]
        return made

    def row(self, code: RowCode) -> None:
        if any(self.blocks):
            code.call(self)
            return
        for name, offset, scale in zip(self.names, self.offset, self.scale, strict=True):
            code.write(name, self._expression(code, code.read(name), code.constant(offset), code.constant(scale)))

    def _expression(self, code: RowCode, value: str, offset: str, scale: str) -> str:
        if self.method == "min_max" and self.clip:
            made, (low, high) = code.fresh(), (code.constant(limit) for limit in (self.low, self.high))
            code.statement(f"{made} = {value} * {scale} + {offset}")
            return f"({low} if {made} < {low} else {high} if {made} > {high} else {made}) + 0.0"
        if self.method == "min_max":
            return f"{value} * {scale} + {offset}"
        if self.takes_away:
            value = f"({value} - {offset})"
        return f"{value} / {scale}" if self.divides else value

    def notes(self) -> Sequence[str]:
        return tuple(
            f"{name!r} has no variance: nothing was there to scale it by."
            for name, constant in zip(self.names, self.constant, strict=True)
            if constant
        )

    def sklearn(self) -> Any:
        from sklearn import preprocessing

        if any(self.blocks) or not self.names:
            return None
        import pandas as pd

        offset, scale = np.array(self.offset), np.array(self.scale)
        learnt: dict[str, Any]
        if self.method == "standard":
            made = preprocessing.StandardScaler(with_mean=self.takes_away, with_std=self.divides)
            learnt = {"mean_": offset, "scale_": scale if self.divides else None}
            learnt["var_"] = scale**2 if self.divides else None
        elif self.method == "robust":
            made = preprocessing.RobustScaler(with_centering=self.takes_away, with_scaling=self.divides)
            learnt = {"center_": offset if self.takes_away else None, "scale_": scale if self.divides else None}
        elif self.method == "max_abs":
            made = preprocessing.MaxAbsScaler()
            learnt = {"scale_": scale, "max_abs_": scale}
        else:
            made = preprocessing.MinMaxScaler(feature_range=(self.low, self.high), clip=self.clip)
            low = (self.low - offset) / scale
            learnt = {"min_": offset, "scale_": scale, "data_min_": low}
            learnt |= {"data_range_": (self.high - self.low) / scale}
            learnt["data_max_"] = low + learnt["data_range_"]
        # Fitted on one row, to be what it is after fitting in any version; then given what was learnt.
        made.fit(pd.DataFrame([[1.0] * len(self.names)], columns=list(self.names)))
        for attribute, value in learnt.items():
            setattr(made, attribute, value)
        return made
