"""What begins anew, as points on a circle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Column, Field, Kind, Schema, numbers
from clary.data.errors import StepError
from clary.data.recipe.step import Fitting, Step, check_choice, need, step
from clary.data.recipe.steps.calendar import Calendar, PartsOfTime, refuse_text, times_of
from clary.data.recipe.steps.categories import PerSource, check_free

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode

# How many there are of each before it begins anew.
PERIODS: Mapping[str, int] = {
    "quarter": 4,
    "month": 12,
    "week": 53,
    "day": 31,
    "dayofyear": 366,
    "weekday": 7,
    "hour": 24,
    "minute": 60,
    "second": 60,
}


@step
@dataclass(frozen=True, kw_only=True)
class Cyclic(Step):
    """Sine and cosine of something that begins anew: December is next to January, 23 h next to 0 h.

    Of times: the columns `<column>_<part>_sin` and `<column>_<part>_cos` for each part. Of numbers, where they are
    named: `<column>_sin` and `<column>_cos`, with a given period. Missing stays missing.

    parts   of times: quarter, month, week, day, dayofyear, weekday, hour, minute, second; their periods are 4, 12, 53,
            31, 366, 7, 24, 60, 60
    period  of numbers: after how much they begin anew
    drop    whether the column itself goes
    """

    name: ClassVar[str] = "cyclic"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.TIME, Kind.NUMBER)

    parts: tuple[str, ...] = ("month", "weekday", "hour")
    period: float | None = None
    drop: bool = True

    def __post_init__(self) -> None:
        need(bool(self.parts), "name at least one", "parts")
        for part in self.parts:
            check_choice("parts", part, PERIODS)
        need(len(set(self.parts)) == len(self.parts), "a part is given twice", "parts")
        if self.period is not None:
            need(0 < self.period < math.inf, f"{self.period} is not a number above 0", "period")

    def chosen(self, schema: Schema) -> tuple[str, ...]:
        """The times, where the recipe names none."""
        refuse_text(schema, self.columns)
        names = super().chosen(schema)
        return names if self.columns else tuple(name for name in names if schema[name].kind is Kind.TIME)

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        kinds = tuple(str(schema[name].kind) for name in names)
        for name, kind in zip(names, kinds, strict=True):
            if kind == Kind.NUMBER and self.period is None:
                raise StepError("it holds numbers: give the `period` after which they begin anew", column=name)
        fitted = CyclicFitted(names, kinds, {part: part for part in self.parts}, self.period or math.nan, self.drop)
        check_free(schema, fitted.removed, fitted.made)
        yield []  # nothing is learnt
        return fitted


@dataclass(frozen=True)
class CyclicFitted(PerSource):
    """kinds: of each column; parts: in order (the keys)."""

    kinds: tuple[str, ...]
    parts: dict[str, str]
    period: float
    drop: bool

    @property
    def keeps_source(self) -> bool:
        return not self.drop

    def made_fields(self, place: int) -> Sequence[Field]:
        name = self.names[place]
        before = [name] if self.kinds[place] == Kind.NUMBER else [f"{name}_{part}" for part in self.parts]
        return tuple(Field(f"{prefix}_{which}", Kind.NUMBER) for prefix in before for which in ("sin", "cos"))

    def apply(self, place: int, column: Column) -> Mapping[str, Column]:
        names = [field.name for field in self.made_fields(place)]
        if self.kinds[place] == Kind.NUMBER:
            with np.errstate(invalid="ignore", over="ignore"):  # of infinity there is none
                angle = numbers(column) * self._step
                return dict(zip(names, (np.sin(angle), np.cos(angle)), strict=True))
        calendar = Calendar(times_of(column))
        values = [calendar.mapped(part, table) for part in self.parts for table in circle(part)]
        return dict(zip(names, values, strict=True))

    @property
    def _step(self) -> float:
        return 2 * math.pi / self.period

    def row(self, code: RowCode) -> None:
        parts_of_time, tables = PartsOfTime(tuple(self.parts)), [circle(part) for part in self.parts]
        for place, name in enumerate(self.names):
            names, value = [field.name for field in self.made_fields(place)], code.read(name)
            if self.kinds[place] == Kind.NUMBER:
                for made, function in zip(names, (np.sin, np.cos), strict=True):
                    code.write(made, code.ufunc(function, f"{value} * {code.constant(self._step)}"))
            else:
                code.write_many(names, f"{code.constant(OnCircle(parts_of_time, tables))}({value})")


def circle(part: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(sines, cosines) of a part's values, each at its own place. Tables give one row what they give many."""
    period = PERIODS[part]
    angles = np.arange(period + 1) * (2 * np.pi / period)
    return np.sin(angles), np.cos(angles)


class OnCircle:
    """Sines and cosines of one time's parts."""

    def __init__(self, parts_of_time: PartsOfTime, tables: Sequence[Sequence[NDArray[np.float64]]]) -> None:
        self._parts_of_time = parts_of_time
        self._tables = [[table.tolist() for table in pair] for pair in tables]
        self._missing = (math.nan,) * (2 * len(tables))

    def __call__(self, time: np.datetime64) -> tuple[float, ...]:
        if time != time:
            return self._missing
        parts = self._parts_of_time(time)
        return tuple(table[int(part)] for part, pair in zip(parts, self._tables, strict=True) for table in pair)
