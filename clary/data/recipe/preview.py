"""What each step of a recipe does, seen on a few rows."""

from __future__ import annotations

import html
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clary.data.batch import (
    Batch,
    Block,
    Column,
    kind_of,
    kind_of_arrow,
    missing,
    numbers,
    some,
    strings,
)
from clary.data.errors import DataError, StepError
from clary.data.recipe.fit import fit_steps, label
from clary.data.recipe.schema import as_wanted
from clary.data.recipe.step import FittedStep, Step
from clary.data.scans import FrameScan, Scan
from clary.data.statistics.passes import sampled
from clary.data.statistics.samples import SampleRows

MOST_ROWS = 100_000
_EXAMPLES = 3  # of each column that changed
_SHOWN_COLUMNS = 8


@dataclass(frozen=True)
class Example:
    """One cell before and after a step."""

    row: int
    column: str
    before: str
    after: str


@dataclass(frozen=True)
class StepPreview:
    """What one step did.

    touched       column -> how many of its cells the step changed
    rows_touched  rows that are still there of which some cell changed, or that got a new column
    notes         what the step reports of its fitting
    """

    step: str
    columns_before: tuple[str, ...]
    columns_after: tuple[str, ...]
    rows_before: int
    rows_after: int
    touched: Mapping[str, int]
    rows_touched: int
    examples: tuple[Example, ...]
    notes: tuple[str, ...]

    @property
    def added(self) -> tuple[str, ...]:
        return tuple(name for name in self.columns_after if name not in set(self.columns_before))

    @property
    def removed(self) -> tuple[str, ...]:
        return tuple(name for name in self.columns_before if name not in set(self.columns_after))

    def lines(self) -> Iterator[str]:
        """In words, one sentence a line."""
        columns = f"{len(self.columns_before)} → {len(self.columns_after)} columns"
        yield f"{columns}, {self.rows_before:,} → {self.rows_after:,} rows"
        if self.added:
            yield f"new: {some(self.added, _SHOWN_COLUMNS)}"
        if self.removed:
            yield f"removed: {some(self.removed, _SHOWN_COLUMNS)}"
        changed = {name: count for name, count in self.touched.items() if count}
        if changed:
            counts = [f"{name} ({count:,})" for name, count in changed.items()]
            more = f" … ({len(counts) - _SHOWN_COLUMNS} more)" if len(counts) > _SHOWN_COLUMNS else ""
            cells = ", ".join(counts[:_SHOWN_COLUMNS])
            yield f"{sum(changed.values()):,} cells changed in {self.rows_touched:,} rows: {cells}{more}"
        yield from self.notes


