"""Elapsed time."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Field, Kind, Schema
from clary.data.errors import RecipeError, StepError
from clary.data.recipe.step import FittedStep, Fitting, Step, check_choice, need, step
from clary.data.recipe.steps.calendar import microseconds, refuse_text, times_of
from clary.data.recipe.steps.categories import check_free

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode

UNITS_US: Mapping[str, int] = {
    "weeks": 7 * 86_400_000_000,
    "days": 86_400_000_000,
    "hours": 3_600_000_000,
    "minutes": 60_000_000,
    "seconds": 1_000_000,
    "milliseconds": 1_000,
}


@step
@dataclass(frozen=True, kw_only=True)
class Elapsed(Step):
    """How long ago it was, as a number `<column>_elapsed`: since a date, or since the time in another column.

    since         a date or time as ISO 8601 writes it ("2020-01-31", "2020-01-31T12:00:00"); UTC where it has no zone
    since_column  the other column; give one of the two
    unit          "weeks", "days", "hours", "minutes", "seconds", "milliseconds"; results have fractions
    drop          whether the column itself goes; the other column stays

    Negative before that time. Missing where either time is.
    """

    name: ClassVar[str] = "elapsed"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.TIME,)

    since: str = ""
    since_column: str = ""
    unit: Literal["weeks", "days", "hours", "minutes", "seconds", "milliseconds"] = "days"
    drop: bool = True

    def __post_init__(self) -> None:
        check_choice("unit", self.unit, UNITS_US)
        need(bool(self.since) != bool(self.since_column), "give one of the two", "since, since_column")
        if self.since:
            parsed(self.since)

    def chosen(self, schema: Schema) -> tuple[str, ...]:
        refuse_text(schema, self.columns)
        return tuple(name for name in super().chosen(schema) if name != self.since_column)

    def reads(self, schema: Schema) -> tuple[str, ...]:
        return (*self.chosen(schema), *([self.since_column] if self.since_column else []))

    def fitting(self, schema: Schema) -> Fitting:
        names, other = self.chosen(schema), self.since_column
        if other:
            refuse_text(schema, other)
            if schema[other].kind is not Kind.TIME:
                raise StepError(f"it holds {schema[other].kind}, not times", column=other)
        start = int(parsed(self.since).astype(np.int64)) if self.since else 0
        fitted = ElapsedFitted(names, other, start, UNITS_US[self.unit], self.drop)
        check_free(schema, fitted.removed, fitted.made)
        yield []  # nothing is learnt
        return fitted


def parsed(text: str) -> np.datetime64:
    """A time in UTC. Raises RecipeError."""
    try:
        time = datetime.datetime.fromisoformat(text)
        if time.tzinfo is not None:
            time = time.astimezone(datetime.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise RecipeError(f"since: {text!r} is not a date such as 2020-01-31 or 2020-01-31T12:00:00") from None
    return np.datetime64(time, "us")


@dataclass(frozen=True)
class ElapsedFitted(FittedStep):
    """other: the column to count from, or "" and start, microseconds since 1970; unit, in microseconds."""

    names: tuple[str, ...]
    other: str
    start: int
    unit: int
    drop: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        return (*self.names, self.other) if self.other else self.names

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(Field(f"{name}_elapsed", Kind.NUMBER) for name in self.names)

    @property
    def removed(self) -> tuple[str, ...]:
        return self.names if self.drop else ()

    def transform(self, batch: Batch) -> Batch:
        start, unknown = (self.start, None) if not self.other else microseconds(self._column(batch, self.other))
        made = {}
        for name, field in zip(self.names, self.made, strict=True):
            values, is_missing = microseconds(self._column(batch, name))
            # Floats first where whole numbers might not hold the difference.
            apart = values - start if _in_range(values) and _in_range(start) else values.astype(np.float64) - start
            elapsed = apart / self.unit
            elapsed[is_missing if unknown is None else is_missing | unknown] = np.nan
            made[field.name] = elapsed
        return batch.replaced(self.removed, made)

    def _column(self, batch: Batch, name: str) -> NDArray[np.datetime64]:
        try:
            return times_of(batch[name])
        except StepError as error:
            raise StepError(error.reason, column=name) from None

    def row(self, code: RowCode) -> None:
        between = code.constant(UnitsBetween(self.unit))
        start = code.read(self.other) if self.other else code.constant(np.datetime64(self.start, "us"))
        for name, field in zip(self.names, self.made, strict=True):
            code.write(field.name, f"{between}({start}, {code.read(name)})")


class UnitsBetween:
    """How many units lie between two times."""

    def __init__(self, unit: int) -> None:
        self._unit = unit

    def __call__(self, start: np.datetime64, time: np.datetime64) -> float:
        if start != start or time != time:
            return math.nan
        first, last = int(start.astype(np.int64)), int(time.astype(np.int64))
        if -_FAR < first < _FAR and -_FAR < last < _FAR:
            return float(last - first) / self._unit
        return (float(last) - float(first)) / self._unit


_FAR = 2**62


def _in_range(values: NDArray[np.int64] | int) -> bool:
    if isinstance(values, int):
        return -_FAR < values < _FAR
    return not len(values) or (int(values.min()) > -_FAR and int(values.max()) < _FAR)
