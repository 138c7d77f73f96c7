"""What a statistic of a table is: worked out batch by batch on all cores, merged in the table's order.

    of(batch) ─> state ┐
    of(batch) ─> state ┴ merge ─> state ─> … ─> result
Merging in order makes every figure the same however many cores there are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clary.data.batch import Batch, concatenated

State = TypeVar("State")
Result = TypeVar("Result")

SAMPLE_ROWS = 100_000
SAMPLE_CELLS = 4_000_000  # of a wide table fewer rows are taken
SAMPLE_FILES = 2_000  # rows of a table that holds pictures or sounds


@dataclass(frozen=True)
class Sample:
    """Rows drawn from a table, in its order, each as likely as any other.

    complete   whether these are all rows of the table
    """

    batch: Batch
    complete: bool


class Statistic(ABC, Generic[State, Result]):
    """A figure, or many, of some columns. A frozen dataclass: two equal ones are worked out once.

    What `prepared` adds is kept in fields with compare=False.
    """

    needs_sample: ClassVar[bool] = False  # `prepared` is called with a sample first

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """What it reads."""

    @property
    def settled(self) -> bool:
        """Whether the sample told all: `result(None)` is right without a pass."""
        return False

    def prepared(self, sample: Sample) -> Statistic[State, Result]:
        """The same with what it needs to know beforehand; the sample has at least its columns."""
        return self

    @abstractmethod
    def of(self, batch: Batch) -> State:
        """Of these rows alone. Called from several threads at once. Raises StepError where columns do not fit."""

    @abstractmethod
    def merge(self, first: State, second: State) -> State:
        """Of both; `first` may be changed and returned."""

    @abstractmethod
    def result(self, state: State | None) -> Result:
        """The figures; None stands for a table without rows. Raises Again where another pass is needed."""


class Again(Exception):
    """The pass was not enough: run this statistic in its place, its result is the other's."""

    def __init__(self, statistic: Statistic[Any, Any]) -> None:
        super().__init__("another pass")
        self.statistic = statistic


@dataclass(frozen=True)
class SampleRows(Statistic[list[Batch], Sample]):
    """Rows of a table of which the number of rows is known, chosen by a hash of their place.

    The same rows whatever the number of cores or the size of batches; about `wanted` of them, all where there are
    no more than that.
    """

    names: tuple[str, ...]
    table_rows: int
    wanted: int = SAMPLE_ROWS
    seed: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        return self.names

    @property
    def most(self) -> int:
        return min(self.wanted, max(1_000, SAMPLE_CELLS // max(1, len(self.names))))

    def of(self, batch: Batch) -> list[Batch]:
        batch = batch.only(self.names)
        if self.table_rows <= self.most:
            return [batch]
        return [without_dictionaries(batch.take(hashed(batch.row_numbers, self.seed) < self.most / self.table_rows))]

    def merge(self, first: list[Batch], second: list[Batch]) -> list[Batch]:
        first.extend(second)
        return first

    def result(self, state: list[Batch] | None) -> Sample:
        kept = [batch for batch in state or () if batch.rows] or (state or [])[:1]
        batch = concatenated(kept) if kept else Batch({}, 0)
        return Sample(batch, complete=self.table_rows <= self.most)


def without_dictionaries(batch: Batch) -> Batch:
    """The same rows without dictionaries: they would keep all of the memory they were read into."""
    columns = {
        name: column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column
        for name, column in batch.columns.items()
    }
    return Batch(columns, batch.rows, batch.first_row, batch.places)


def hashed(values: NDArray[np.int64] | NDArray[np.uint64], seed: int = 0) -> NDArray[np.float64]:
    """Each value as a number in [0, 1) that looks random and is always the same: SplitMix64.

    Reference  Steele, Lea & Flood (2014), Fast splittable pseudorandom number generators, OOPSLA.
    """
    return (mixed(values, seed) >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def mixed(values: NDArray[Any], seed: int = 0) -> NDArray[np.uint64]:
    """Each value's 64 bits, mixed: SplitMix64's output function."""
    x = values.astype(np.uint64) + np.uint64((0x9E3779B97F4A7C15 * (seed + 1)) & 0xFFFFFFFFFFFFFFFF)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
