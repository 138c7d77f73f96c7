"""From the columns of a table to columns after some fitted steps: which steps are needed for them, and their order."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from clary.data.batch import Batch, Schema, concatenated
from clary.data.errors import StepError
from clary.data.progress import Progress, quiet, row_counter
from clary.data.recipe.step import FittedStep
from clary.data.scans import BATCH_ROWS, Scan, each_batch, schema_of


@dataclass(frozen=True, eq=False)
class Plan:
    """The part of some fitted steps that is needed for some of the columns that they make.

    inputs   the columns of the table that the first steps read
    steps    in order, each reduced to the columns needed
    labels   of the steps, for messages
    outputs  the columns wanted
    """

    inputs: tuple[str, ...]
    steps: tuple[FittedStep, ...]
    labels: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def in_order(self) -> bool:
        """Whether a row's result depends on rows before it."""
        return any(step.in_order for step in self.steps)

    def functions(self) -> tuple[Callable[[Batch], Batch], ...]:
        """Each step as a function of a batch, whose StepErrors name the step.

        Behind a step that splits the rows, those that drop or repeat rows get the training rows alone.
        """
        functions: list[Callable[[Batch], Batch]] = []
        split: FittedStep | None = None
        for step, label in zip(self.steps, self.labels, strict=True):
            function = step.stepper() if step.in_order else step.transform
            if step.training_only and split is not None:
                function = _on_training_rows(function, split)
            functions.append(_naming_step(function, label))
            if type(step).training_rows is not FittedStep.training_rows:
                split = step
        return tuple(functions)

    def runner(self) -> Callable[[Batch], Batch]:
        """From a batch of the table to the rows that later steps may learn from, with at least the columns wanted."""
        pairs = list(zip(self.steps, self.functions(), strict=True))

        def run(batch: Batch) -> Batch:
            batch = batch.only(self.inputs)
            for step, function in pairs:
                batch = function(batch)
                if (training := step.training_rows(batch)) is not None:
                    batch = batch.take(training)
            return batch

        return run

    def transform(self, scan: Scan, *, progress: Progress = quiet, rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """The columns wanted of a table, batch by batch, in its order, computed on all cores."""
        functions = self.functions()
        first = next((place for place, step in enumerate(self.steps) if step.in_order), len(self.steps))
        parallel, sequential = functions[:first], functions[first:]
        columns = [name for name in scan.arrow_schema.names if name in self.inputs]

        def work(batch: Batch) -> Batch:
            return functools.reduce(lambda made, function: function(made), parallel, batch)

        counting = row_counter(progress, "transforming", scan.rows)
        batches = each_batch(scan, columns, work, progress=counting, rows=rows)
        if not scan.rows:
            empty = pa.schema([scan.arrow_schema.field(name) for name in columns]).empty_table()
            batches = iter([work(Batch.of_arrow(empty))])
        for batch in batches:
            yield functools.reduce(lambda made, function: function(made), sequential, batch).only(self.outputs)


def _on_training_rows(function: Callable[[Batch], Batch], split: FittedStep) -> Callable[[Batch], Batch]:
    """The function applied to the training rows alone; the others stay as they are, in their places."""

    def run(batch: Batch) -> Batch:
        training = split.training_rows(batch) if all(field.name in batch.columns for field in split.made) else None
        if training is None or training.all():
            return function(batch)
        both = concatenated([function(batch.take(training)), batch.take(~training)])
        return both.take(np.argsort(both.row_numbers, kind="stable"))

    return run


def _naming_step(function: Callable[[Batch], Batch], label: str) -> Callable[[Batch], Batch]:
    def run(batch: Batch) -> Batch:
        try:
            return function(batch)
        except StepError as error:
            raise error.within(label) from None

    return run


def plan_for(columns: Sequence[str], steps: Sequence[FittedStep], labels: Sequence[str]) -> Plan:
    """The plan for these columns: from the last step back to the table. Steps that change the rows are always in it.

    labels  of the steps, for messages
    """
    wanted = set(columns)
    needed: list[tuple[FittedStep, str]] = []
    for step, label in zip(reversed(steps), reversed(labels), strict=True):
        reduced = step.only(wanted)
        if reduced is not None:
            needed.insert(0, (reduced, label))
            wanted = (wanted - {field.name for field in reduced.made}) | set(reduced.inputs)
    return Plan(
        tuple(sorted(wanted)), tuple(step for step, _ in needed), tuple(label for _, label in needed), tuple(columns)
    )


def schema_after(steps: Sequence[FittedStep], schema: Schema) -> Schema:
    """The columns after all steps."""
    return functools.reduce(lambda before, step: step.after(before), steps, schema)


def transformed(
    steps: Sequence[FittedStep],
    scan: Scan,
    *,
    training: bool = False,
    progress: Progress = quiet,
    rows: int = BATCH_ROWS,
) -> Iterator[Batch]:
    """The table after the steps, batch by batch, in its order, computed on all cores.

    training  whether these are the rows the recipe was fitted on: steps that drop or add rows take part only then
    """
    steps = [step.training() if training else step for step in steps if training or not step.training_only]
    names = schema_after(steps, schema_of(scan)).names
    plan = plan_for(names, steps, [str(place + 1) for place in range(len(steps))])
    return plan.transform(scan, progress=progress, rows=rows)


def in_one_batch(batches: Iterator[Batch]) -> Batch:
    """All rows of the batches."""
    return concatenated(list(batches))
