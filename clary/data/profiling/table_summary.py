"""All that is computed of a table for its profile: a list of statistics, in as few passes as they need; mostly one.

pilot sample ─> where quantiles and means lie, what is too much to be counted ─> the statistics ─> passes
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from clary.data.batch import Batch, Field, Kind
from clary.data.profiling.limits import QUANTILES, Limits
from clary.data.progress import Progress
from clary.data.scans import BATCH_ROWS, Scan, schema_of
from clary.data.statistics.base import Sample, Statistic
from clary.data.statistics.column_values import NUMERIC, ColumnValues, NumberValues
from clary.data.statistics.duplicates import DuplicateRows, Duplicates, HashStore
from clary.data.statistics.equal_columns import Fingerprints, candidates, digest
from clary.data.statistics.hashes import Hashes, hashes_of
from clary.data.statistics.missing_patterns import MissingPatterns, Patterns
from clary.data.statistics.number_summaries import NumberSummaries, NumberSummary
from clary.data.statistics.pair_sums import CentredSums, Centring, PairStatistics, centring, together
from clary.data.statistics.passes import Passes, Request
from clary.data.statistics.pilot import pilot_sample
from clary.data.statistics.ranks import Window, first_windows
from clary.data.statistics.samples import SampleRows
from clary.data.statistics.text_summaries import TextSummaries, TextSummary
from clary.data.statistics.value_counts import ValueCounts

MOST_PAIRED = 300  # columns whose correlations are computed: the work grows with their square
SAMPLE_ROWS = 50_000
Summary = NumberSummary | TextSummary


@dataclass(frozen=True)
class TableSummary:
    """fields      the table's columns
    columns     what was found of each
    sums        of the number and boolean columns: all together, or, of too many, one by one
    fingerprints  the same for columns that hold the same in every row; columns that have no equal are left out
    sample      random rows
    """

    scan: Scan
    fields: tuple[Field, ...]
    columns: dict[str, Summary]
    sums: tuple[CentredSums, ...]
    duplicates: DuplicateRows
    patterns: Patterns
    fingerprints: dict[str, int]
    sample: Sample

    @property
    def rows(self) -> int:
        return self.scan.rows

    @property
    def paired(self) -> tuple[str, ...]:
        """Correlated are numbers and booleans, as pandas does."""
        return _paired(self.fields)


def summarize(scan: Scan, limits: Limits, progress: Progress) -> TableSummary:
    """Raises DataError, or what reading raises."""
    with ThreadPoolExecutor(1) as pool:  # the memory that the pilot leaves is taken over by the threads of the pass
        statistics = pool.submit(_statistics, scan, limits).result()
    requests = [Request(statistic) for statistic in statistics.all()]
    passes = Passes(scan, progress, "profiling", rows=BATCH_ROWS)
    # Batches are on all cores already: a product of matrices that took more would only wait for them.
    with threadpool_limits(1, "blas"):
        while remaining := [request for request in requests if not request.known]:
            passes.run(remaining)
    *columns, patterns, fingerprints, sample, duplicates = (request.result for request in requests)
    sums = columns[len(statistics.columns) :]
    return TableSummary(
        scan,
        statistics.fields,
        dict(zip((field.name for field in statistics.fields), columns, strict=False)),
        tuple(sums),
        duplicates,
        patterns,
        fingerprints,
        sample,
    )


@dataclass(frozen=True)
class Statistics:
    """The statistics of a profile. Duplicates come last: what they need is large, and what is before them is let go."""

    fields: tuple[Field, ...]
    columns: tuple[NumberSummaries | TextSummaries, ...]
    sums: tuple[PairStatistics, ...]
    patterns: MissingPatterns
    fingerprints: Fingerprints
    sample: SampleRows
    duplicates: Duplicates

    def all(self) -> Sequence[Statistic[Any, Any]]:
        return (*self.columns, *self.sums, self.patterns, self.fingerprints, self.sample, self.duplicates)


def _paired(fields: tuple[Field, ...]) -> tuple[str, ...]:
    return tuple(field.name for field in fields if field.kind in (Kind.NUMBER, Kind.BOOLEAN))


def _statistics(scan: Scan, limits: Limits) -> Statistics:
    """By a pilot sample: where the quantiles and the centres lie, and what is too much to count."""
    fields = schema_of(scan).fields
    read = tuple(field.name for field in fields if field.kind in (*NUMERIC, Kind.TEXT))
    numeric = sum(field.kind in NUMERIC for field in fields)
    values = ColumnValues(fields)
    pilot = (pilot_sample(scan, read) if read else None) or Batch({}, 0)
    complete = pilot.rows == scan.rows
    seen = dict(pilot.columns)
    centres: dict[str, Centring] = {}
    digests: dict[str, str] = {}
    columns: list[NumberSummaries | TextSummaries] = []
    for field in fields:
        name = field.name
        column = seen.pop(name, None)  # let go one by one
        windows: tuple[Window, ...] = ()
        hashes: Hashes | None = None
        if field.kind in NUMERIC:
            floats = np.empty(0)
            if column is not None:
                numbers = NumberValues(column, field.kind)
                hashes, floats = numbers.hashes, numbers.floats
                ordered = np.sort(floats)
                ordered = ordered[: np.count_nonzero(~np.isnan(ordered))]
                windows = first_windows(ordered, QUANTILES, complete)
            centres[name] = centring([floats])
            counts = ValueCounts(limits.number_levels, limits.distinct)
            most = limits.kept // max(1, numeric)
            columns.append(NumberSummaries(name, field.kind, values, counts, QUANTILES, windows, most))
        else:
            hashes = hashes_of(column) if column is not None else None
            counts = ValueCounts(limits.text_levels, limits.distinct)
            columns.append(TextSummaries(name, field.kind, values, counts))
        if hashes is not None:
            digests[name] = digest(hashes)
            if not complete:
                counts.expect(hashes)  # so that no core begins with counting what will be too much to count
    del pilot
    pa.default_memory_pool().release_unused()  # here: allocators keep what is freed by thread
    names = tuple(field.name for field in fields)
    paired = _paired(fields)
    groups = [paired] if len(paired) <= MOST_PAIRED else [(name,) for name in paired]
    return Statistics(
        fields,
        tuple(columns),
        tuple(PairStatistics(group, values, together([centres[name] for name in group])) for group in groups),
        MissingPatterns(names, values, Patterns(len(names), limits.patterns)),
        Fingerprints(candidates(digests, fields), values),
        SampleRows(names, scan.rows, SAMPLE_ROWS, compact=True),
        Duplicates(names, values, HashStore(scan.rows, limits.row_hashes)),
    )
