"""Fit the steps of a recipe in as few passes over the table as their needs allow.

Each step asks for statistics of what the steps before it make. A pass works out all that is asked for at that time, on
all cores; then the steps that have what they need are fitted, and those behind them ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa

from clary.data.batch import Batch, Kind, Schema
from clary.data.errors import StepError
from clary.data.progress import Progress, counted, quiet
from clary.data.recipe.path import Path, path_to
from clary.data.recipe.step import FittedStep, Fitting, Step
from clary.data.scans import BATCH_ROWS, Scan, each_batch, schema_of
from clary.data.statistics.base import SAMPLE_FILES, SAMPLE_ROWS, Again, Sample, SampleRows, Statistic

_AHEAD = 16  # states of a part that may wait for those before it: they are small
_PASS_ROWS = 2 * BATCH_ROWS  # nothing wide is made of them, and there are half as many states to merge


@dataclass
class Asked:
    """One statistic that a step waits for."""

    statistic: Statistic[Any, Any]
    prepared: bool = False
    result: Any = None
    known: bool = False


@dataclass
class Pending:
    """A step that is being fitted: its generator, and what it has asked for.

    held  columns that unfitted steps before it write: what it asks of them has to wait
    """

    place: int
    step: Step
    generator: Fitting
    writes: frozenset[str]
    asked: list[Asked] = field(default_factory=list)
    held: frozenset[str] = frozenset()

    def open(self) -> list[Asked]:
        """What it asked for, does not know yet, and can be found now."""
        return [one for one in self.asked if not one.known and not self.held & set(one.statistic.columns)]


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
        self._progress = progress
        self._fitted: list[FittedStep | None] = [None] * len(steps)
        self._pending: dict[int, Pending] = {}
        self._sample: Sample | None = None
        self._passes = 0

    def run(self) -> tuple[FittedStep, ...]:
        while not all(self._fitted):
            self._start_ready()
            if any(one.open() for one in self._pending.values()):
                self._pass()
            for one in list(self._pending.values()):
                if all(asked.known for asked in one.asked):
                    self._go_on(one, [asked.result for asked in one.asked])
        return tuple(one for one in self._fitted if one is not None)

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
            one = self._pending.get(place) or self._ready(place, schema, certain, unsure)
            if one is None or (step.changes_rows and written):
                return
            one.held = frozenset(written)
            if place not in self._pending:
                self._pending[place] = one
                self._go_on(one, None)
                if (fitted := self._fitted[place]) is not None:
                    schema = fitted.after(schema)
                    continue
            if step.changes_rows:
                return
            written |= one.writes
            if not step.keeps_schema:
                unsure |= one.writes
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

    def _go_on(self, one: Pending, results: Sequence[Any] | None) -> None:
        """Give a step what it asked for; it asks again, or is fitted."""
        try:
            asked = next(one.generator) if results is None else one.generator.send(results)
            while not asked:  # nothing to ask: no reason to let the steps behind it miss this pass
                asked = one.generator.send([])
            one.asked = [Asked(statistic) for statistic in asked]
        except StopIteration as finished:
            self._fitted[one.place] = finished.value
            del self._pending[one.place]
        except StepError as error:
            raise error.within(label(one.place, one.step)) from None

    # ---- one pass ----

    def _pass(self) -> None:
        jobs = [(one, asked) for one in self._pending.values() for asked in one.open()]
        if self._sample is None:  # this pass draws it; what needs it comes with the next one
            jobs = [(one, asked) for one, asked in jobs if not asked.statistic.needs_sample]
        draw = self._sample is None and self._wants_sample()
        self._passes += 1
        if self._sample is not None:
            for one, asked in jobs:
                self._prepare(one, asked)
            jobs = [(one, asked) for one, asked in jobs if not asked.known]
        if self._sample is not None and self._sample.complete:
            self._from_sample(jobs, self._sample)
        elif jobs or draw:
            self._from_table(jobs, draw)

    def _wants_sample(self) -> bool:
        return any(asked.statistic.needs_sample for one in self._pending.values() for asked in one.asked)

    def _prepare(self, one: Pending, asked: Asked) -> None:
        assert self._sample is not None
        if asked.statistic.needs_sample and not asked.prepared:
            batch = self._path(one.place, asked.statistic).runner()(self._sample.batch)
            asked.statistic = asked.statistic.prepared(Sample(batch, self._sample.complete))
            asked.prepared = True
            if asked.statistic.settled:
                self._settle(one, asked, None)

    def _from_sample(self, jobs: Sequence[tuple[Pending, Asked]], sample: Sample) -> None:
        """The sample is the whole table: what is asked is found there."""
        for one, asked in jobs:
            batch = self._path(one.place, asked.statistic).runner()(sample.batch)
            self._settle(one, asked, self._told(one, asked.statistic.of, batch) if batch.rows else None)

    def _from_table(self, jobs: Sequence[tuple[Pending, Asked]], draw: bool) -> None:
        sampling = self._sampling() if draw else None
        distinct: dict[tuple[int, Statistic[Any, Any]], tuple[Pending, Path]] = {}
        for one, asked in jobs:
            key = (one.place, asked.statistic)
            if key not in distinct:
                distinct[key] = (one, self._path(one.place, asked.statistic))
        columns = {name for _, path in distinct.values() for name in path.raw}
        columns |= set(sampling.columns) if sampling else set()
        order = [name for name in self._scan.arrow_schema.names if name in columns]

        def work(batch: Batch) -> tuple[list[Batch] | None, list[Any]]:
            drawn = sampling.of(batch) if sampling else None
            states = []
            for (_, statistic), (one, path) in distinct.items():
                made = runners[path](batch)
                states.append(self._told(one, statistic.of, made) if made.rows else None)
            return drawn, states

        runners = {path: path.runner() for _, path in distinct.values()}
        threads = 1 if any(path.in_order for path in runners) else None

        drawn: list[Batch] | None = None
        merged: list[Any] = [None] * len(distinct)
        for more, states in self._each(order, work, threads):
            if sampling and more is not None:
                drawn = more if drawn is None else sampling.merge(drawn, more)
            for place, (((_, statistic), (one, _)), state) in enumerate(zip(distinct.items(), states, strict=True)):
                if state is not None:
                    merge = partial(statistic.merge, merged[place])
                    merged[place] = state if merged[place] is None else self._told(one, merge, state)
        if sampling:
            self._sample = sampling.result(drawn or [_without_rows(self._scan, sampling.columns)])
        found = dict(zip(distinct, merged, strict=True))
        for one, asked in jobs:
            self._settle(one, asked, found[one.place, asked.statistic])

    def _each(self, columns: Sequence[str], work: Callable[[Batch], Any], threads: int | None) -> Iterator[Any]:
        told = counted(self._progress, f"fitting, pass {self._passes}", self._scan.rows)
        return each_batch(self._scan, columns, work, rows=_PASS_ROWS, ahead=_AHEAD, threads=threads, progress=told)

    def _settle(self, one: Pending, asked: Asked, state: Any) -> None:
        try:
            asked.result = self._told(one, asked.statistic.result, state)
            asked.known = True
        except Again as again:
            asked.statistic = again.statistic

    def _told(self, one: Pending, call: Callable[[Any], Any], given: Any) -> Any:
        try:
            return call(given)
        except StepError as error:
            raise error.within(label(one.place, one.step)) from None

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
        said = repr(self._steps)
        return tuple(name for name in every if repr(name)[1:-1] in said)

    def _path(self, place: int, statistic: Statistic[Any, Any]) -> Path:
        before = [(one, label(at, self._steps[at])) for at, one in enumerate(self._fitted[:place]) if one is not None]
        return path_to([one.training() for one, _ in before], statistic.columns, [name for _, name in before])


def _without_rows(scan: Scan, columns: Sequence[str]) -> Batch:
    """These columns of a table, none of its rows."""
    return Batch.of_arrow(pa.schema([scan.arrow_schema.field(name) for name in columns]).empty_table())
