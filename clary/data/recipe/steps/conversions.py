"""From a column of one kind to one of another, each value by the same rule in a batch and in a row alone."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.batch import Column, Kind, coded, missing, numbers

_NUMBER = re.compile(r"\s*[+-]?((\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|inf|infinity|nan)\s*", re.ASCII | re.IGNORECASE)
_WORDS = {"true": 1.0, "t": 1.0, "yes": 1.0, "y": 1.0, "1": 1.0, "false": 0.0, "f": 0.0, "no": 0.0, "n": 0.0, "0": 0.0}
_WHOLE = 1e15  # whole numbers up to here are written without a fraction or an exponent
_LATEST_S = 8.0e12  # seconds since 1970 that microseconds in 64 bits can hold, by far
_NAT = np.datetime64("NaT", "us")


def number_of_text(text: str) -> float:
    """Raises ValueError for what is not a number as CSV files write them."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text)


def boolean_of_text(text: str) -> float:
    """1.0 or 0.0. Raises ValueError for other words than true, yes, 1, false, no, 0 and their first letters."""
    try:
        return _WORDS[text.strip().lower()]
    except KeyError:
        raise ValueError(text) from None


def time_of_text(text: str) -> np.datetime64:
    """Of an ISO 8601 time; without a zone it is UTC. Raises ValueError for others."""
    when = dt.datetime.fromisoformat(text.strip())
    if when.tzinfo is not None:
        try:
            when = when.astimezone(dt.UTC).replace(tzinfo=None)
        except OverflowError:
            raise ValueError(text) from None
    return np.datetime64(when, "us")


def boolean_of_number(value: float) -> float:
    if value not in (0.0, 1.0):
        raise ValueError(value)
    return value


def time_of_number(value: float) -> np.datetime64:
    """Of seconds since 1970."""
    if not abs(value) <= _LATEST_S:
        raise ValueError(value)
    return np.datetime64(round(value * 1e6), "us")


def number_of_time(value: np.datetime64) -> float:
    return float(numbers(np.array([value], "datetime64[us]"))[0])


def text_of_number(value: float) -> str:
    return str(int(value)) if value == value and abs(value) <= _WHOLE and value == int(value) else repr(float(value))


def text_of_boolean(value: float) -> str:
    return "true" if value else "false"


def text_of_time(value: np.datetime64) -> str:
    return str(value).removesuffix(".000000")


# Of a value that is there, by the kinds from and to; None: as it is.
SCALARS: dict[tuple[Kind, Kind], Callable[[Any], Any] | None] = {
    (Kind.NUMBER, Kind.NUMBER): None,
    (Kind.BOOLEAN, Kind.NUMBER): None,
    (Kind.TEXT, Kind.NUMBER): number_of_text,
    (Kind.TIME, Kind.NUMBER): number_of_time,
    (Kind.BOOLEAN, Kind.BOOLEAN): None,
    (Kind.NUMBER, Kind.BOOLEAN): boolean_of_number,
    (Kind.TEXT, Kind.BOOLEAN): boolean_of_text,
    (Kind.TEXT, Kind.TEXT): None,
    (Kind.NUMBER, Kind.TEXT): text_of_number,
    (Kind.BOOLEAN, Kind.TEXT): text_of_boolean,
    (Kind.TIME, Kind.TEXT): text_of_time,
    (Kind.TIME, Kind.TIME): None,
    (Kind.TEXT, Kind.TIME): time_of_text,
    (Kind.NUMBER, Kind.TIME): time_of_number,
}
# Those that have a result for every value.
SURE = {pair for pair, scalar in SCALARS.items() if scalar is None or Kind.TEXT is pair[1]} | {(Kind.TIME, Kind.NUMBER)}


@dataclass(frozen=True)
class Conversion:
    """A Converter: see clary.data.statistics.misfits."""

    given: Kind
    to: Kind

    def __call__(self, column: Column) -> tuple[Column, NDArray[np.bool_]]:
        match self.given, self.to:
            case (Kind.NUMBER | Kind.BOOLEAN | Kind.TIME, Kind.NUMBER):
                return numbers(column), np.zeros(len(column), bool)
            case (Kind.NUMBER, Kind.BOOLEAN):
                values = numbers(column)
                out = ~((values == 0) | (values == 1) | np.isnan(values))
                return narrowed(np.where(out, np.nan, values)), out
            case (Kind.NUMBER, Kind.TIME):
                return _times(numbers(column))
            case given, to if given is to:
                return column, np.zeros(len(column), bool)
        return self._by_levels(column)

    def scalar(self) -> Callable[[Any], Any] | None:
        return SCALARS[self.given, self.to]

    def _by_levels(self, column: Column) -> tuple[Column, NDArray[np.bool_]]:
        """Each distinct value once."""
        codes, levels = coded(column if self.given is not Kind.BOOLEAN else numbers(column))
        made, misfits = self._converted_levels(levels)
        misfits = np.append(misfits, False)  # a missing value, code -1, is no misfit
        if self.to is Kind.TEXT:
            return pa.DictionaryArray.from_arrays(
                pa.array(codes, mask=codes < 0), pa.array(made, pa.string())
            ), misfits[codes]
        nothing = _NAT if self.to is Kind.TIME else np.nan
        values = np.append(np.array(made, "datetime64[us]" if self.to is Kind.TIME else np.float64), nothing)[codes]
        return (narrowed(values) if self.to is Kind.BOOLEAN else values), misfits[codes]

    def _converted_levels(self, levels: pa.Array) -> tuple[Any, NDArray[np.bool_]]:
        if self.to is Kind.NUMBER:
            try:  # what Arrow reads, the rule above reads too, and as the same number
                return pc.cast(levels, pa.float64()).to_numpy(zero_copy_only=False), np.zeros(len(levels), bool)
            except pa.ArrowInvalid:
                pass
        scalar, nothing = SCALARS[self.given, self.to], _NAT if self.to is Kind.TIME else np.nan
        assert scalar is not None
        made, misfits = [], np.zeros(len(levels), bool)
        values = levels.to_numpy(zero_copy_only=False) if self.given is Kind.TIME else levels.to_pylist()
        for place, value in enumerate(values):
            try:
                made.append(scalar(value))
            except ValueError:
                made.append(nothing)
                misfits[place] = True
        return made, misfits


def narrowed(values: NDArray[np.float64]) -> NDArray[Any]:
    """Of 0, 1 and NaN, booleans where none is missing."""
    return values if missing(values).any() else values.astype(bool)


def _times(seconds: NDArray[np.float64]) -> tuple[Column, NDArray[np.bool_]]:
    is_missing = np.isnan(seconds)
    with np.errstate(invalid="ignore"):
        out = ~(np.abs(seconds) <= _LATEST_S) & ~is_missing
    whole = np.rint(np.where(out | is_missing, 0.0, seconds) * 1e6).astype(np.int64).view("datetime64[us]")
    return np.where(out | is_missing, _NAT, whole), out
