"""A column of 0 and 1 for each level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clary.data.batch import Block, Column, Field, Kind, Schema
from clary.data.errors import StepError
from clary.data.recipe.step import Fitting, check_choice, need, step
from clary.data.recipe.steps.categories import (
    MISSING,
    MOST_COLUMNS,
    UNKNOWN,
    CategoryStep,
    PerSource,
    Value,
    at,
    check_free,
    examples,
    frequent,
    given_levels,
    in_order,
    level_name,
    looked_up,
    missing_test,
    refuse_unknown,
)
from clary.data.statistics.categories import Categories
from clary.data.statistics.counts import Levels

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode

_REMEDY = "unknown: ignore or other"
# Every level is a column with a name of its own, in every batch and every table that comes out.
MOST_LEVELS = 100_000


@step
@dataclass(frozen=True, kw_only=True)
class OneHot(CategoryStep):
    """Each level becomes a column that is 1 where the row has it and 0 elsewhere; the column itself goes.

    The columns are called `<column>_<level>`, levels sorted, as pandas.get_dummies calls them; levels of numbers that
    are whole stand without a decimal point (`size_2`).

    categories   the levels given, in this order; left out, they are learnt
    drop_first   leave out the first level's column: it follows from the others
    dummy_na     one more column, `<column>_nan`, for missing values; without it they are 0 everywhere
    unknown      a level that was not there at fitting: "ignore" (0 everywhere), "error", "other" (1 in one more
                 column, `<column>_other`)
    min_count    levels in fewer rows get no column (below 1: a share of the rows with a value), but `<column>_other`
                 where unknown is "other"
    max_levels   so many levels, the most frequent, get a column
    sparse       whether a column's levels become one sparse block; left out: from 257 columns on
    prefix_sep   what stands between column and level

    As pandas.get_dummies and scikit-learn's OneHotEncoder.
    """

    name: ClassVar[str] = "one_hot"

    categories: tuple[str | float | bool, ...] = ()
    drop_first: bool = False
    dummy_na: bool = False
    unknown: Literal["ignore", "error", "other"] = "ignore"
    min_count: float = 0.0
    max_levels: int | None = None
    sparse: bool | None = None
    prefix_sep: str = "_"

    def __post_init__(self) -> None:
        check_choice("unknown", self.unknown, ("ignore", "error", "other"))
        need(self.min_count >= 0, f"{self.min_count} is below 0", "min_count")
        need(self.max_levels is None or self.max_levels >= 1, f"{self.max_levels} is below 1", "max_levels")
        need(len(set(self.categories)) == len(self.categories), "a level is given twice", "categories")

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        found: Sequence[Levels] = (yield [Categories(name, MOST_LEVELS) for name in names]) if names else []
        levels, left, made, blocks = [], [], [], []
        for name, column_levels in zip(names, found, strict=True):
            kept, dropped = self._kept(name, column_levels, schema[name].kind)
            levels.append(kept)
            left.append(dropped)
            made.append(self._made(name, kept, schema[name].kind))
            wanted = len(made[-1]) > MOST_COLUMNS if self.sparse is None else self.sparse
            blocks.append(wanted and len(made[-1]) > 0)
        kinds = tuple(str(schema[name].kind) for name in names)
        fitted = OneHotFitted(
            names,
            tuple(levels),
            tuple(left),
            tuple(made),
            tuple(blocks),
            kinds,
            self.unknown,
            self.drop_first,
            self.dummy_na,
            self.prefix_sep,
        )
        check_free(schema, names, fitted.made)
        return fitted

    def _kept(self, name: str, found: Levels, kind: Kind) -> tuple[pa.Array, pa.Array]:
        """(levels with a column, levels without)."""
        if self.categories:
            try:
                values = given_levels(self.categories, kind)
            except StepError as error:
                raise StepError(error.reason, column=name) from None
            return values, values.slice(0, 0)
        levels = in_order(found, "sorted")
        kept = frequent(levels, self.min_count, self.max_levels)
        return at(levels, np.flatnonzero(kept)).values, at(levels, np.flatnonzero(~kept)).values

    def _made(self, name: str, levels: pa.Array, kind: Kind) -> tuple[str, ...]:
        boolean = kind is Kind.BOOLEAN
        shown = [level_name(value, boolean=boolean) for value in levels.to_pylist()[1 if self.drop_first else 0 :]]
        shown += ["nan"] if self.dummy_na else []
        shown += ["other"] if self.unknown == "other" else []
        names = tuple(f"{name}{self.prefix_sep}{suffix}" for suffix in shown)
        twice = next((made for made in names[-2:] if names.count(made) > 1), None)  # levels themselves are distinct
        if twice:
            raise StepError(f"there would be two columns {twice!r}: a level is called like that", column=name)
        return names


@dataclass(frozen=True)
class OneHotFitted(PerSource):
    """levels: of each column, sorted; left: those without a column of their own; made: the new columns' names."""

    levels: tuple[pa.Array, ...]
    left: tuple[pa.Array, ...]
    made_names: tuple[tuple[str, ...], ...]
    blocks: tuple[bool, ...]
    kinds: tuple[str, ...]
    unknown: str
    drop_first: bool
    dummy_na: bool
    prefix_sep: str

    def made_fields(self, place: int) -> Sequence[Field]:
        made = self.made_names[place]
        if self.blocks[place]:
            return (Field(self.names[place], Kind.BLOCK, made),)
        return tuple(Field(name, Kind.NUMBER) for name in made)

    def apply(self, place: int, column: Column) -> Mapping[str, Column]:
        levels, made = self.levels[place], self.made_names[place]
        codes, table, dictionary = looked_up(column, levels)
        if self.unknown == "error":
            self._refuse(place, codes, table, dictionary)
        hot = self._columns(table, len(levels), len(made)).take(codes)
        if self.blocks[place]:
            return {self.names[place]: Block(made, _sparse(hot, len(made)))}
        # One array for all: a new array for each column takes six times as long.
        flags = np.empty((len(made), len(codes)), np.uint8)
        if len(made) < 255:
            hot = hot.astype(np.uint8)  # -1 becomes 255
        for number, row in enumerate(flags):
            np.equal(hot, number, out=row.view(bool))
        return dict(zip(made, flags, strict=True))

    def _columns(self, table: NDArray[np.int32], levels: int, made: int) -> NDArray[np.int32]:
        """Which of the new columns is 1, -1 for none, in place of which level."""
        other = made - 1 if self.unknown == "other" else -1
        missing = levels - self.drop_first if self.dummy_na else -1
        shifted = table - 1 if self.drop_first else table.copy()
        if self.drop_first and not levels:
            missing = 0 if self.dummy_na else -1
        shifted[table == UNKNOWN] = other
        shifted[table == MISSING] = missing
        return shifted

    def _refuse(self, place: int, codes: NDArray[np.int32], table: NDArray[np.int32], dictionary: pa.Array) -> None:
        """Levels that were left out are not unknown."""
        import pyarrow.compute as pc

        left = self.left[place]
        if len(left) and len(dictionary):
            known = pc.is_in(dictionary, value_set=left).to_numpy(zero_copy_only=False)
            table = np.where(np.append(known, False), np.int32(MISSING), table)
        refuse_unknown(codes, table, dictionary, _REMEDY)

    def notes(self) -> Sequence[str]:
        sentences = []
        for place, name in enumerate(self.names):
            block = ", as one sparse block" if self.blocks[place] else ""
            sentences.append(
                f"{name}: {len(self.levels[place]):,} levels became {len(self.made_names[place]):,} columns{block}."
            )
            if len(left := self.left[place]):
                where = f"{name}{self.prefix_sep}other" if self.unknown == "other" else "0 in every column"
                sentences.append(f"{name}: {len(left):,} levels are too rare for a column ({where}): {examples(left)}.")
        return sentences

    def row(self, code: RowCode) -> None:
        for place, name in enumerate(self.names):
            value, levels, made = code.read(name), self.levels[place], self.made_names[place]
            # What `_columns` makes of every level, and of an unknown level and a missing value after them.
            numbers = self._columns(np.array([*range(len(levels)), UNKNOWN, MISSING], np.int32), len(levels), len(made))
            hot = Hot(len(made))
            rows = [hot(number) for number in numbers.tolist()] if not self.blocks[place] else numbers.tolist()
            known: dict[Value, Any] = dict(zip(levels.to_pylist(), rows, strict=False))
            if self.unknown == "error":
                known |= dict.fromkeys(self.left[place].to_pylist(), rows[-2])
            table, missing = code.constant(known), missing_test(Kind(self.kinds[place]), value)
            # A KeyError leaves the row to `apply`, which raises the error.
            strict = self.unknown == "error"
            lookup = f"{table}[{value}]" if strict else f"{table}.get({value}, {code.constant(rows[-2])})"
            expression = f"({code.constant(rows[-1])} if {missing} else {lookup})"
            if self.blocks[place]:
                code.block(name, made, f"{code.constant(hot)}({expression})")
            else:
                code.write_many(made, expression)

    def sklearn(self) -> Any:
        """None where scikit-learn would make something else of missing, unknown or rare levels, or of blocks."""
        from sklearn.preprocessing import OneHotEncoder

        if self.unknown != "ignore" or self.dummy_na or any(self.blocks) or not all(map(len, self.levels)):
            return None
        if self.drop_first:  # scikit-learn warns of every missing value then
            return None
        for levels, kind in zip(self.levels, self.kinds, strict=True):
            if kind != Kind.TEXT and sorted(levels.to_pylist()) != levels.to_pylist():
                return None
        import pandas as pd

        encoder = OneHotEncoder(
            categories=[levels.to_pylist() for levels in self.levels],
            sparse_output=False,
            dtype=np.uint8,
            handle_unknown="ignore",
            feature_name_combiner=Combiner(self.prefix_sep, self._booleans()),
        )
        categories = [_categories(levels) for levels in self.levels]
        # The categories are given, so one row of anything fits it; it is a row of levels for their types.
        row = {name: values[:1] for name, values in zip(self.names, categories, strict=True)}
        encoder.fit(pd.DataFrame(row))
        encoder.categories_ = categories
        return encoder

    def _booleans(self) -> tuple[str, ...]:
        return tuple(name for name, kind in zip(self.names, self.kinds, strict=True) if kind == Kind.BOOLEAN)


