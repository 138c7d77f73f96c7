"""Fit the steps of a recipe in as few passes over the table as their needs allow.

Each step asks for statistics of what the steps before it make. A pass computes all that is asked for at that time, on
all cores (statistics/passes.py); then the steps that have what they need are fitted, and those behind them ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from clary.data.batch import Kind, Schema
from clary.data.errors import StepError
from clary.data.progress import Progress, quiet
from clary.data.recipe.plan import Plan, plan_for
from clary.data.recipe.step import FittedStep, Fitting, Step
from clary.data.scans import BATCH_ROWS, Scan, schema_of
from clary.data.statistics.passes import Passes, Request
from clary.data.statistics.samples import SAMPLE_FILES, SAMPLE_ROWS, SampleRows

_PASS_ROWS = 2 * BATCH_ROWS  # nothing wide is made of them, and there are half as many states to merge


@dataclass
class Pending:
    """A step that is being fitted: its generator, and what it has asked for.

    held  columns that unfitted steps before it write: what it asks of them has to wait
    """

    place: int
    step: Step
    generator: Fitting
    writes: frozenset[str]
    requests: list[Request] = field(default_factory=list)
    held: frozenset[str] = frozenset()

    def open(self) -> list[Request]:
        """What it asked for, does not know yet, and can be computed now."""
        return [
            request for request in self.requests if not request.known and not self.held & set(request.statistic.columns)
        ]


def label(place: int, step: Step) -> str:
    """What messages call a step."""
    return f"{place + 1} ({step.name})"


def fit_steps(steps: Sequence[Step], scan: Scan, progress: Progress = quiet) -> tuple[FittedStep, ...]:
    """Every step fitted, in their order. Raises StepError, naming the step, or what reading raises."""
    return Fit(steps, scan, progress).run()


class Fit:
    """One recipe being fitted to one table."""

    def __init__(self, steps: Sequence[Step], scan: Scan, progress: Progress) -> None:
        self._steps = steps
        self._scan = scan
        self._fitted: list[FittedStep | None] = [None] * len(steps)
        self._pending: dict[int, Pending] = {}
        self._passes = Passes(scan, progress, "fitting", rows=_PASS_ROWS, source=self._plan, sampling=self._sampling)

    def run(self) -> tuple[FittedStep, ...]:
        while not all(self._fitted):
            self._start_ready()
            if requests := [request for pending in self._pending.values() for request in pending.open()]:
                self._passes.run(requests, draw=self._will_need_sample())
            for pending in list(self._pending.values()):
                if all(request.known for request in pending.requests):
                    self._go_on(pending, [request.result for request in pending.requests])
        return tuple(step for step in self._fitted if step is not None)

    def _will_need_sample(self) -> bool:
        requests = [request for pending in self._pending.values() for request in pending.requests]
        return any(request.statistic.needs_sample for request in requests)

    # ---- which steps can begin ----

    def _start_ready(self) -> None:
        """Begin every step whose columns are known: their names and kinds, if not yet their values."""
        schema = schema_of(self._scan)
        written: set[str] = set()  # by unfitted steps so far
        unsure: set[str] = set()  # by those of them that may make other columns of them
        certain = True  # whether `schema` is all there is at this place
        for place, step in enumerate(self._steps):
            if (fitted := self._fitted[place]) is not None:
                schema = fitted.after(schema)
                continue
            pending = self._pending.get(place) or self._ready(place, schema, certain, unsure)
            if pending is None or (step.changes_rows and written):
                return
            pending.held = frozenset(written)
            if place not in self._pending:
                self._pending[place] = pending
                self._go_on(pending, None)
                if (fitted := self._fitted[place]) is not None:
                    schema = fitted.after(schema)
                    continue
            if step.changes_rows:
                return
            written |= pending.writes
            if not step.keeps_schema:
                unsure |= pending.writes
                certain = False

    def _ready(self, place: int, schema: Schema, certain: bool, unsure: set[str]) -> Pending | None:
        """The step about to be fitted, if it is known which columns it is about."""
        step = self._steps[place]
        if not certain and not (step.names_columns and all(name in schema for name in step.columns)):
            return None
        try:
            reads, writes = step.reads(schema), step.writes(schema)
        except StepError as error:
            if not certain:
                return None
            raise error.within(label(place, step)) from None
        if unsure & {*reads, *writes}:
            return None
        return Pending(place, step, step.fitting(schema), frozenset(writes))

    def _go_on(self, pending: Pending, results: Sequence[Any] | None) -> None:
        """Give a step what it asked for; it asks again, or is fitted."""
        name = label(pending.place, pending.step)
        try:
            asked = next(pending.generator) if results is None else pending.generator.send(results)
            while not asked:  # nothing to ask: no reason to let the steps behind it miss this pass
                asked = pending.generator.send([])
            pending.requests = [Request(statistic, pending.place, name) for statistic in asked]
        except StopIteration as finished:
            self._fitted[pending.place] = finished.value
            del self._pending[pending.place]
        except StepError as error:
            raise error.within(name) from None

    # ---- from the table's columns to those a statistic reads ----

    def _sampling(self) -> SampleRows:
        names = self._raw_columns()
        files = any(schema_of(self._scan)[name].kind is Kind.OTHER for name in names)
        return SampleRows(names, self._scan.rows, SAMPLE_FILES if files else SAMPLE_ROWS)

    def _raw_columns(self) -> tuple[str, ...]:
        """What a sample must have: all that any step might read, by its columns or in any parameter."""
        every = tuple(self._scan.arrow_schema.names)
        if not all(step.names_columns for step in self._steps):
            return every
        parameters = repr(self._steps)
        return tuple(name for name in every if repr(name)[1:-1] in parameters)

    def _plan(self, request: Request) -> Plan:
        before = [
            (fitted, label(place, self._steps[place]))
            for place, fitted in enumerate(self._fitted[: request.place])
            if fitted is not None
        ]
        steps, labels = [fitted.training() for fitted, _ in before], [name for _, name in before]
        return plan_for(request.statistic.columns, steps, labels)
