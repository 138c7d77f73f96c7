"""Functions of one number: logarithms and roots."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Column, Kind, Schema, numbers
from clary.data.errors import StepError
from clary.data.recipe.step import Fitting, PerColumn, Step, check_choice, step

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode


class Function(NamedTuple):
    """lowest: of the values it is for; open_end: whether it is excluded itself; remedy: for what is below it."""

    ufunc: Callable[..., Any]
    lowest: float
    open_end: bool
    remedy: str


FUNCTIONS: dict[str, Function] = {
    "log": Function(np.log, 0.0, True, "use log1p or yeo_johnson"),
    "log1p": Function(np.log1p, -1.0, True, "use yeo_johnson"),
    "sqrt": Function(np.sqrt, 0.0, False, "use cbrt or yeo_johnson"),
    "cbrt": Function(np.cbrt, -math.inf, False, ""),
}


@dataclass(frozen=True, kw_only=True)
class OfFunction(Step):
    """errors  of values that the function is not for, raise: an error; missing: they become missing."""

    errors: Literal["raise", "missing"] = "raise"

    kinds: ClassVar[tuple[Kind, ...]] = (Kind.NUMBER,)
    keeps_schema: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_choice("errors", self.errors, ("raise", "missing"))

    def fitting(self, schema: Schema) -> Fitting:
        yield from ()  # nothing is learnt from the table
        return Applied(self.chosen(schema), self.name, self.errors == "missing")


@step
@dataclass(frozen=True, kw_only=True)
class Log(OfFunction):
    """The natural logarithm of number columns. Missing values stay missing.

    errors  of values that are not positive, raise: an error; missing: they become missing
    """

    name: ClassVar[str] = "log"


@step
@dataclass(frozen=True, kw_only=True)
class Log1p(OfFunction):
    """The natural logarithm of 1 + value, exact for values near 0. Missing values stay missing.

    errors  of values of -1 and below, raise: an error; missing: they become missing
    """

    name: ClassVar[str] = "log1p"


@step
@dataclass(frozen=True, kw_only=True)
class Sqrt(OfFunction):
    """The square root of number columns. Missing values stay missing.

    errors  of negative values, raise: an error; missing: they become missing
    """

    name: ClassVar[str] = "sqrt"


@step
@dataclass(frozen=True, kw_only=True)
class Cbrt(OfFunction):
    """The cube root of number columns, of negative values too. Missing values stay missing."""

    name: ClassVar[str] = "cbrt"


@dataclass(frozen=True)
class Applied(PerColumn):
    function: str
    to_missing: bool

    def apply(self, place: int, column: Column) -> Column:
        function, values = FUNCTIONS[self.function], numbers(column)
        with np.errstate(all="ignore"):
            made: NDArray[np.float64] = function.ufunc(values)
            # A value that the function is not for makes the sum NaN or infinite: most batches have none.
            if math.isfinite(made.sum()):
                return made
        out = values <= function.lowest if function.open_end else values < function.lowest
        count = int(np.count_nonzero(out))
        if count and not self.to_missing:
            border = f"{'at or ' if function.open_end else ''}below {function.lowest:g}"
            raise StepError(
                f"{count:,} value(s) of a batch of {len(values):,} rows are {border}, as {values[out][0]:g}: "
                f"there is no {self.function} of them; {function.remedy}, or errors: missing"
            )
        if count:
            made[out] = np.nan
        return made

    def row(self, code: RowCode) -> None:
        function = FUNCTIONS[self.function]
        below = f"<{'=' if function.open_end else ''} {code.constant(function.lowest)}"
        for name in self.names:
            value = code.read(name)
            made = code.ufunc(function.ufunc, value)
            if function.remedy:
                made = f"{code.constant(math.nan) if self.to_missing else code.leave()} if {value} {below} else {made}"
            code.write(name, made)

    def notes(self) -> Sequence[str]:
        remedy = FUNCTIONS[self.function].remedy
        return (f"Values that {self.function} is not for become missing.",) if self.to_missing and remedy else ()

    def sklearn(self) -> Any:
        from sklearn.preprocessing import FunctionTransformer

        if self.function != "cbrt" or not self.names:
            return None  # numpy's functions make NaN and infinity where these steps raise an error
        import pandas as pd

        made = FunctionTransformer(np.cbrt, feature_names_out="one-to-one")
        return made.fit(pd.DataFrame([[0.0] * len(self.names)], columns=list(self.names)))
