"""Transformations that bring a column nearer to a normal or a uniform distribution."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Column, Kind, Schema, numbers, some
from clary.data.errors import StepError
from clary.data.recipe.step import FittedStep, Fitting, PerColumn, Step, check_choice, need, step
from clary.data.statistics.base import Sample
from clary.data.statistics.samples import SampleColumns

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode

_NO_POWER = float(np.finfo(np.float64).eps)  # nearer to 0 than this is 0, as for scipy
_EMPTY = "it has no value to learn from; drop it (step `drop_missing`, axis: columns)"


@dataclass(frozen=True, kw_only=True)
class Power(Step):
    """standardize  whether to bring the result to mean 0 and variance 1."""

    standardize: bool = True

    kinds: ClassVar[tuple[Kind, ...]] = (Kind.NUMBER,)
    keeps_schema: ClassVar[bool] = True

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        (sample,) = yield [SampleColumns(names)]
        found = [self._learnt(name, _values(name, sample)) for name in names]
        return Powered(
            names,
            self.name,
            tuple(power for power, _, _ in found),
            tuple(mean for _, mean, _ in found),
            tuple(scale for _, _, scale in found),
            self.standardize,
            _note(sample),
        )

    def _learnt(self, name: str, values: NDArray[np.float64]) -> tuple[float, float, float]:
        """(power, mean and scale of what it makes), by scikit-learn."""
        from sklearn.preprocessing import PowerTransformer, StandardScaler

        if self.name == "box_cox" and values.min() <= 0:
            raise StepError(
                f"its smallest value is {values.min():g}; box_cox is for positive values: use yeo_johnson", column=name
            )
        if self.name == "box_cox" and values.min() == values.max():
            raise StepError("all its values are the same; drop it (step `select_variance`)", column=name)
        estimator = PowerTransformer(self.name.replace("_", "-"), standardize=False)
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # of overflow in the search for the best power
                made = estimator.fit_transform(values[:, None])
                scaler = StandardScaler().fit(made) if self.standardize else None
        except (ValueError, RuntimeError, ArithmeticError) as error:  # scipy's BracketError is one of them
            raise StepError(f"no power was found for it ({error}); scale it first, or clip it", column=name) from None
        power = float(estimator.lambdas_[0])
        mean, scale = (float(scaler.mean_[0]), float(scaler.scale_[0])) if scaler is not None else (0.0, 1.0)
        if not all(map(math.isfinite, (power, mean, scale))):
            raise StepError("its values are too large for a power: scale it first, or clip it", column=name)
        return power, mean, scale


def _values(name: str, sample: Sample) -> NDArray[np.float64]:
    """Those of the sample that are there. Raises StepError where there are none, or an infinite value."""
    values = numbers(sample.batch[name])
    values = values[~np.isnan(values)]
    if not len(values):
        raise StepError(_EMPTY, column=name)
    if np.isinf(values).any():
        raise StepError("a value is infinite: clip it or make it missing first (steps `clip`, `outliers`)", column=name)
    return values


def _note(sample: Sample) -> str:
    return "" if sample.complete else f"It was learnt from a sample of {sample.batch.rows:,} rows."


@step
@dataclass(frozen=True, kw_only=True)
class BoxCox(Power):
    """The Box-Cox transformation of positive number columns, its power by maximum likelihood (PowerTransformer).

    standardize  whether to bring the result to mean 0 and variance 1
    Learnt from a sample of a larger table, which the notes report. Missing values stay missing.
    Reference  Box & Cox (1964), An analysis of transformations, J. R. Stat. Soc. B 26(2).
    """

    name: ClassVar[str] = "box_cox"


@step
@dataclass(frozen=True, kw_only=True)
class YeoJohnson(Power):
    """The Yeo-Johnson transformation of number columns, its power by maximum likelihood (PowerTransformer).

    standardize  whether to bring the result to mean 0 and variance 1
    Learnt from a sample of a larger table, which the notes report. Missing values stay missing.
    Reference  Yeo & Johnson (2000), A new family of power transformations, Biometrika 87(4).
    """

    name: ClassVar[str] = "yeo_johnson"


@dataclass(frozen=True)
class Powered(PerColumn):
    """mean, scale: of what the powers make."""

    method: str
    powers: tuple[float, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    standardize: bool
    note: str

    def apply(self, place: int, column: Column) -> Column:
        values, power = numbers(column), self.powers[place]
        if self.method == "box_cox" and (values <= 0).any():
            least = np.nanmin(values)
            raise StepError(
                f"a value is {least:g}, and box_cox is for positive values: clip it first, or use yeo_johnson"
            )
        with np.errstate(all="ignore"):
            made = _power(np.log(values), power) if self.method == "box_cox" else _yeo_johnson(values, power)
            if self.standardize:
                made -= self.mean[place]
                made /= self.scale[place]
        return made

    def row(self, code: RowCode) -> None:
        for place, name in enumerate(self.names):
            value, power = code.read(name), self.powers[place]
            if self.method == "box_cox":
                made = code.fresh()
                code.statement(
                    f"{made} = {code.leave()} if {value} <= 0.0 else {_power_code(code, np.log, value, power)}"
                )
            else:
                low = _power_code(code, np.log1p, f"-{value}", 2.0 - power)
                made = code.fresh()
                code.statement(f"{made} = -{low} if {value} < 0.0 else {_power_code(code, np.log1p, value, power)}")
            if self.standardize:
                made = f"({made} - {code.constant(self.mean[place])}) / {code.constant(self.scale[place])}"
            code.write(name, made)

    def notes(self) -> Sequence[str]:
        powers = tuple(
            f"The power of {name!r} is {power:.4g}." for name, power in zip(self.names, self.powers, strict=True)
        )
        return (*powers, self.note) if self.note else powers

    def sklearn(self) -> Any:
        """A PowerTransformer; with a StandardScaler behind it, which PowerTransformer would keep as a private part."""
        import pandas as pd
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import PowerTransformer, StandardScaler

        if not self.names:
            return None
        frame = pd.DataFrame([[1.0] * len(self.names), [2.0] * len(self.names)], columns=list(self.names))
        transformer = PowerTransformer(self.method.replace("_", "-"), standardize=False).fit(frame)
        transformer.lambdas_ = np.array(self.powers)
        if not self.standardize:
            return transformer
        transformer.set_output(transform="pandas")  # the scaler is fitted with the columns' names and warns without
        scaler = StandardScaler().fit(frame)
        scaler.mean_, scaler.scale_ = np.array(self.mean), np.array(self.scale)
        scaler.var_ = scaler.scale_**2
        return make_pipeline(transformer, scaler)


def _yeo_johnson(values: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Of values from 0 on Box-Cox of 1 + value; of negative values the mirror image, with power 2 - power."""
    made = _power(np.log1p(values), power)
    below = values < 0
    if below.any():
        made[below] = -_power(np.log1p(-values[below]), 2.0 - power)
    return made


