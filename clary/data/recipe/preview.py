"""What each step of a recipe does, seen on a few rows."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clary.data.batch import (
    Batch,
    Block,
    Column,
    concatenated,
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
from clary.data.recipe.step import FittedStep
from clary.data.scans import FrameScan, Scan, each_batch
from clary.data.statistics.samples import SampleRows

if TYPE_CHECKING:
    from clary.data.recipe.recipe import Recipe

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

    touched   column -> how many of its cells the step changed
    rows_touched  rows that are still there of which some cell changed, or that got a new column
    """

    step: str
    columns_before: tuple[str, ...]
    columns_after: tuple[str, ...]
    rows_before: int
    rows_after: int
    touched: Mapping[str, int]
    rows_touched: int
    examples: tuple[Example, ...]
    told: tuple[str, ...]

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
            yield f"gone: {some(self.removed, _SHOWN_COLUMNS)}"
        changed = {name: count for name, count in self.touched.items() if count}
        if changed:
            each = [f"{name} ({count:,})" for name, count in changed.items()]
            more = f" … ({len(each) - _SHOWN_COLUMNS} more)" if len(each) > _SHOWN_COLUMNS else ""
            cells = ", ".join(each[:_SHOWN_COLUMNS])
            yield f"{sum(changed.values()):,} cells changed in {self.rows_touched:,} rows: {cells}{more}"
        yield from self.told


@dataclass(frozen=True)
class Preview:
    """A recipe on some rows of a table: `str()` of it for a terminal; notebooks show it as a table.

    rows  how many rows it was tried on; of how many
    """

    name: str
    rows: int
    of: int
    steps: tuple[StepPreview, ...]

    def __str__(self) -> str:
        made = [f"{self.name or 'Recipe'} on {self.rows:,} of {self.of:,} rows"]
        for one in self.steps:
            made.append(f"\nstep {one.step}")
            made += [f"  {line}" for line in one.lines()]
            made += [f"    row {each.row}, {each.column}: {each.before} → {each.after}" for each in one.examples]
        return "\n".join(made)

    def _repr_html_(self) -> str:
        head = f"<caption>{html.escape(self.name or 'Recipe')} on {self.rows:,} of {self.of:,} rows</caption>"
        titles = "".join(f'<th scope="col">{title}</th>' for title in ("step", "what it did", "for example"))
        return (
            f"<table>{head}<thead><tr>{titles}</tr></thead><tbody>{''.join(map(_html_row, self.steps))}</tbody></table>"
        )


def _html_row(one: StepPreview) -> str:
    said = "<br>".join(html.escape(line) for line in one.lines())
    cells = "<br>".join(
        f"row {each.row}, {html.escape(each.column)}: {html.escape(each.before)} → {html.escape(each.after)}"
        for each in one.examples
    )
    return f'<tr><th scope="row">{html.escape(one.step)}</th><td>{said}</td><td>{cells}</td></tr>'


def previewed(recipe: Recipe, scan: Scan, rows: int) -> Preview:
    """The recipe fitted on so many rows of the table and applied to them as in training, step by step.

    Raises DataError for a number of rows that is none, and what fitting raises.
    """
    if type(rows) is not int or not 1 <= rows <= MOST_ROWS:
        raise DataError(f"rows: a number from 1 to {MOST_ROWS:,} is wanted, not {rows!r}")
    drawn = _drawn(scan, rows)
    table = _table(drawn, scan)
    shown = []
    batch = Batch.of_arrow(table)
    for place, one in enumerate(fit_steps(recipe.steps, FrameScan(table))):
        name = label(place, recipe.steps[place])
        after = _applied(one.training(), batch, name)
        shown.append(_step(name, batch, after, tuple(one.told()), drawn.row_numbers))
        batch = after
    return Preview(recipe.name, min(rows, scan.rows), scan.rows, tuple(shown))


def _drawn(scan: Scan, rows: int) -> Batch:
    """So many rows by chance, always the same."""
    names = tuple(scan.arrow_schema.names)
    # A few more than wanted, since chance decides of each row alone; those in front are taken.
    drawing = SampleRows(names, scan.rows, rows + 5 * int(rows**0.5) + 5)
    share = drawing.wanted / max(1, scan.rows)
    found = [one for each in each_batch(scan, names, _sampler(drawing, share)) for one in each]
    batch = concatenated(found) if found else Batch.of_arrow(scan.arrow_schema.empty_table())
    return batch.take(np.arange(rows)) if batch.rows > rows else batch


