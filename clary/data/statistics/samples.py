"""Random rows of a table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import pyarrow as pa

from clary.data.batch import Batch, concatenated
from clary.data.statistics.base import ColumnsStatistic, Sample
from clary.data.statistics.hashes import uniform

SAMPLE_ROWS = 100_000
SAMPLE_CELLS = 4_000_000  # of a wide table fewer rows are taken
SAMPLE_FILES = 2_000  # rows of a table that holds pictures or sounds
_MOST_BATCHES = 32  # kept apart before they are put together


@dataclass(frozen=True)
class SampleRows(ColumnsStatistic[list[Batch], Sample]):
    """Rows of a table of which the number of rows is known, chosen by a hash of their place.

    The same rows whatever the number of cores or the size of batches; about `wanted` of them, all where there are
    no more than that.

    cells    fewer rows where their columns have more values than that; None: SAMPLE_CELLS
    compact  whether batches are put together as they come, and texts have no dictionaries even where these are all rows
    """

    table_rows: int
    wanted: int = SAMPLE_ROWS
    seed: int = 0
    cells: int | None = None
    compact: bool = False

    @property
    def most(self) -> int:
        return min(self.wanted, max(1_000, (self.cells or SAMPLE_CELLS) // max(1, len(self.names))))

    def compute(self, batch: Batch) -> list[Batch]:
        batch = batch.only(self.names)
        if self.table_rows <= self.most:
            return [without_dictionaries(batch) if self.compact else batch]
        return [without_dictionaries(batch.take(uniform(batch.row_numbers, self.seed) < self.most / self.table_rows))]

    def merge(self, first: list[Batch], second: list[Batch]) -> list[Batch]:
        first.extend(second)
        return [concatenated(first)] if self.compact and len(first) >= _MOST_BATCHES else first

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


@dataclass(frozen=True)
class SampleColumns(ColumnsStatistic[None, Sample]):
    """These columns of the random sample, as they are after the steps before. Costs no pass of its own.

    For algorithms that cannot be fed batch by batch.
    """

    sample: Sample | None = field(default=None, compare=False)

    needs_sample: ClassVar[bool] = True

    @property
    def known_from_sample(self) -> bool:
        return self.sample is not None

    def prepared(self, sample: Sample) -> SampleColumns:
        return replace(self, sample=Sample(sample.batch.only(self.names), sample.complete))

    def compute(self, batch: Batch) -> None:
        return None

    def result(self, state: None) -> Sample:
        assert self.sample is not None
        return self.sample