def _power(logarithms: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """(x ** power - 1) / power of x with these logarithms, and their limit for power 0, without loss near it."""
    if abs(power) < _NO_POWER:
        return logarithms
    made: NDArray[np.float64] = np.expm1(logarithms * power)
    made /= power
    return made


def _power_code(code: RowCode, logarithm: Callable[..., Any], value: str, power: float) -> str:
    """`_power` of one value."""
    found = code.ufunc(logarithm, value)
    if abs(power) < _NO_POWER:
        return found
    constant = code.constant(power)
    return f"({code.ufunc(np.expm1, f'{found} * {constant}')} / {constant})"


@step
@dataclass(frozen=True, kw_only=True)
class Quantile(Step):
    """Bring number columns to a uniform or normal distribution by their quantiles (QuantileTransformer).

    n_quantiles          how many; not more than there are rows
    output_distribution  uniform, in [0, 1], or normal
    Learnt from a sample of a larger table, which the notes report. Missing values stay missing.
    """

    n_quantiles: int = 1000
    output_distribution: Literal["uniform", "normal"] = "uniform"

    name: ClassVar[str] = "quantile"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.NUMBER,)
    keeps_schema: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need(1 <= self.n_quantiles <= 100_000, "from 1 to 100,000", "n_quantiles")
        check_choice("output_distribution", self.output_distribution, ("uniform", "normal"))

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        (sample,) = yield [SampleColumns(names)]
        for name in names:
            _values(name, sample)
        references = np.linspace(0, 1, max(1, min(self.n_quantiles, sample.batch.rows)))
        # nanpercentile's own arithmetic, so that the results are scikit-learn's.
        with np.errstate(all="ignore"):
            rows = [np.nanpercentile(numbers(sample.batch[name]), references * 100) for name in names]
        for name, found in zip(names, rows, strict=True):
            if not np.isfinite(found).all():
                raise StepError("its values are too far from each other: clip it first (step `clip`)", column=name)
        quantiles = np.vstack(rows) if rows else np.empty((0, len(references)))
        return Ranked(names, quantiles, (references,), self.output_distribution == "normal", _note(sample))


@dataclass(frozen=True)
class Ranked(PerColumn):
    """quantiles: (columns, quantiles). references: one array (quantiles,), from 0 to 1."""

    quantiles: NDArray[np.float64]
    references: tuple[NDArray[np.float64]]
    normal: bool
    note: str

    def at(self, places: Sequence[int]) -> FittedStep:
        names = tuple(self.names[place] for place in places)
        return Ranked(names, self.quantiles[list(places)], self.references, self.normal, self.note)

    def apply(self, place: int, column: Column) -> Column:
        values, quantiles, (references,) = numbers(column), self.quantiles[place], self.references
        # From both sides, and the mean: a value that several quantiles share lies in their middle.
        made = np.interp(values, quantiles, references)
        made -= np.interp(-values, -quantiles[::-1], -references[::-1])
        made *= 0.5
        near = _NEAR if self.normal else 0.0
        above, below = (np.greater, np.less) if self.normal else (np.greater_equal, np.less_equal)
        made[above(values + near, quantiles[-1])] = 1.0
        made[below(values - near, quantiles[0])] = 0.0
        return _normal(made) if self.normal else made

    def notes(self) -> Sequence[str]:
        return (f"{some(self.names)}: by {self.quantiles.shape[1]:,} quantiles. {self.note}".strip(),)

    def sklearn(self) -> Any:
        import pandas as pd
        from sklearn.preprocessing import QuantileTransformer

        if not self.names:
            return None
        distribution = "normal" if self.normal else "uniform"
        made = QuantileTransformer(n_quantiles=1, output_distribution=distribution)
        made.fit(pd.DataFrame([[0.0] * len(self.names)], columns=list(self.names)))
        made.n_quantiles = made.n_quantiles_ = self.quantiles.shape[1]
        made.quantiles_, made.references_ = self.quantiles.T.copy(), self.references[0]
        return made


_NEAR = 1e-7  # scikit-learn's: nearer to an end than this is the end


def _normal(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import ndtri

    low, high = (float(ndtri(share)) for share in (_NEAR - np.spacing(1), 1 - (_NEAR - np.spacing(1))))
    made: NDArray[np.float64] = np.clip(ndtri(shares), low, high)
    return made
