"""Steps that choose rows at random: a sample, classes of one size, rows to train on and to test with.

Chance is a hash of a row's place in the table: the same rows are chosen however many cores there are, and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Kind, Schema
from clary.data.errors import StepError
from clary.data.recipe.step import Fitting, Step, check_choice, need, step
from clary.data.recipe.steps.training import RowStep
from clary.data.statistics.counts import Counts
from clary.data.statistics.hashes import splitmix64
from clary.data.statistics.thresholds import Thresholds, classes_of


@step
@dataclass(frozen=True, kw_only=True)
class Sample(Step):
    """Keep some rows, chosen at random. Only of the rows that are learnt from.

    n      how many; all where there are no more
    share  or which share of them, in (0, 1]
    seed   another seed chooses other rows
    """

    n: int | None = None
    share: float | None = None
    seed: int = 0

    name: ClassVar[str] = "sample"
    keeps_schema: ClassVar[bool] = True
    changes_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need(not self.columns, "the step takes whole rows; leave `columns` out", "columns")
        need((self.n is None) != (self.share is None), "give either n or share")
        need(self.n is None or self.n > 0, "at least 1", "n")
        need(self.share is None or 0 < self.share <= 1, "more than 0, at most 1", "share")
        need(self.seed >= 0, "at least 0", "seed")

    def chosen(self, schema: Schema) -> tuple[str, ...]:
        return ()

    @property
    def names_columns(self) -> bool:
        return True

    def fitting(self, schema: Schema) -> Fitting:
        (found,) = yield [Thresholds(self._wanted, seed=self.seed)]
        (below,) = found.get(None, (0,))
        return RowsByChance("", {"": below}, {"": 0}, self.seed, "Of the rows, some were kept at random.")

    def _wanted(self, rows: int) -> tuple[int, ...]:
        return (min(rows, self.n if self.n is not None else round((self.share or 0) * rows)),)


@step
@dataclass(frozen=True, kw_only=True)
class Balance(Step):
    """Make the classes of a column equally frequent. Only in the rows that are learnt from.

    column    the classes; nothing stands for the recipe's target
    strategy  down: of each class so many rows, at random, as the smallest has; up: rows of smaller classes are there
              several times, so that each has as many as the largest
    seed      another seed chooses other rows
    Raises    StepError where rows have no class. A row that is there several times counts as one row to later steps
              that choose at random: copies never fall on both sides of a `split`.
    """

    column: str = ""
    strategy: Literal["down", "up"] = "down"
    seed: int = 0

    name: ClassVar[str] = "balance"
    keeps_schema: ClassVar[bool] = True
    changes_rows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need(not self.columns, "give `column`, or the recipe's target", "columns")
        need(bool(self.column or self.target), "needed, unless the recipe has a target", "column")
        check_choice("strategy", self.strategy, ("down", "up"))
        need(self.seed >= 0, "at least 0", "seed")

    @property
    def names_columns(self) -> bool:
        return True

    def chosen(self, schema: Schema) -> tuple[str, ...]:
        name = self.column or self.target
        if schema[name].kind in (Kind.BLOCK, Kind.OTHER):
            raise StepError(f"it holds {schema[name].kind}, not classes", column=name)
        return (name,)

    def writes(self, schema: Schema) -> tuple[str, ...]:
        return ()

    def fitting(self, schema: Schema) -> Fitting:
        (name,) = self.chosen(schema)
        (counts,) = yield [Counts(name, most=10_000)]
        if counts.missing:
            raise StepError(
                f"{counts.missing:,} rows have no class; drop them first (step `drop_missing`)", column=name
            )
        if not len(counts):
            return RowsByChance(name, {}, {}, self.seed, "There were no rows to balance.")
        few, most = int(counts.counts.min()), int(counts.counts.max())

        def wanted(rows: int) -> tuple[int, ...]:
            return (few if self.strategy == "down" else most % rows,)

        (found,) = yield [Thresholds(wanted, name, self.seed)]
        sizes = {str(level): int(count) for level, count in zip(_levels(counts.values), counts.counts, strict=True)}
        times = {level: 0 if self.strategy == "down" else most // count for level, count in sizes.items()}
        sentence = f"Classes had {', '.join(f'{level!r}: {count:,}' for level, count in list(sizes.items())[:20])} rows"
        sentence += f"; now each has {few if self.strategy == 'down' else most:,}."
        return RowsByChance(
            name, {str(level): threshold for level, (threshold,) in found.items()}, times, self.seed, sentence
        )


def _levels(values: Any) -> list[Any]:
    return [float(value) if isinstance(value, bool | int) else value for value in values.to_pylist()]


@dataclass(frozen=True)
class RowsByChance(RowStep):
    """Each row `times` of its class, and once more where its hash is below the class's threshold.

    by  the column of classes; "" where all rows are of one class, ""
    """

    by: str
    below: dict[str, int]
    times: dict[str, int]
    seed: int
    sentence: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.by,) if self.by else ()

    def transform(self, batch: Batch) -> Batch:
        hashes = splitmix64(batch.row_numbers, self.seed)
        counts: NDArray[np.int64] = np.zeros(batch.rows, np.int64)
        for level, rows in classes_of(batch, self.by or None).items():
            name = str(level) if self.by else ""
            once_more = hashes[rows] < np.uint64(self.below.get(name, 0))
            counts[rows] = once_more + self.times.get(name, 0)
        return batch.take(np.repeat(np.arange(batch.rows), counts))

    def notes(self) -> Sequence[str]:
        return (self.sentence,)
