"""A profile: the figures of a table, and the forms in which they are shown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.data.batch import Kind, some
from clary.data.errors import DataError
from clary.data.notes import Note
from clary.data.profiling.summaries import ColumnSummary, Finding, Matrix, Pattern, Target
from clary.data.statistics.base import Sample

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Profile:
    """What a table holds. Printed, it is a summary; in a notebook, the report.

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
        for one in self.columns:
            if one.name == name:
                return one
        raise DataError(f"there is no column {name!r}; there are: {some(one.name for one in self.columns)}")

    def of_kind(self, kind: Kind) -> Sequence[ColumnSummary]:
        return [one for one in self.columns if one.kind is kind]

    @property
    def missing_cells(self) -> int:
        return sum(one.missing for one in self.columns)

    def describe(self, include: str | None = None) -> pd.DataFrame:
        """As pandas' DataFrame.describe(), or describe(include="all")."""
        from clary.data.profiling.describe import describe

        return describe(self.columns, include)

    def suggested_recipe(self) -> dict[str, Any]:
        """A recipe of the steps that the findings name, for `Recipe.from_dict`: to begin with, and to be looked at."""
        from clary.data.profiling.suggest import recipe_of

        return recipe_of(self.findings, self.target_name)

    def to_dict(self) -> dict[str, Any]:
        """All figures as JSON has them: NaN and infinity as null, times as ISO 8601."""
        from clary.data.profiling.to_json import plain

        return plain(self)

    def to_json(self, indent: int | None = None) -> str:
        import json

        return json.dumps(self.to_dict(), indent=indent, allow_nan=False, ensure_ascii=False)

    def save_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the report: one file, which needs nothing else. Raises DataError where it cannot be written."""
        from clary.data.profiling.report import report

        text = report(self)
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise DataError(f"the report cannot be written to {os.fspath(path)!r}: {error.strerror}") from None
        return Path(path)

    def to_html(self) -> str:
        """The report, as one page that needs nothing else."""
        from clary.data.profiling.report import report

        return report(self)

    def _repr_html_(self) -> str:
        """In a notebook: the report in a frame of its own, so that its style touches nothing else."""
        from html import escape

        page = escape(self.to_html(), quote=True)
        return (
            f'<iframe title="Profile" srcdoc="{page}" style="width:100%;height:720px;border:1px solid #8888"></iframe>'
        )

    def __str__(self) -> str:
        from clary.data.profiling.terminal import summary

        return summary(self)
