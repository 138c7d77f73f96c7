"""Parts of times, of many at once and of one: what the steps on dates share.

Times are microseconds since 1970, UTC, in the Gregorian calendar. Days of a table are few and its rows many, so parts
of dates are computed once per day between the first and the last.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Column, Kind, Schema, kind_of, numbers
from clary.data.errors import StepError

Days = NDArray[np.int64]

DAY_US = 86_400_000_000
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_LAST = datetime.date.max.toordinal()


def _dates(days: Days) -> NDArray[np.datetime64]:
    return days.astype("datetime64[D]")


def _since(days: Days, unit: str) -> Days:
    """Days since the month or year began."""
    began: Days = _dates(days).astype(f"datetime64[{unit}]").astype("datetime64[D]").astype(np.int64)
    return days - began


def _month(days: Days) -> Days:
    return _dates(days).astype("datetime64[M]").astype(np.int64) % 12 + 1


def _year(days: Days) -> Days:
    return _dates(days).astype("datetime64[Y]").astype(np.int64) + 1970


def _weekday(days: Days) -> Days:
    return (days + 3) % 7  # 1970 began on a Thursday


def _week(days: Days) -> Days:
    """ISO 8601: the week belongs to the year that has its Thursday."""
    return _since(days - _weekday(days) + 3, "Y") // 7 + 1


def _first_in(unit: str) -> Callable[[Days], Days]:
    return lambda days: (_since(days, unit) == 0).astype(np.int64)


def _last_in(unit: str) -> Callable[[Days], Days]:
    return lambda days: (_since(days + 1, unit) == 0).astype(np.int64)


def _leap(days: Days) -> Days:
    year = _year(days)
    leaps: NDArray[np.bool_] = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return leaps.astype(np.int64)


DATE_PARTS: Mapping[str, Callable[[Days], Days]] = {
    "year": _year,
    "quarter": lambda days: (_month(days) + 2) // 3,
    "month": _month,
    "week": _week,
    "day": lambda days: _since(days, "M") + 1,
    "dayofyear": lambda days: _since(days, "Y") + 1,
    "weekday": _weekday,
    "is_weekend": lambda days: (_weekday(days) >= 5).astype(np.int64),
    "is_month_start": _first_in("M"),
    "is_month_end": _last_in("M"),
    "is_quarter_start": lambda days: ((_since(days, "M") == 0) & (_month(days) % 3 == 1)).astype(np.int64),
    "is_quarter_end": lambda days: ((_since(days + 1, "M") == 0) & (_month(days) % 3 == 0)).astype(np.int64),
    "is_year_start": _first_in("Y"),
    "is_year_end": _last_in("Y"),
    "is_leap_year": _leap,
}
# (microseconds in a unit, number of units until it begins anew)
CLOCK_PARTS: Mapping[str, tuple[int, int]] = {
    "hour": (3_600_000_000, 24),
    "minute": (60_000_000, 60),
    "second": (1_000_000, 60),
}
PARTS = (*DATE_PARTS, *CLOCK_PARTS)


def microseconds(times: NDArray[np.datetime64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(microseconds since 1970, 0 where missing; where missing)."""
    missing = np.isnat(times)
    values = times.astype("datetime64[us]", copy=False).view(np.int64)
    return (np.where(missing, 0, values) if missing.any() else values), missing


