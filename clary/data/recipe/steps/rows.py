"""Steps that take rows away: those with missing values, and those that are there twice.

They act on the rows a recipe learns from. At inference every row that comes in goes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Field, Kind, Schema, missing, some
from clary.data.errors import StepError
from clary.data.recipe.step import FittedStep, Fitting, Step, check_choice, need, select, step
from clary.data.recipe.steps.training import RowStep
from clary.data.statistics.gaps import Gaps
from clary.data.statistics.repeats import Repeats

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode


@step
@dataclass(frozen=True, kw_only=True)
class DropMissing(Step):
    """Leave out rows, or columns, in which values are missing, as pandas' `dropna` does.

    columns  whose missing values count, or, for axis: columns, which may be dropped; without it, all,
             the target among them
    axis     rows: only of the rows that are learnt from; columns: always
    how      any: where a value is missing; all: where every value is
    thresh   instead of `how`: keep what has at least so many values
    """

    axis: Literal["rows", "columns"] = "rows"
    how: Literal["any", "all"] = "any"
    thresh: int | None = None

    name: ClassVar[str] = "drop_missing"
    changes_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_choice("axis", self.axis, ("rows", "columns"))
        check_choice("how", self.how, ("any", "all"))
        need(self.thresh is None or self.thresh >= 0, "at least 0", "thresh")

    def chosen(self, schema: Schema) -> tuple[str, ...]:
        target = "" if self.axis == "rows" else self.target
        return select(schema, self.columns, self.kinds, self.leave, target)

    def writes(self, schema: Schema) -> tuple[str, ...]:
        return () if self.axis == "rows" else self.chosen(schema)

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        if self.axis == "rows":
            return RowsWithValues(names, self._needed(len(names)))
        gaps = yield [Gaps((name,)) for name in names]
        rows = gaps[0].rows if gaps else 0
        missing_counts = [int(gap.missing.max(initial=0)) for gap in gaps]
        dropped = [place for place, count in enumerate(missing_counts) if rows - count < self._needed(rows)]
        reasons = tuple(
            f"{names[place]!r} was dropped: {missing_counts[place]:,} of {rows:,} values are missing."
            for place in dropped
        )
        return ColumnsDropped(tuple(names[place] for place in dropped), reasons)

    def _needed(self, total: int) -> int:
        """How many values have to be there."""
        if self.thresh is not None:
            return self.thresh
        return total if self.how == "any" else min(1, total)


@dataclass(frozen=True)
class RowsWithValues(RowStep):
    """Rows with at least `needed` values in these columns."""

    names: tuple[str, ...]
    needed: int

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.names

    def transform(self, batch: Batch) -> Batch:
        present_counts = np.full(batch.rows, len(self.names), np.int64)
        for name in self.names:
            present_counts -= missing(batch[name])
        kept = present_counts >= self.needed
        return batch if kept.all() else batch.take(kept)

    def notes(self) -> Sequence[str]:
        return (f"Rows were kept with at least {self.needed} of {len(self.names)} values in {some(self.names)}.",)


@dataclass(frozen=True)
class ColumnsDropped(FittedStep):
    """Without these columns."""

    names: tuple[str, ...]
    reasons: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        return ()

    @property
    def made(self) -> tuple[Field, ...]:
        return ()

    @property
    def removed(self) -> tuple[str, ...]:
        return self.names

    def transform(self, batch: Batch) -> Batch:
        return batch.replaced(self.names, {})

    def notes(self) -> Sequence[str]:
        return self.reasons

    def row(self, code: RowCode) -> None:
        """Nothing: the columns are in `removed`."""


@step
@dataclass(frozen=True, kw_only=True)
class Deduplicate(Step):
    """Leave out rows that are there more than once, as pandas' `drop_duplicates` does. Only of the rows learnt from.

    columns  in which rows have to be the same; nothing stands for all, the target among them
    keep     first or last: which of those that are the same stays; none: not one of them
    Missing values are the same as each other. Rows are compared by 128 bits of their values, so the table may be larger
    than memory (24 bytes are needed for each row). Whole numbers beyond 2^53 are compared as float64 where some of
    their column are missing.
    """

    keep: Literal["first", "last", "none"] = "first"

    name: ClassVar[str] = "deduplicate"
    keeps_schema: ClassVar[bool] = True
    changes_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_choice("keep", self.keep, ("first", "last", "none"))

    def chosen(self, schema: Schema) -> tuple[str, ...]:
        return select(schema, self.columns, self.kinds, self.leave)

    def writes(self, schema: Schema) -> tuple[str, ...]:
        return ()

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        (repeats,) = yield [Repeats(names, self.keep)]
        return RowsNotRepeated(names, repeats)


@dataclass(frozen=True)
class RowsNotRepeated(RowStep):
    """Without the rows of the training table with these numbers, which are in order."""

    names: tuple[str, ...]
    repeats: NDArray[np.int64]

    @property
    def inputs(self) -> tuple[str, ...]:
        return ()

    def transform(self, batch: Batch) -> Batch:
        if not len(self.repeats) or not batch.rows:
            return batch
        numbers = batch.row_numbers
        first, last = np.searchsorted(self.repeats, [numbers.min(), numbers.max() + 1])
        if first == last:
            return batch
        return batch.take(~np.isin(numbers, self.repeats[first:last]))

    def notes(self) -> Sequence[str]:
        count = len(self.repeats)
        where = some(self.names, 5)
        return (f"{count:,} row(s) were left out: the same as another in {where}, by 128 bits of their values.",)


@step
@dataclass(frozen=True, kw_only=True)
class Drop(Step):
    """Leave columns out."""

    name: ClassVar[str] = "drop"

    def __post_init__(self) -> None:
        need(bool(self.columns), "name at least one", "columns")

    def fitting(self, schema: Schema) -> Fitting:
        yield from ()  # nothing is learnt from the table
        return ColumnsDropped(self.chosen(schema))


@step
@dataclass(frozen=True, kw_only=True)
class Keep(Step):
    """Leave out all columns but these, and the target."""

    name: ClassVar[str] = "keep"

    def __post_init__(self) -> None:
        need(bool(self.columns), "name at least one", "columns")

    def writes(self, schema: Schema) -> tuple[str, ...]:
        return schema.names

    def fitting(self, schema: Schema) -> Fitting:
        yield from ()  # nothing is learnt from the table
        kept = {*self.chosen(schema), self.target}
        return ColumnsDropped(
            tuple(field.name for field in schema.fields if field.name not in kept and not field.aside)
        )


@step
@dataclass(frozen=True, kw_only=True)
class Rename(Step):
    """Give columns other names.

    names  from the old name to the new name
    """

    names: dict[str, str]

    name: ClassVar[str] = "rename"

    def __post_init__(self) -> None:
        need(not self.columns, "the step renames the columns in `names`; leave `columns` out", "columns")
        need(bool(self.names), "name at least one", "names")
        new = list(self.names.values())
        need(all(new), "a name is empty", "names")
        need(len(set(new)) == len(new), "two columns get the same name", "names")

    def chosen(self, schema: Schema) -> tuple[str, ...]:
        return select(schema, tuple(self.names), tuple(Kind))

    @property
    def names_columns(self) -> bool:
        return True

    def writes(self, schema: Schema) -> tuple[str, ...]:
        return (*self.chosen(schema), *self.names.values())

    def fitting(self, schema: Schema) -> Fitting:
        yield from ()  # nothing is learnt from the table
        self.chosen(schema)  # raises where a column does not exist
        for name in self.names.values():
            if name in schema and name not in self.names:
                raise StepError("there is a column of that name already", column=name)
        old = tuple(name for name in schema.names if name in self.names)
        kept = tuple(schema[name] for name in old)
        return Renamed(
            old,
            tuple(self.names[name] for name in old),
            tuple(str(field.kind) for field in kept),
            tuple(field.names for field in kept),
        )


@dataclass(frozen=True)
class Renamed(FittedStep):
    """kinds, blocks: of the columns, as they are in a Field"""

    old: tuple[str, ...]
    new: tuple[str, ...]
    kinds: tuple[str, ...]
    blocks: tuple[tuple[str, ...], ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.old

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(map(Field, self.new, map(Kind, self.kinds), self.blocks))

    @property
    def removed(self) -> tuple[str, ...]:
        return tuple(name for name in self.old if name not in self.new)

    def transform(self, batch: Batch) -> Batch:
        return batch.replaced(self.removed, {new: batch[old] for old, new in zip(self.old, self.new, strict=True)})

    def row(self, code: RowCode) -> None:
        for old, new in zip(self.old, self.new, strict=True):
            code.write(new, code.read(old))
