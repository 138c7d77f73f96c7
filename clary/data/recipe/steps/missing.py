"""Missing values: fill them, or mark where they were."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from clary.data.batch import Batch, Field, Kind, Schema, missing
from clary.data.errors import StepError
from clary.data.recipe.step import FittedStep, Fitting, Step, check_choice, need, select, step
from clary.data.recipe.steps.imputed import Carried, Filled, estimated, most_frequent
from clary.data.statistics.base import Statistic
from clary.data.statistics.counts import Counts
from clary.data.statistics.gaps import Gaps
from clary.data.statistics.moments import Moments
from clary.data.statistics.quantiles import Quantiles
from clary.data.statistics.samples import SampleColumns

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode

Strategy = Literal["mean", "median", "most_frequent", "constant", "knn", "iterative", "forward_fill"]
_ANY = (Kind.NUMBER, Kind.BOOLEAN, Kind.TEXT, Kind.TIME)


@step
@dataclass(frozen=True, kw_only=True)
class Impute(Step):
    """Fill missing values.

    strategy     mean, median: of number columns;
                 most_frequent: of any column; of values equally frequent the smallest;
                 constant: `value`;
                 knn: the mean of the column in the rows that are nearest by the other chosen columns (KNNImputer);
                 iterative: each column predicted from the other chosen columns, in rounds (IterativeImputer);
                 forward_fill: the value of the row before; a row that comes alone has none before it, and stays
    value        constant: a number, a text, true or false, or, for columns of times, a time such as 2030-12-31
    n_neighbors  knn: how many rows
    weights      knn: uniform, or distance: nearer rows count more
    sample       knn: among how many rows, chosen at random, the nearest are searched; more take longer
    max_iter     iterative: at most so many rounds
    seed         knn, iterative: of what is chosen at random
    knn and iterative learn from a sample of a larger table, which their notes report; all others from every row. Number
    columns become float64. A column without any value cannot be learnt from: an error, save for a constant.
    """

    strategy: Strategy = "mean"
    value: float | bool | str | None = None
    n_neighbors: int = 5
    weights: Literal["uniform", "distance"] = "uniform"
    sample: int = 10_000
    max_iter: int = 10
    seed: int = 0

    name: ClassVar[str] = "impute"
    keeps_schema: ClassVar[bool] = True

    def __post_init__(self) -> None:
        strategies = ("mean", "median", "most_frequent", "constant", "knn", "iterative", "forward_fill")
        check_choice("strategy", self.strategy, strategies)
        check_choice("weights", self.weights, ("uniform", "distance"))
        if self.strategy == "constant":
            need(self.value is not None, "needed: what to put where a value is missing", "value")
            need(not isinstance(self.value, float) or math.isfinite(self.value), "a finite number is needed", "value")
        else:
            need(self.value is None, f"is for strategy: constant, not for {self.strategy}", "value")
        for parameter in ("n_neighbors", "sample", "max_iter"):
            need(getattr(self, parameter) >= 1, "at least 1", parameter)
        need(self.seed >= 0, "at least 0", "seed")

    def chosen(self, schema: Schema) -> tuple[str, ...]:
        return select(schema, self.columns, self._kinds, self.leave, self.target)

    @property
    def _kinds(self) -> tuple[Kind, ...]:
        if self.strategy in ("most_frequent", "forward_fill"):
            return _ANY
        if self.strategy != "constant":
            return (Kind.NUMBER,)
        if isinstance(self.value, bool):
            return (Kind.BOOLEAN,)
        if isinstance(self.value, str):
            # Without names a text is for texts: that it is also a time would be chance.
            return (Kind.TEXT, Kind.TIME) if self.columns else (Kind.TEXT,)
        return (Kind.NUMBER,)

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        kinds = tuple(str(schema[name].kind) for name in names)
        if self.strategy == "forward_fill":
            return Carried(names, kinds)
        if self.strategy in ("knn", "iterative") and names:
            (sample,) = yield [SampleColumns(names)]
            return estimated(
                names,
                sample,
                strategy=self.strategy,
                n_neighbors=self.n_neighbors,
                weights=self.weights,
                rows=self.sample,
                max_iter=self.max_iter,
                seed=self.seed,
            )
        found = yield [self._statistic(name) for name in names] if self.strategy != "constant" else []
        fills = found if self.strategy != "constant" else [self.value] * len(names)
        return Filled(
            names,
            kinds,
            tuple(map(self._fill, names, kinds, fills)),
            self.strategy,
        )

    def _statistic(self, name: str) -> Statistic[Any, Any]:
        match self.strategy:
            case "mean":
                return Moments(name)
            case "median":
                return Quantiles(name, (0.5,))
            case _:
                return Counts(name)

    def _fill(self, name: str, kind: str, found: Any) -> float | bool | str:
        """What stands for a missing value; a time as its text."""
        if self.strategy == "constant":
            return _constant(name, kind, found)
        if self.strategy == "most_frequent":
            return most_frequent(name, kind, found)
        if self.strategy == "mean" and found.infinite:
            raise StepError(f"{found.infinite} of its values are infinite: there is no mean; use median", column=name)
        value = float(found.mean if self.strategy == "mean" else found[0])
        if math.isnan(value):
            raise StepError(
                f"it has no value to take the {self.strategy} of: drop it (step `drop_missing`, axis: columns) or give "
                "a constant",
                column=name,
            )
        if math.isinf(value):
            raise StepError(f"its {self.strategy} is infinite: clip it first (step `clip`)", column=name)
        return value


def _constant(name: str, kind: str, value: Any) -> float | bool | str:
    if kind == Kind.NUMBER:
        return float(value)
    if kind == Kind.TIME:
        try:
            return str(np.datetime64(value, "us"))
        except ValueError:
            raise StepError(
                f"{value!r} is not a time; write it as 2030-12-31 or 2030-12-31T23:59:59", column=name
            ) from None
    return bool(value) if kind == Kind.BOOLEAN else str(value)


@step
@dataclass(frozen=True, kw_only=True)
class MissingIndicator(Step):
    """Add a column `<name>_missing` beside each column: whether its value is missing. Stands before `impute`.

    features  all: of every column chosen; missing-only: of those in which a value is missing when the recipe is fitted
    """

    features: Literal["all", "missing-only"] = "all"

    name: ClassVar[str] = "missing_indicator"
    kinds: ClassVar[tuple[Kind, ...]] = _ANY

    def __post_init__(self) -> None:
        check_choice("features", self.features, ("all", "missing-only"))

    def writes(self, schema: Schema) -> tuple[str, ...]:
        return tuple(f"{name}_missing" for name in self.chosen(schema))

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        if self.features == "missing-only":
            (gaps,) = yield [Gaps(names)]
            names = tuple(name for name, count in zip(names, gaps.missing, strict=True) if count)
        for name in names:
            if f"{name}_missing" in schema:
                raise StepError("there is a column of that name already", column=f"{name}_missing")
        return Indicated(names)


@dataclass(frozen=True)
class Indicated(FittedStep):
    names: tuple[str, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.names

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(Field(f"{name}_missing", Kind.BOOLEAN) for name in self.names)

    def only(self, wanted: Collection[str]) -> FittedStep | None:
        names = tuple(name for name in self.names if f"{name}_missing" in wanted)
        return Indicated(names) if names else None

    def transform(self, batch: Batch) -> Batch:
        return batch.replaced((), {f"{name}_missing": missing(batch[name]) for name in self.names})

    def row(self, code: RowCode) -> None:
        for name in self.names:
            value = code.read(name)
            is_missing = f"{value} is None" if code.kind(name) is Kind.TEXT else f"{value} != {value}"
            code.write(f"{name}_missing", f"1.0 if {is_missing} else 0.0")

    def notes(self) -> Sequence[str]:
        return (f"Columns mark where a value was missing: {', '.join(repr(field.name) for field in self.made)}.",)
