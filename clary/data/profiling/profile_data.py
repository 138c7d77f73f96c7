"""What a profile holds: summaries of a table and of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from clary.data.batch import Kind, some
from clary.data.errors import DataError
from clary.data.notes import Note
from clary.data.profiling.suggest import suggested_recipe
from clary.data.profiling.summaries import ColumnSummary, Finding, Matrix, Pattern, Target
from clary.data.statistics.base import Sample


@dataclass(frozen=True)
class ProfileData:
    """What a table holds.

    index       what the rows are called
    duplicates  rows equal to one before them
    same        groups of columns that are equal in every row
    patterns    which columns are missing together, the most frequent first; () stands for complete rows
    pearson     of numbers and booleans, over the rows that have both
    spearman, cramers_v  of a sample where the table is large
    findings    what to look at, the gravest first
    notes       what reading the table told
    told        which figures are not exact, or not of all rows
    """

    rows: int
    columns: tuple[ColumnSummary, ...]
    index: str
    duplicates: int
    duplicates_exact: bool
    same: tuple[tuple[str, ...], ...]
    patterns: tuple[Pattern, ...]
    pearson: Matrix = field(compare=False)
    spearman: Matrix = field(compare=False)
    cramers_v: Matrix = field(compare=False)
    target: Target | None
    findings: tuple[Finding, ...]
    notes: tuple[Note, ...]
    told: tuple[str, ...]
    target_name: str = ""
    sample: Sample | None = field(default=None, repr=False, compare=False)
    columns_to_plot: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, len(self.columns)

    def __getitem__(self, name: str) -> ColumnSummary:
        """The figures of one column. Raises DataError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise DataError(f"there is no column {name!r}; there are: {some(column.name for column in self.columns)}")

    def of_kind(self, kind: Kind) -> Sequence[ColumnSummary]:
        return [column for column in self.columns if column.kind is kind]

    @property
    def missing_cells(self) -> int:
        return sum(column.missing for column in self.columns)

    def suggested_recipe(self) -> dict[str, Any]:
        """A recipe of the steps that the findings name, for `Recipe.from_dict`: to begin with, and to be reviewed."""
        return suggested_recipe(self.findings, self.target_name)
