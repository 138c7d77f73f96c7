"""From the columns of a table to those after some fitted steps: along a path of only what is needed of each step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from clary.data.batch import Batch, Schema, concatenated
from clary.data.errors import StepError
from clary.data.progress import Progress, counted, quiet
from clary.data.recipe.step import FittedStep
from clary.data.scans import BATCH_ROWS, Scan, each_batch, schema_of


@dataclass(frozen=True, eq=False)
class Path:
    """The part of some fitted steps that is needed for some columns of what they make.

    raw     the columns of the table that it starts from
    steps   reduced to what is needed
    labels  what messages call each
    """

    raw: tuple[str, ...]
    steps: tuple[FittedStep, ...]
    labels: tuple[str, ...]

    @property
    def in_order(self) -> bool:
        return any(one.in_order for one in self.steps)

    def calls(self) -> tuple[Callable[[Batch], Batch], ...]:
        """Each step as a function of a batch, whose StepErrors tell which step it was.

        Behind a step that divides the rows, those that leave rows out or repeat them see the ones learnt from alone.
        """
        made: list[Callable[[Batch], Batch]] = []
        divider: FittedStep | None = None
        for one, name in zip(self.steps, self.labels, strict=True):
            call = one.stepper() if one.in_order else one.transform
            if one.training_only and divider is not None:
                call = _of_learnt_from(call, divider)
            made.append(_telling(call, name))
            if type(one).training_rows is not FittedStep.training_rows:
                divider = one
        return tuple(made)

    def runner(self) -> Callable[[Batch], Batch]:
        """From a batch of the table to the rows that later steps may learn from, with at least the columns wanted."""
        calls = list(zip(self.steps, self.calls(), strict=True))

        def run(batch: Batch) -> Batch:
            batch = batch.only(self.raw)
            for one, call in calls:
                batch = call(batch)
                if (learn := one.training_rows(batch)) is not None:
                    batch = batch.take(learn)
            return batch

        return run


def _of_learnt_from(call: Callable[[Batch], Batch], divider: FittedStep) -> Callable[[Batch], Batch]:
    """The call on the rows that the divider says are learnt from; the others stay as they are, where they are."""

    def run(batch: Batch) -> Batch:
        learn = divider.training_rows(batch) if all(one.name in batch.columns for one in divider.made) else None
        if learn is None or learn.all():
            return call(batch)
        both = concatenated([call(batch.take(learn)), batch.take(~learn)])
        return both.take(np.argsort(both.row_numbers, kind="stable"))

    return run


def _telling(call: Callable[[Batch], Batch], label: str) -> Callable[[Batch], Batch]:
    def told(batch: Batch) -> Batch:
        try:
            return call(batch)
        except StepError as error:
            raise error.within(label) from None

    return told


def path_to(steps: Sequence[FittedStep], columns: Sequence[str], labels: Sequence[str]) -> Path:
    """Walk back from the columns to the table's own. Steps that change the rows are always on the path.

    labels  what messages call each step
    """
    wanted = set(columns)
    needed: list[tuple[FittedStep, str]] = []
    for one, name in zip(reversed(steps), reversed(labels), strict=True):
        reduced = one.only(wanted)
        if reduced is not None:
            needed.insert(0, (reduced, name))
            wanted = (wanted - {made.name for made in reduced.made}) | set(reduced.inputs)
    return Path(tuple(sorted(wanted)), tuple(one for one, _ in needed), tuple(name for _, name in needed))


def after_all(steps: Sequence[FittedStep], schema: Schema) -> Schema:
    """The columns once all steps are done."""
    return functools.reduce(lambda before, one: one.after(before), steps, schema)


def transformed(
    steps: Sequence[FittedStep],
    scan: Scan,
    *,
    training: bool = False,
    progress: Progress = quiet,
    rows: int = BATCH_ROWS,
) -> Iterator[Batch]:
    """The table after the steps, batch by batch, in its order, worked out on all cores.

    training  whether these are the rows the recipe was fitted on: steps that drop or add rows take part only then
    """
    steps = [one.training() if training else one for one in steps if training or not one.training_only]
    names = after_all(steps, schema_of(scan)).names
    path = path_to(steps, names, [str(place + 1) for place in range(len(steps))])
    return along(path, names, scan, progress=progress, rows=rows)


def along(
    path: Path,
    columns: Sequence[str],
    scan: Scan,
    *,
    progress: Progress = quiet,
    rows: int = BATCH_ROWS,
) -> Iterator[Batch]:
    """These columns of the table after the steps on the path to them, batch by batch, in its order, on all cores."""
    calls = path.calls()
    first = next((place for place, one in enumerate(path.steps) if one.in_order), len(path.steps))
    at_once, then = calls[:first], calls[first:]
    order = [name for name in scan.arrow_schema.names if name in path.raw]
    told = counted(progress, "transforming", scan.rows)

    def work(batch: Batch) -> Batch:
        return functools.reduce(lambda made, call: call(made), at_once, batch)

    batches = each_batch(scan, order, work, progress=told, rows=rows)
    if not scan.rows:
        empty = pa.schema([scan.arrow_schema.field(name) for name in order]).empty_table()
        batches = iter([work(Batch.of_arrow(empty))])
    for made in batches:
        yield functools.reduce(lambda batch, call: call(batch), then, made).only(columns)


def whole(batches: Iterator[Batch]) -> Batch:
    """All rows in one batch."""
    return concatenated(list(batches))
