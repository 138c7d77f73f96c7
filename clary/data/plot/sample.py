"""The rows that a plot shows: all of a small table, a random sample of a large one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clary.data.batch import Batch, Column, Kind, Schema, coded, kind_of, missing, numbers, some
from clary.data.errors import DataError, StepError
from clary.data.scans import Scan, scan_of, schema_of
from clary.data.statistics.hashes import uniform
from clary.data.statistics.passes import sampled
from clary.data.statistics.samples import SAMPLE_ROWS, SampleRows

if TYPE_CHECKING:
    import pandas as pd

Data = Any  # pd.DataFrame | pa.Table | Scan | Batch; mypy cannot tell a Scan from the others at run time

POINTS = 5_000  # more would hide each other
LARGEST = 1e300  # axes are wider than what they show, and have to stay within float64


@dataclass(frozen=True)
class Sample:
    """batch    the rows that are drawn
    rows     how many the table has
    """

    batch: Batch
    rows: int

    @property
    def note(self) -> str:
        """For the caption of the plot."""
        if self.batch.rows == self.rows:
            return f"{self.rows:,} row{'' if self.rows == 1 else 's'}"
        return f"a random sample of {self.batch.rows:,} of {self.rows:,} rows"


def scan_in(data: Data) -> Scan:
    """A table as a scan. Raises DataError for anything else."""
    return scan_of(data.to_arrow() if isinstance(data, Batch) else data)


def sample_of(data: Data, columns: Sequence[str] = (), most: int = SAMPLE_ROWS) -> Sample:
    """These columns (none: all) of about `most` rows at most. Raises DataError for a column that is not there."""
    import pandas as pd

    rows = None
    if isinstance(data, pd.DataFrame) and len(data) > most:  # only the sample is converted to Arrow
        rows = len(data)
        data = data.iloc[np.flatnonzero(uniform(np.arange(rows)) < most / rows)]
    scan = scan_in(data)
    schema = schema_of(scan)
    for name in columns:
        need_column(schema, name)
    names = tuple(dict.fromkeys(columns)) or schema.names
    sampling = SampleRows(names, scan.rows, most if rows is None else scan.rows)
    return Sample(sampled(scan, sampling), scan.rows if rows is None else rows)


def need_column(schema: Schema, name: object) -> str:
    """The name again. Raises DataError where there is no such column."""
    if not isinstance(name, str):
        raise DataError(f"a column's name is text, not {name!r}")
    if name not in schema:
        raise DataError(f"there is no column {name!r}; there are: {some(schema.names)}")
    return name


@dataclass(frozen=True)
class Numbers:
    """The values of a column that can be drawn.

    values    float64, finite; of a time, days since 1970
    present   (rows,), which rows they stand in
    times     whether they are times
    note      what was left out, "" where nothing was
    """

    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    times: bool
    note: str


def numbers_of(batch: Batch, name: str) -> Numbers:
    """Raises DataError where the column holds no numbers, or none that can be drawn."""
    column = batch[name]
    try:
        values = numbers(column)
    except StepError as error:
        raise DataError(f"column {name!r} cannot be drawn as numbers: {error.reason}") from None
    times = kind_of(column) is Kind.TIME
    if times:
        values = values / 86_400
    is_missing = np.isnan(values)
    present = ~is_missing & (np.abs(values, where=~is_missing, out=np.zeros_like(values)) <= LARGEST)
    notes = []
    if is_missing.any():
        notes.append(f"{is_missing.sum():,} missing")
    if wide := int((~is_missing & ~present).sum()):
        notes.append(f"{wide:,} infinite or beyond ±{LARGEST:g}")
    if not present.any():
        raise DataError(f"column {name!r} has nothing to draw: {', '.join(notes) or 'no rows'}")
    note = f"left out of {name}: {', '.join(notes)}" if notes else ""
    return Numbers(values[present], present, times, note)


@dataclass(frozen=True)
class Groups:
    """Each row's group, the most frequent first.

    named   labels that are values; those behind them stand for other values, and for missing values
    counts  rows of each label
    """

    codes: NDArray[np.int64]
    labels: tuple[str, ...]
    named: int

    @property
    def counts(self) -> NDArray[np.int64]:
        return np.bincount(self.codes, minlength=len(self.labels))


def groups_of(column: Column, name: str, most: int) -> Groups:
    """A group for each of the `most` most frequent values, a group of all others, and a group of missing values.

    Raises DataError where the column is not a category.
    """
    try:
        codes, levels = coded(column)
    except StepError as error:
        raise DataError(f"column {name!r} cannot be drawn as groups: {error.reason}") from None
    counts = np.bincount(codes[codes >= 0], minlength=len(levels))
    order = [int(place) for place in np.argsort(-counts, kind="stable") if counts[place]]
    labels = [_text(levels[place]) for place in order[:most]]
    renamed = np.full(len(levels) + 1, most, dtype=np.int64)
    renamed[order[:most]] = np.arange(len(labels))
    group_codes = renamed[codes]
    others = len(order) - len(labels)
    if others:
        labels.append(f"{others:,} others")
    is_missing = missing(column)
    if is_missing.any():
        group_codes[is_missing] = len(labels)
        labels.append("missing")
    return Groups(group_codes, tuple(labels), len(order) - others)


def _text(value: pa.Scalar) -> str:
    return str(value.as_py()) or "(empty)"


def number_columns(batch: Batch, columns: Sequence[str], most: int, purpose: str) -> tuple[str, ...]:
    """These columns, or by default the first of numbers. Raises DataError where there are none, or too many."""
    if len(columns) > most:
        raise DataError(f"{len(columns)} columns are too many for {purpose}; give at most {most}")
    found = tuple(dict.fromkeys(columns)) or batch.schema.of_kind(Kind.NUMBER, Kind.BOOLEAN)[:most]
    if not found:
        raise DataError(f"there is no column of numbers for {purpose}; there are: {some(batch.columns)}")
    return found


def frame_of(data: Any) -> pd.DataFrame | None:
    """`data` where it is a DataFrame."""
    import pandas as pd

    return data if isinstance(data, pd.DataFrame) else None
