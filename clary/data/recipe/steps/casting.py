"""Columns of another kind: `cast`, and `parse_dates` for times as people write them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clary.data.batch import Column, Field, Kind, Schema, coded, some
from clary.data.errors import StepError
from clary.data.recipe.step import Fitting, PerColumn, Step, check_choice, need, step
from clary.data.recipe.steps.conversions import SCALARS, SURE, Conversion
from clary.data.statistics.misfits import Converter, Misfit, Misfits, examples_of
from clary.data.statistics.samples import SampleColumns

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode


@step
@dataclass(frozen=True, kw_only=True)
class Cast(Step):
    """Make columns of another kind.

    to      number: of text, of booleans (0, 1), of times (seconds since 1970, UTC);
            text: of anything, whole numbers without a fraction, times as 2030-12-31T23:59:59;
            boolean: of 0 and 1, of the words true, yes, false, no and their first letters;
            time: of ISO 8601 text, of seconds since 1970. For other ways to write times there is `parse_dates`
    errors  of values that do not fit, raise: an error; missing: they become missing. Both are counted
    Missing values stay missing; an empty text does not fit.
    """

    to: Literal["number", "text", "boolean", "time"]
    errors: Literal["raise", "missing"] = "raise"

    name: ClassVar[str] = "cast"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.NUMBER, Kind.BOOLEAN, Kind.TEXT, Kind.TIME)

    def __post_init__(self) -> None:
        check_choice("to", self.to, ("number", "text", "boolean", "time"))
        check_choice("errors", self.errors, ("raise", "missing"))
        need(bool(self.columns), "name at least one", "columns")

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        kinds = tuple(schema[name].kind for name in names)
        to = Kind(self.to)
        for name, kind in zip(names, kinds, strict=True):
            if (kind, to) not in SCALARS:
                raise StepError(f"there is no {to} for a {kind}; cast it to number or text first", column=name)
        unsure = [name for name, kind in zip(names, kinds, strict=True) if (kind, to) not in SURE]
        found = yield [Misfits(name, Conversion(schema[name].kind, to)) for name in unsure]
        notes = _misfit_notes(unsure, found, self.errors, self.to)
        return Casted(names, tuple(map(str, kinds)), self.to, self.errors == "missing", notes)


def _misfit_notes(names: Sequence[str], found: Sequence[Misfit], errors: str, to: str) -> tuple[str, ...]:
    """Notes on the misfits. Raises StepError where there are any and errors is "raise"."""
    notes = []
    for name, misfits in zip(names, found, strict=True):
        if misfits.count and errors == "raise":
            raise StepError(_reason(misfits.count, misfits.rows, misfits.examples, to), column=name)
        if misfits.count:
            examples = some(misfits.examples)
            notes.append(
                f"{misfits.count:,} of {misfits.rows:,} values of {name!r} were no {to}: missing now, as {examples}."
            )
    return tuple(notes)


def _reason(count: int, rows: int, examples: Sequence[Any], to: str) -> str:
    remedy = "fix them, or take errors: missing"
    return f"{count:,} of {rows:,} values are no {to}, as {some(examples)}; {remedy}"


def _converted(converter: Converter, column: Column, to: str, to_missing: bool) -> Column:
    made, misfits = converter(column)
    if not to_missing and misfits.any():
        places = np.flatnonzero(misfits)
        raise StepError(_reason(len(places), len(misfits), examples_of(column, places), to))
    return made


@dataclass(frozen=True)
class Casted(PerColumn):
    """kinds: what the columns were."""

    kinds: tuple[str, ...]
    to: str
    to_missing: bool
    note: tuple[str, ...] = ()

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(Field(name, Kind(self.to)) for name in self.names)

    def apply(self, place: int, column: Column) -> Column:
        return _converted(self._conversion(place), column, self.to, self.to_missing)

    def _conversion(self, place: int) -> Conversion:
        return Conversion(Kind(self.kinds[place]), Kind(self.to))

    def row(self, code: RowCode) -> None:
        for place, name in enumerate(self.names):
            value, scalar = code.read(name), self._conversion(place).scalar()
            if scalar is None:
                code.write(name, value)
                continue
            is_missing = f"{value} is None" if self.kinds[place] == Kind.TEXT else f"{value} != {value}"
            nothing: Any = {"text": None, "time": np.datetime64("NaT", "us")}.get(self.to, float("nan"))
            either = code.constant(nothing)
            code.write(
                name,
                f"{either} if {is_missing} else {code.constant(_Scalar(scalar, nothing, self.to_missing))}({value})",
            )

    def notes(self) -> Sequence[str]:
        return self.note


@dataclass(frozen=True)
class _Scalar:
    """A conversion of one value that is there."""

    convert: Callable[[Any], Any]
    nothing: Any
    to_missing: bool

    def __call__(self, value: Any) -> Any:
        try:
            return self.convert(value)
        except ValueError:
            if self.to_missing:
                return self.nothing
            raise LookupError from None  # the row goes to `transform`, which raises the error


@step
@dataclass(frozen=True, kw_only=True)
class ParseDates(Step):
    """Make times of text columns.

    format    as for `strptime`, e.g. "%d.%m.%Y %H:%M"; or "ISO8601"; without it: the format that most values of a
              sample have, the same for the whole column; it is reported in the notes
    dayfirst  of an inferred format that could be either: whether 01/02 is the first of February
    errors    of values that do not fit, raise: an error; missing: they become missing. Both are counted
    Times without a zone are UTC; others become UTC.
    """

    format: str | None = None
    dayfirst: bool = False
    errors: Literal["raise", "missing"] = "raise"

    name: ClassVar[str] = "parse_dates"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.TEXT,)

    def __post_init__(self) -> None:
        check_choice("errors", self.errors, ("raise", "missing"))
        need(bool(self.columns), "name at least one", "columns")
        need(self.format is None or "%" in self.format or self.format == "ISO8601", "holds no %", "format")
        if self.format is not None:
            need(_is_format(self.format), f"{self.format!r} is not a format of strptime", "format")

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        formats = [self.format or ""] * len(names)
        if self.format is None:
            (sample,) = yield [SampleColumns(names)]
            formats = [_inferred(name, sample.batch[name], self.dayfirst) for name in names]
        found = yield [Misfits(name, Dates(format_)) for name, format_ in zip(names, formats, strict=True)]
        notes = [f"{name!r} is read as {format_}." for name, format_ in zip(names, formats, strict=True)]
        notes += _misfit_notes(names, found, self.errors, "time")
        return DatesParsed(names, tuple(formats), self.errors == "missing", tuple(notes))


def _is_format(given: str) -> bool:
    import pandas as pd

    try:
        pd.to_datetime(["x"], format=given, errors="coerce")
    except (ValueError, KeyError):
        return False
    return True


def _inferred(name: str, column: pa.Array, dayfirst: bool) -> str:
    """The format that most of these values have. Raises StepError where none has a format."""
    from pandas.tseries.api import guess_datetime_format

    codes, levels = coded(column)
    used = np.unique(codes[codes >= 0])
    values = levels.take(pa.array(used[:1_000]))
    if not len(values):
        raise StepError("it has no value to infer a format from; give `format`", column=name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of day and month swapped: the other values decide
        guesses = [guess_datetime_format(value, dayfirst=dayfirst) for value in values.to_pylist()[:100]]
    formats = ["ISO8601", *dict.fromkeys(guess for guess in guesses if guess)]
    fits = {format_: int(len(values) - Dates(format_)(values)[1].sum()) for format_ in formats}
    best = max(formats, key=lambda format_: fits[format_])  # of equal formats the first
    if not fits[best]:
        examples = some(values.to_pylist(), 3)
        raise StepError(f"its values have no known format, as {examples}; give `format`", column=name)
    return best


@dataclass(frozen=True)
class Dates:
    """A Converter of text in this format."""

    format: str

    def __call__(self, column: Column) -> tuple[Column, NDArray[np.bool_]]:
        import pandas as pd

        codes, levels = coded(column)
        texts = pd.Series(levels.to_numpy(zero_copy_only=False), dtype=object)
        found = pd.to_datetime(texts, format=self.format, errors="coerce", utc=True)
        times = found.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
        times, misfits = np.append(times, np.datetime64("NaT", "us")), np.append(np.isnat(times), False)
        return times[codes], misfits[codes]


@dataclass(frozen=True)
class DatesParsed(PerColumn):
    formats: tuple[str, ...]
    to_missing: bool
    sentences: tuple[str, ...]

    made_kind: ClassVar[Kind | None] = Kind.TIME

    def apply(self, place: int, column: Column) -> Column:
        return _converted(Dates(self.formats[place]), column, "time", self.to_missing)

    def notes(self) -> Sequence[str]:
        return self.sentences