class Calendar:
    """Parts of some times, each as float64, NaN where missing."""

    def __init__(self, times: NDArray[np.datetime64]) -> None:
        self._values, self._missing = microseconds(times)
        self._any_missing = bool(self._missing.any())
        self._days = self._values // DAY_US

    def part(self, name: str) -> NDArray[np.float64]:
        return self.mapped(name, None)

    def mapped(self, name: str, table: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """The part, or what stands at its place in a table."""
        if name in DATE_PARTS:
            found = self._date_part(name, table)
        else:
            unit, period = CLOCK_PARTS[name]
            whole = (self._values - self._days * DAY_US) // unit % period
            found = whole.astype(np.float64) if table is None else table.take(whole)
        if self._any_missing:
            found[self._missing] = np.nan
        return found

    def _date_part(self, name: str, table: NDArray[np.float64] | None) -> NDArray[np.float64]:
        days = self._days
        if not len(days):
            return np.empty(0)
        first, last = int(days.min()), int(days.max())
        if last - first >= len(days):
            values = DATE_PARTS[name](days)
            return values.astype(np.float64) if table is None else table.take(values)
        values = DATE_PARTS[name](np.arange(first, last + 1))
        return (values.astype(np.float64) if table is None else table.take(values)).take(days - first)


def day_of(microseconds_since_1970: int) -> tuple[int, datetime.date | None]:
    """(days since 1970, the date, None where Python's calendar has no such year)."""
    days = microseconds_since_1970 // DAY_US
    ordinal = days + _EPOCH
    return days, datetime.date.fromordinal(ordinal) if 1 <= ordinal < _LAST else None


ONE_DAY = datetime.timedelta(days=1)

# As DATE_PARTS, of one date.
_PARTS_OF_DATE: Mapping[str, Callable[[datetime.date], int]] = {
    "year": lambda date: date.year,
    "quarter": lambda date: (date.month + 2) // 3,
    "month": lambda date: date.month,
    "week": lambda date: date.isocalendar()[1],
    "day": lambda date: date.day,
    "dayofyear": lambda date: date.toordinal() - datetime.date(date.year, 1, 1).toordinal() + 1,
    "weekday": datetime.date.weekday,
    "is_weekend": lambda date: int(date.weekday() >= 5),
    "is_month_start": lambda date: int(date.day == 1),
    "is_month_end": lambda date: int((date + ONE_DAY).day == 1),
    "is_quarter_start": lambda date: int(date.day == 1 and date.month % 3 == 1),
    "is_quarter_end": lambda date: int((date + ONE_DAY).day == 1 and date.month % 3 == 0),
    "is_year_start": lambda date: int(date.day == 1 and date.month == 1),
    "is_year_end": lambda date: int(date.day == 31 and date.month == 12),
    "is_leap_year": lambda date: int(date.year % 4 == 0 and (date.year % 100 != 0 or date.year % 400 == 0)),
}


class PartsOfTime:
    """The parts of one time as a tuple of floats, the same numbers as `Calendar`'s; NaN where it is missing."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._missing = (float("nan"),) * len(names)

    def __call__(self, time: np.datetime64) -> tuple[float, ...]:
        if time != time:
            return self._missing
        value = int(time.astype(np.int64))
        days, date = day_of(value)
        return tuple(float(self._part(name, value, days, date)) for name in self._names)

    def _part(self, name: str, value: int, days: int, date: datetime.date | None) -> int:
        if name in CLOCK_PARTS:
            unit, period = CLOCK_PARTS[name]
            return (value - days * DAY_US) // unit % period
        if date is None:
            return int(DATE_PARTS[name](np.array([days]))[0])
        return _PARTS_OF_DATE[name](date)


def times_of(column: Column) -> NDArray[np.datetime64]:
    """The column as times; a column without any value may be of any kind. Raises StepError."""
    if kind_of(column) is Kind.TIME:
        return np.asarray(column)
    if kind_of(column) is Kind.NUMBER and np.isnan(numbers(column)).all():
        return np.full(len(column), "NaT", "datetime64[us]")
    raise StepError(f"it holds {kind_of(column)}, not times; put the step `parse_dates` before this one")


def refuse_text(schema: Schema, columns: tuple[str, ...] | str) -> None:
    """Raise StepError where a column that was named holds dates that are still text."""
    for name in (columns,) if isinstance(columns, str) else columns:
        if name in schema and schema[name].kind is Kind.TEXT:
            raise StepError("it holds text, not times; put the step `parse_dates` before this one", column=name)