@dataclass(frozen=True)
class Hot:
    """A tuple of `width` floats: all 0, but for a 1 at a place that is not -1."""

    width: int

    def __call__(self, place: int) -> tuple[float, ...]:
        if place < 0:
            return (0.0,) * self.width
        return (*((0.0,) * place), 1.0, *((0.0,) * (self.width - place - 1)))


@dataclass(frozen=True)
class Combiner:
    """Makes scikit-learn's names of new columns those of the step."""

    prefix_sep: str
    booleans: tuple[str, ...]

    def __call__(self, name: str, level: Any) -> str:
        return f"{name}{self.prefix_sep}{level_name(level, boolean=name in self.booleans)}"


def _categories(levels: pa.Array) -> NDArray[Any]:
    if pa.types.is_string(levels.type):
        return np.array(levels.to_pylist(), dtype=object)
    return np.asarray(levels.to_numpy(zero_copy_only=False))


def _sparse(hot: NDArray[np.int32], width: int) -> Any:
    """(rows, width) csr_matrix, a 1 where a row's number is not -1."""
    from scipy.sparse import csr_matrix

    present = hot >= 0
    ends = np.concatenate([[0], np.cumsum(present)]).astype(np.int32)
    return csr_matrix((np.ones(int(ends[-1])), hot[present], ends), shape=(len(hot), width))
