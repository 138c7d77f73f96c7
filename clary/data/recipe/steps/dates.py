"""Times as parts of the calendar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from clary.data.batch import Column, Field, Kind, Schema
from clary.data.recipe.step import Fitting, Step, check_choice, need, step
from clary.data.recipe.steps.calendar import PARTS, Calendar, PartsOfTime, refuse_text, times_of
from clary.data.recipe.steps.categories import PerSource, check_free

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode


@step
@dataclass(frozen=True, kw_only=True)
class DateParts(Step):
    """Parts of the calendar, each a column `<column>_<part>`; a missing time is missing in all of them.

    parts  year, quarter, month (1 to 12), week (ISO 8601), day, dayofyear, weekday (Monday is 0), hour, minute, second;
           is_weekend, is_month_start, is_month_end, is_quarter_start, is_quarter_end, is_year_start, is_year_end,
           is_leap_year (1 or 0); as pandas' Series.dt has them
    drop   whether the column itself goes

    Times are UTC.
    """

    name: ClassVar[str] = "date_parts"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.TIME,)

    parts: tuple[str, ...] = ("year", "month", "day", "weekday", "hour")
    drop: bool = True

    def __post_init__(self) -> None:
        need(bool(self.parts), "name at least one", "parts")
        for part in self.parts:
            check_choice("parts", part, PARTS)
        need(len(set(self.parts)) == len(self.parts), "a part is given twice", "parts")

    def chosen(self, schema: Schema) -> tuple[str, ...]:
        refuse_text(schema, self.columns)
        return super().chosen(schema)

    def fitting(self, schema: Schema) -> Fitting:
        fitted = DatePartsFitted(self.chosen(schema), {part: part for part in self.parts}, self.drop)
        check_free(schema, fitted.removed, fitted.made)
        yield []  # nothing is learnt
        return fitted


@dataclass(frozen=True)
class DatePartsFitted(PerSource):
    """parts: in order (the keys)."""

    parts: dict[str, str]
    drop: bool

    @property
    def keeps_source(self) -> bool:
        return not self.drop

    def made_fields(self, place: int) -> Sequence[Field]:
        return tuple(Field(f"{self.names[place]}_{part}", Kind.NUMBER) for part in self.parts)

    def apply(self, place: int, column: Column) -> Mapping[str, Column]:
        calendar = Calendar(times_of(column))
        return {f"{self.names[place]}_{part}": calendar.part(part) for part in self.parts}

    def row(self, code: RowCode) -> None:
        parts = code.constant(PartsOfTime(tuple(self.parts)))
        for place, name in enumerate(self.names):
            code.write_many([field.name for field in self.made_fields(place)], f"{parts}({code.read(name)})")
