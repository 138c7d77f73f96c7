"""Columns of media: each row holds a file's bytes, or the decoded data. Errors name the row by its number."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clary.data.batch import Batch, Column, Field, Kind
from clary.data.errors import DataError, StepError
from clary.data.recipe.step import FittedStep, Step, check_choice, need

T = TypeVar("T")
Errors = Literal["raise", "missing"]


class InvalidMedia(Exception):
    """A row's value cannot be decoded or used; the message gives the reason."""


@dataclass(frozen=True, kw_only=True)
class MediaStep(Step):
    """errors  "raise", or "missing": what cannot be decoded becomes a missing value."""

    kinds = (Kind.OTHER,)

    errors: Errors = "raise"

    def __post_init__(self) -> None:
        check_choice("errors", self.errors, ("raise", "missing"))

    def some_chosen(self, schema: Any) -> tuple[str, ...]:
        """Its columns. Raises StepError where there is none."""
        names = self.chosen(schema)
        if not names:
            raise StepError("there are no columns of files or lists; name them in `columns`")
        return names


@dataclass(frozen=True)
class PerRow(FittedStep):
    """A fitted step that makes columns from each of its columns, row by row."""

    names: tuple[str, ...]
    errors: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.names

    def rows_of(self, batch: Batch, name: str, work: Callable[[Any], T], read: Callable[[Any], Any]) -> list[T | None]:
        """`work` of what `read` makes of each row; None where a row has nothing, or nothing whole and it may be so."""
        made: list[T | None] = []
        column = batch[name]
        for row, value in enumerate(values_of(column)):
            if value is None:
                made.append(None)
                continue
            try:
                made.append(work(read(value)))
            except InvalidMedia as error:
                if self.errors == "missing":
                    made.append(None)
                    continue
                number = int(batch.row_numbers[row])
                raise StepError(
                    f"row {number} (the first is 0): {error}; fix the row, or set errors: missing", column=name
                ) from None
            except StepError as error:
                raise StepError(error.reason, column=name) from None
        return made


@dataclass(frozen=True)
class SameColumns(PerRow):
    """A step that replaces each column by a column of the same form."""

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(Field(name, Kind.OTHER) for name in self.names)

    def only(self, wanted: Collection[str]) -> FittedStep | None:
        names = tuple(name for name in self.names if name in wanted)
        return replace(self, names=names) if names else None


def values_of(column: Column) -> Iterator[Any]:
    """Each row: a pa.Scalar, or None where there is nothing."""
    for value in column:
        yield value if value.is_valid else None


def bytes_of(value: Any) -> memoryview:
    return memoryview(value.as_buffer())


def is_bytes(given: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(given)
        or pa.types.is_large_binary(given)
        or pa.types.is_fixed_size_binary(given)
        or pa.types.is_binary_view(given)
    )


def is_form(given: pa.DataType, form: pa.StructType) -> bool:
    """Whether it is the struct, its numbers and bytes of any width: pandas and JSON do not keep that."""
    if not pa.types.is_struct(given) or {field.name for field in given} != {field.name for field in form}:
        return False
    return all(_is_compatible(given.field(field.name).type, field.type) for field in form)


def _is_compatible(given: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_null(given):
        return True
    if pa.types.is_integer(wanted):
        return bool(pa.types.is_integer(given))
    if is_bytes(wanted):
        return is_bytes(given)
    return bool(pa.types.is_string(given) or pa.types.is_large_string(given) or pa.types.is_string_view(given))


def stacked(rows: list[NDArray[Any] | None], width: int, dtype: Any = np.float64) -> NDArray[Any]:
    """(rows, width), NaN where there is nothing."""
    made = np.full((len(rows), width), np.nan, dtype)
    for place, row in enumerate(rows):
        if row is not None:
            made[place] = row
    return made


def needed(module: str, package: str, purpose: str) -> Any:
    """The module. Raises DataError naming what to install."""
    import importlib

    try:
        return importlib.import_module(module)
    except (ImportError, OSError):  # soundfile raises OSError where the C library is not there
        raise DataError(f"{purpose} needs the package {package}: pip install 'clary[media]'") from None


def counts(parameter: str, *values: int, most: int) -> None:
    """Raise RecipeError unless each is a whole number from 1 on."""
    for value in values:
        need(isinstance(value, int) and not isinstance(value, bool), f"{value!r} is not a whole number", parameter)
        need(1 <= value <= most, f"{value} is not from 1 to {most:,}", parameter)