@dataclass(frozen=True)
class Preview:
    """A recipe on some rows of a table: `str()` of it for a terminal; notebooks show it as a table.

    rows        how many rows it was tried on
    table_rows  how many the table has
    """

    name: str
    rows: int
    table_rows: int
    steps: tuple[StepPreview, ...]

    @property
    def _title(self) -> str:
        return f"{self.name or 'Recipe'} on {self.rows:,} of {self.table_rows:,} rows"

    def __str__(self) -> str:
        lines = [self._title]
        for step in self.steps:
            lines.append(f"\nstep {step.step}")
            lines += [f"  {line}" for line in step.lines()]
            lines += [
                f"    row {example.row}, {example.column}: {example.before} → {example.after}"
                for example in step.examples
            ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = f"<caption>{html.escape(self._title)}</caption>"
        titles = "".join(f'<th scope="col">{title}</th>' for title in ("step", "what it did", "for example"))
        return (
            f"<table>{head}<thead><tr>{titles}</tr></thead><tbody>{''.join(map(_html_row, self.steps))}</tbody></table>"
        )


def _html_row(step: StepPreview) -> str:
    lines = "<br>".join(html.escape(line) for line in step.lines())
    examples = "<br>".join(
        f"row {example.row}, {html.escape(example.column)}: {html.escape(example.before)} → "
        f"{html.escape(example.after)}"
        for example in step.examples
    )
    return f'<tr><th scope="row">{html.escape(step.step)}</th><td>{lines}</td><td>{examples}</td></tr>'


def previewed(name: str, steps: Sequence[Step], scan: Scan, rows: int) -> Preview:
    """A recipe's steps fitted on so many rows of the table and applied to them as in training, step by step.

    name    of the recipe
    Raises  DataError for a number of rows that is none, and what fitting raises.
    """
    if type(rows) is not int or not 1 <= rows <= MOST_ROWS:
        raise DataError(f"rows: a number from 1 to {MOST_ROWS:,} is wanted, not {rows!r}")
    sample = _sample(scan, rows)
    table = _table(sample, scan)
    previews = []
    batch = Batch.of_arrow(table)
    for place, fitted in enumerate(fit_steps(steps, FrameScan(table))):
        label_ = label(place, steps[place])
        after = _applied(fitted.training(), batch, label_)
        previews.append(_step(label_, batch, after, tuple(fitted.notes()), sample.row_numbers))
        batch = after
    return Preview(name, min(rows, scan.rows), scan.rows, tuple(previews))


def _sample(scan: Scan, rows: int) -> Batch:
    """So many random rows, the same each time."""
    names = tuple(scan.arrow_schema.names)
    # A few more than wanted, since each row is drawn on its own; those in front are taken.
    batch = sampled(scan, SampleRows(names, scan.rows, rows + 5 * int(rows**0.5) + 5, cells=sys.maxsize))
    return batch.take(np.arange(rows)) if batch.rows > rows else batch


def _table(batch: Batch, scan: Scan) -> pa.Table:
    """The sampled rows, each column of the kind that the whole table's has, whatever is missing among these rows."""
    table = batch.to_arrow()
    for place, field in enumerate(scan.arrow_schema):
        if kind_of_arrow(table.schema.field(field.name).type) is not kind_of_arrow(field.type):
            array = as_wanted(table.column(field.name).combine_chunks(), field.type, field.name)
            table = table.set_column(place, pa.field(field.name, array.type), array)
    return table


def _applied(step: FittedStep, batch: Batch, label_: str) -> Batch:
    try:
        return step.stepper()(batch) if step.in_order else step.transform(batch)
    except StepError as error:
        raise error.within(label_) from None


def _step(
    label_: str, before: Batch, after: Batch, notes: tuple[str, ...], row_numbers: NDArray[np.int64]
) -> StepPreview:
    """row_numbers: of the rows in the table that they were sampled from."""
    places_before, places_after = _aligned(before, after)
    kept_before, kept_after = before.take(places_before), after.take(places_after)
    changed = {name: _differs(kept_before[name], kept_after[name]) for name in after if name in before.columns}
    new = any(name not in before.columns for name in after)
    touched = np.full(len(places_before), new, dtype=bool)
    for cells in changed.values():
        touched |= cells
    return StepPreview(
        step=label_,
        columns_before=before.schema.flat_names,
        columns_after=after.schema.flat_names,
        rows_before=before.rows,
        rows_after=after.rows,
        touched={name: int(cells.sum()) for name, cells in changed.items()},
        rows_touched=int(touched.sum()),
        examples=tuple(_examples(kept_before, kept_after, changed, row_numbers)),
        notes=notes,
    )


def _aligned(before: Batch, after: Batch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places, in each of the two, of the rows that both have, by their number in the table."""
    first = {int(number): place for place, number in enumerate(before.row_numbers)}
    pairs = [(first[int(number)], place) for place, number in enumerate(after.row_numbers) if int(number) in first]
    places = np.array(pairs, np.int64).reshape(-1, 2)
    return places[:, 0], places[:, 1]


def _differs(before: Column, after: Column) -> NDArray[np.bool_]:
    """Where a column before and after a step has different values; two missing values are the same."""
    if before is after:
        return np.zeros(len(before), dtype=bool)
    missing_before, missing_after = missing(before), missing(after)
    if kind_of(before) is not kind_of(after) or isinstance(before, Block):
        equal = np.zeros(len(after), dtype=bool)
    elif isinstance(before, np.ndarray):
        equal = before == after if before.dtype.kind == "M" else numbers(before) == numbers(after)
    else:
        equal = _texts(before) == _texts(after)
    return np.asarray(~equal & ~(missing_before & missing_after))


def _texts(column: Column) -> NDArray[Any]:
    try:
        return np.array(strings(column).to_pylist(), dtype=object)
    except DataError:
        return np.array([repr(value) for value in column.to_pylist()], dtype=object)


def _examples(
    before: Batch, after: Batch, changed: Mapping[str, NDArray[np.bool_]], row_numbers: NDArray[np.int64]
) -> Iterator[Example]:
    for name in [name for name, cells in changed.items() if cells.any()][:_SHOWN_COLUMNS]:
        for place in np.flatnonzero(changed[name])[:_EXAMPLES]:
            row = int(row_numbers[before.row_numbers[place]])
            yield Example(row, name, _cell(before[name], int(place)), _cell(after[name], int(place)))


def _cell(column: Column, place: int) -> str:
    """A value for people: numbers to six digits, "missing" where there is none."""
    if isinstance(column, Block):
        return f"{len(column.names)} numbers"
    cell = column[place : place + 1]
    if missing(cell)[0]:
        return "missing"
    value = cell[0] if isinstance(cell, np.ndarray) else cell[0].as_py()
    if isinstance(value, np.floating | float):
        return f"{value:.6g}"
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
