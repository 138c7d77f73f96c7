"""From a table to its profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from clary.data.batch import Kind, some
from clary.data.errors import DataError
from clary.data.profiling.column_summaries import column_summaries
from clary.data.profiling.findings import findings
from clary.data.profiling.limits import limits
from clary.data.profiling.profile import Profile
from clary.data.profiling.sample_summaries import MOST_COLUMNS, categories, cramers_v, spearman
from clary.data.profiling.summaries import ColumnSummary, Matrix, Pattern, Target
from clary.data.profiling.table_summary import MOST_PAIRED, TableSummary, summarize
from clary.data.progress import Progress, quiet
from clary.data.scans import Scan, scan_of, schema_of

if TYPE_CHECKING:
    import pandas as pd

_PATTERNS = 20  # of missing values, shown


def profile(
    data: Scan | pd.DataFrame | pa.Table,
    target: str | None = None,
    *,
    columns_to_plot: Sequence[str] | None = None,
    exact: bool = False,
    progress: Progress | None = None,
) -> Profile:
    """Every figure of a table that a person asks for before a model is trained, and what to do about it.

    Counts, moments, extremes, quantiles, outliers, Pearson's correlations and patterns of missing values are exact
    whatever the size; rank correlations, Cramér's V, words and the target's figures are of a sample where the table is
    large. `Profile.told` says which figures are not exact.

    data             a DataFrame, an Arrow table, or what `clary.data.scan` gives: read in bounded memory, on all cores
    target           the column to be predicted
    columns_to_plot  of the report's pair plot; by default there is none
    exact            no estimates of how many different values and rows there are, for memory that grows with them
    Raises           DataError for a target or columns that are not there, and what reading raises.
    """
    scan, index = _scan_of(data)
    names = schema_of(scan).names
    for name in (*([target] if target is not None else []), *(columns_to_plot or ())):
        if name not in names:
            raise DataError(f"there is no column {name!r}; there are: {some(names)}")
    table = summarize(scan, limits(scan.rows, exact), progress or quiet)
    return _profile(table, target, columns_to_plot, index)


def _scan_of(data: Any) -> tuple[Scan, str]:
    """(a scan, what its rows' names are)."""
    return scan_of(data), (_index(data) if hasattr(data, "index") else "the number of the row")


def _index(frame: pd.DataFrame) -> str:
    index = frame.index
    name = f", called {index.name!r}" if index.name is not None else ""
    if type(index).__name__ == "RangeIndex":
        return f"RangeIndex{name}"
    ends = f", {index[0]!s:.40} to {index[-1]!s:.40}" if len(index) else ""
    unique = "all different" if index.is_unique else "some are there more than once"
    return f"{type(index).__name__} of {index.dtype}{name}{ends}; {unique}"


def _profile(table: TableSummary, target: str | None, columns_to_plot: Sequence[str] | None, index: str) -> Profile:
    columns = column_summaries(table)
    batch = table.sample.batch
    pearson = Matrix((), np.empty((0, 0)), table.rows)
    if len(table.paired) <= MOST_PAIRED:
        pearson = Matrix(table.paired, table.sums[0].correlations(), table.rows)
    ranked = [column.name for column in columns if column.kind in (Kind.NUMBER, Kind.BOOLEAN)][:MOST_COLUMNS]
    distinct = {column.name: column.distinct for column in columns}
    levels = categories(batch, schema_of(table.scan), distinct) if batch.rows else ()
    found = _target(table, columns, target)
    duplicates = table.duplicates
    same = _same(table, columns)
    return Profile(
        rows=table.rows,
        columns=columns,
        index=index,
        duplicates=duplicates.count,
        duplicates_exact=duplicates.exact,
        same=same,
        patterns=_patterns(table),
        pearson=pearson,
        spearman=spearman(batch, ranked if batch.rows else ()),
        cramers_v=cramers_v(batch, levels),
        target=found,
        findings=findings(
            columns,
            rows=table.rows,
            duplicates=duplicates.count,
            duplicates_exact=duplicates.exact,
            same=same,
            pearson=pearson,
            target=found,
            target_name=target or "",
        ),
        notes=tuple(table.scan.notes),
        told=tuple(_limitations(table, columns)),
        target_name=target or "",
        sample=table.sample,
        columns_to_plot=tuple(columns_to_plot or ()),
    )


def _target(table: TableSummary, columns: Sequence[ColumnSummary], name: str | None) -> Target | None:
    if name is None:
        return None
    column = next(summary for summary in columns if summary.name == name)
    if column.kind is Kind.OTHER:
        raise DataError(f"the target {name!r} holds {column.type}: a target is numbers, text, booleans or times")
    if not column.count:
        return None
    from clary.data.profiling.target_model import target_model

    return target_model(table.sample.batch, column, columns)


def _same(table: TableSummary, columns: Sequence[ColumnSummary]) -> tuple[tuple[str, ...], ...]:
    """Groups of columns that are equal in every row; columns without a value are not compared."""
    groups: dict[int, list[str]] = {}
    for column in columns:
        if column.name in table.fingerprints and column.count and column.distinct > 1:
            groups.setdefault(table.fingerprints[column.name], []).append(column.name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _patterns(table: TableSummary) -> tuple[Pattern, ...]:
    names = [field.name for field in table.fields]
    counts = sorted(table.patterns.counts.items(), key=lambda item: (-item[1], item[0]))[:_PATTERNS]
    return tuple(Pattern(tuple(names[place] for place in table.patterns.columns[key]), rows) for key, rows in counts)


def _limitations(table: TableSummary, columns: Sequence[ColumnSummary]) -> list[str]:
    """Which figures are not of all rows, or not exact."""
    lines = []
    if not table.sample.complete:
        lines.append(
            f"Spearman's correlations, Cramér's V, histograms, words and what texts read as are of a sample of "
            f"{table.sample.batch.rows:,} rows."
        )
    if about := [column.name for column in columns if not column.distinct_exact]:
        lines.append(f"How many different values there are is an estimate, 0.4 % off, of {some(about)}.")
    if sampled := [column.name for column in columns if column.top and not column.top_exact]:
        lines.append(
            f"The most frequent values of {some(sampled)} are of the sample: there are too many different ones."
        )
    if not table.duplicates.exact:
        lines.append(f"Duplicate rows were looked for among {table.duplicates.share:.0%} of the different rows.")
    if table.patterns.others:
        lines.append(f"{table.patterns.others:,} rows have patterns of missing values that are too rare to be listed.")
    if len(table.paired) > MOST_PAIRED:
        lines.append(f"Pearson's correlations were left out: {len(table.paired)} columns are too many.")
    if len(table.paired) > MOST_COLUMNS:
        lines.append(f"Spearman's correlations are of the first {MOST_COLUMNS} columns of numbers.")
    if len(columns) and (ignored := [column.name for column in columns if column.kind is Kind.OTHER]):
        lines.append(
            f"Of {some(ignored)} only missing and different values were counted: they hold lists, bytes or the like."
        )
    return lines
