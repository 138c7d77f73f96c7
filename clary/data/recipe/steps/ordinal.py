"""Levels as numbers: 0, 1, 2, …"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clary.data.batch import Column, Kind, Schema, some
from clary.data.errors import StepError
from clary.data.recipe.step import Fitting, PerColumn, check_choice, need, step
from clary.data.recipe.steps.categories import (
    MISSING,
    UNKNOWN,
    CategoryStep,
    Order,
    Value,
    by_level,
    examples,
    given_levels,
    in_order,
    looked_up,
    missing_test,
    refuse_unknown,
)
from clary.data.statistics.categories import Categories

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode

_REMEDY = "unknown: value or missing"


@step
@dataclass(frozen=True, kw_only=True)
class Ordinal(CategoryStep):
    """Each level becomes its place in an order, counted from 0.

    order                  learnt from the data: "sorted" (text by code points, as Python sorts; numbers by size),
                           "frequency" (the most frequent first, ties sorted), "appearance" (as in the table)
    categories             the order given, the first becomes 0; `order` plays no part then
    unknown                a level that was not there at fitting: "error", "value" (it becomes `unknown_value`) or
                           "missing"
    unknown_value          as scikit-learn calls it
    encoded_missing_value  what a missing value becomes; left out, it stays missing

    As scikit-learn's OrdinalEncoder.
    """

    name: ClassVar[str] = "ordinal"
    # The columns become numbers: not `keeps_schema`.

    order: Order = "sorted"
    categories: tuple[str | float | bool, ...] = ()
    unknown: Literal["error", "value", "missing"] = "error"
    unknown_value: float = -1.0
    encoded_missing_value: float | None = None

    def __post_init__(self) -> None:
        check_choice("order", self.order, ("sorted", "frequency", "appearance"))
        check_choice("unknown", self.unknown, ("error", "value", "missing"))
        twice = [value for place, value in enumerate(self.categories) if value in self.categories[:place]]
        need(not twice, f"{some(twice, 5)} is given twice", "categories")

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        if self.categories:
            levels = tuple(_given(schema, name, self.categories) for name in names)
        else:
            found = (yield [Categories(name) for name in names]) if names else []
            levels = tuple(in_order(column_levels, self.order).values for column_levels in found)
        kinds = tuple(str(schema[name].kind) for name in names)
        missing = math.nan if self.encoded_missing_value is None else float(self.encoded_missing_value)
        unknown = float(self.unknown_value) if self.unknown == "value" else math.nan
        return OrdinalFitted(names, levels, kinds, self.unknown == "error", unknown, missing)


def _given(schema: Schema, name: str, categories: Sequence[Value]) -> pa.Array:
    try:
        return given_levels(categories, schema[name].kind)
    except StepError as error:
        raise StepError(error.reason, column=name) from None


@dataclass(frozen=True)
class OrdinalFitted(PerColumn):
    """levels: of each column, in order; kinds: what each column held."""

    levels: tuple[pa.Array, ...]
    kinds: tuple[str, ...]
    refuses: bool
    unknown: float
    missing: float

    def apply(self, place: int, column: Column) -> Column:
        codes, table, dictionary = looked_up(column, self.levels[place])
        if self.refuses:
            refuse_unknown(codes, table, dictionary, _REMEDY)
        values = table.astype(np.float64)
        values[table == UNKNOWN] = self.unknown
        values[table == MISSING] = self.missing
        return values.take(codes)

    def notes(self) -> Sequence[str]:
        return [
            f"{name}: {len(levels):,} levels, in this order: {examples(levels)}."
            for name, levels in zip(self.names, self.levels, strict=True)
        ]

    def row(self, code: RowCode) -> None:
        for name, levels, kind in zip(self.names, self.levels, self.kinds, strict=True):
            value = code.read(name)
            table = code.constant(by_level(levels, map(float, range(len(levels)))))
            # A KeyError leaves the row to `apply`, which raises the error.
            known = f"{table}[{value}]" if self.refuses else f"{table}.get({value}, {code.constant(self.unknown)})"
            missing = missing_test(Kind(kind), value)
            code.write(name, f"{code.constant(self.missing)} if {missing} else {known}")

    def sklearn(self) -> Any:
        """None where levels of numbers are in another order than by size: scikit-learn has no such thing."""
        from sklearn.preprocessing import OrdinalEncoder

        for levels in self.levels:
            if not pa.types.is_string(levels.type) and pc.sort_indices(levels).to_pylist() != list(range(len(levels))):
                return None
        if any(np.isfinite(code) and _is_level_code(code, self.levels) for code in (self.unknown, self.missing)):
            return None
        import pandas as pd

        categories = [_with_missing(levels) for levels in self.levels]
        encoder = OrdinalEncoder(
            categories=[values.tolist() for values in categories],
            handle_unknown="error" if self.refuses else "use_encoded_value",
            unknown_value=None if self.refuses else math.nan,
            encoded_missing_value=self.missing,
        )
        # The categories are given, missing values among them, so one row of anything fits it.
        encoder.fit(pd.DataFrame({name: values[:1] for name, values in zip(self.names, categories, strict=True)}))
        encoder.categories_ = categories
        if not self.refuses and not math.isnan(self.unknown):
            # Only now: `fit` takes whole numbers alone.
            encoder.set_params(unknown_value=int(self.unknown) if self.unknown.is_integer() else self.unknown)
        return encoder


def _is_level_code(number: float, levels: Sequence[pa.Array]) -> bool:
    return number.is_integer() and any(0 <= number < len(column_levels) for column_levels in levels)


def _with_missing(levels: pa.Array) -> Any:
    """scikit-learn's categories: a missing value is the last of them."""
    if pa.types.is_string(levels.type):
        return np.array([*levels.to_pylist(), np.nan], dtype=object)
    return np.append(levels.to_numpy(zero_copy_only=False), np.nan)