def _sampler(drawing: SampleRows, share: float) -> Any:
    from clary.data.statistics.hashes import uniform

    def of(batch: Batch) -> list[Batch]:
        return [batch if share >= 1 else batch.take(uniform(batch.row_numbers, drawing.seed) < share)]

    return of


def _table(batch: Batch, scan: Scan) -> pa.Table:
    """The rows drawn, each column of the kind that the whole table's has, whatever is missing among these rows."""
    table = batch.to_arrow()
    for place, one in enumerate(scan.arrow_schema):
        if kind_of_arrow(table.schema.field(one.name).type) is not kind_of_arrow(one.type):
            array = as_wanted(table.column(one.name).combine_chunks(), one.type, one.name)
            table = table.set_column(place, pa.field(one.name, array.type), array)
    return table


def _applied(one: FittedStep, batch: Batch, name: str) -> Batch:
    try:
        return one.stepper()(batch) if one.in_order else one.transform(batch)
    except StepError as error:
        raise error.within(name) from None


def _step(name: str, before: Batch, after: Batch, told: tuple[str, ...], numbers: NDArray[np.int64]) -> StepPreview:
    """numbers: of the rows in the table that they were drawn from."""
    there, places = _aligned(before, after)
    kept_before, kept_after = before.take(there), after.take(places)
    changed = {each: _differs(kept_before[each], kept_after[each]) for each in after if each in before.columns}
    new = any(each not in before.columns for each in after)
    touched = np.full(len(there), new, dtype=bool)
    for one in changed.values():
        touched |= one
    return StepPreview(
        step=name,
        columns_before=before.schema.flat_names,
        columns_after=after.schema.flat_names,
        rows_before=before.rows,
        rows_after=after.rows,
        touched={each: int(one.sum()) for each, one in changed.items()},
        rows_touched=int(touched.sum()),
        examples=tuple(_examples(kept_before, kept_after, changed, numbers)),
        told=told,
    )


def _aligned(before: Batch, after: Batch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places in both of the rows that both have, by their number in the table."""
    first = {int(number): place for place, number in enumerate(before.row_numbers)}
    pairs = [(first[int(number)], place) for place, number in enumerate(after.row_numbers) if int(number) in first]
    made = np.array(pairs, np.int64).reshape(-1, 2)
    return made[:, 0], made[:, 1]


def _differs(before: Column, after: Column) -> NDArray[np.bool_]:
    """Where two forms of a column have another value; where both miss one they are the same."""
    if before is after:
        return np.zeros(len(before), dtype=bool)
    gone, still = missing(before), missing(after)
    if kind_of(before) is not kind_of(after) or isinstance(before, Block):
        equal = np.zeros(len(after), dtype=bool)
    elif isinstance(before, np.ndarray):
        equal = before == after if before.dtype.kind == "M" else numbers(before) == numbers(after)
    else:
        equal = _texts(before) == _texts(after)
    return np.asarray(~equal & ~(gone & still))


def _texts(column: Column) -> NDArray[Any]:
    try:
        return np.array(strings(column).to_pylist(), dtype=object)
    except DataError:
        return np.array([repr(one) for one in column.to_pylist()], dtype=object)


def _examples(
    before: Batch, after: Batch, changed: Mapping[str, NDArray[np.bool_]], numbers: NDArray[np.int64]
) -> Iterator[Example]:
    shown = [name for name, where in changed.items() if where.any()][:_SHOWN_COLUMNS]
    for name in shown:
        for place in np.flatnonzero(changed[name])[:_EXAMPLES]:
            row = int(numbers[before.row_numbers[place]])
            yield Example(row, name, _cell(before[name], int(place)), _cell(after[name], int(place)))


def _cell(column: Column, place: int) -> str:
    """A value for people: numbers to six digits, "missing" where there is none."""
    one = column.matrix[place] if isinstance(column, Block) else column[place : place + 1]
    if isinstance(column, Block):
        return f"{len(column.names)} numbers"
    if missing(one)[0]:
        return "missing"
    value = one[0] if isinstance(one, np.ndarray) else one[0].as_py()
    if isinstance(value, np.floating | float):
        return f"{value:.6g}"
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
