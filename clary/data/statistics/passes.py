"""Passes over a table: all statistics asked for at one time are computed in one, on all cores.

    Request ─┐                              ┌─> known, with its result
    Request ─┴─> Passes.run ── one pass ────┴─> not known yet: another pass is needed
A statistic that needs a sample waits for the pass after the one that draws it; one of a table that is its own sample is
computed from that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import pyarrow as pa

from clary.data.batch import Batch
from clary.data.errors import StepError
from clary.data.progress import Progress, quiet, row_counter
from clary.data.scans import BATCH_ROWS, Scan, each_batch
from clary.data.statistics.base import AnotherPass, Sample, Statistic
from clary.data.statistics.samples import SampleRows

_QUEUED_STATES = 16  # states of a part that may wait for those before it: they are small


class Source(Protocol):
    """Where the columns that a statistic reads come from."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The table's columns that are read."""
        ...

    @property
    def in_order(self) -> bool:
        """Whether batches must come one after the other."""
        ...

    def runner(self) -> Callable[[Batch], Batch]:
        """From a batch of the table to one with the columns wanted; called from several threads at once."""
        ...


@dataclass(frozen=True, eq=False)
class TableColumns:
    """The table's own columns."""

    inputs: tuple[str, ...]
    in_order: bool = False

    def runner(self) -> Callable[[Batch], Batch]:
        return lambda batch: batch


@dataclass(eq=False)
class Request:
    """A statistic that is asked for, and its result once that is known.

    place   how many steps of a recipe come before: equal statistics of one place are computed once
    label   the step that a StepError names, if any
    """

    statistic: Statistic[Any, Any]
    place: int = 0
    label: str = ""
    known: bool = False
    result: Any = None
    prepared: bool = field(default=False, repr=False)

    def call(self, function: Callable[[Any], Any], given: Any) -> Any:
        try:
            return function(given)
        except StepError as error:
            raise (error.within(self.label) if self.label else error) from None

    def finish(self, state: Any) -> None:
        try:
            self.result = self.call(self.statistic.result, state)
            self.known = True
        except AnotherPass as another:
            self.statistic = another.statistic


class Passes:
    """Passes over one table.

    title     what the progress calls them
    rows      of a batch
    source    where a request's columns come from; by default they are the table's own
    sampling  the sample that is drawn where a statistic needs one
    """

    def __init__(
        self,
        scan: Scan,
        progress: Progress,
        title: str,
        *,
        rows: int,
        source: Callable[[Request], Source] = lambda request: TableColumns(request.statistic.columns),
        sampling: Callable[[], SampleRows] | None = None,
    ) -> None:
        self._scan = scan
        self._progress = progress
        self._title = title
        self._rows = rows
        self._source = source
        self._sampling = sampling
        self._sample: Sample | None = None
        self._count = 0

    def run(self, requests: Sequence[Request], *, draw: bool = False) -> None:
        """One pass, or none where the sample is enough. Raises StepError, or what reading raises.

        draw  draw the sample though none of these needs it: something will
        """
        self._count += 1
        if self._sample is None:
            self._compute_and_draw(requests, draw)
            return
        for request in requests:
            self._prepare(request, self._sample)
        requests = [request for request in requests if not request.known]
        if self._sample.complete:
            self._compute_from_sample(requests, self._sample)
        else:
            self._compute(requests)

    def _compute_and_draw(self, requests: Sequence[Request], draw: bool) -> None:
        """What needs no sample is computed; the sample is drawn where something else needs it."""
        now = [request for request in requests if not request.statistic.needs_sample]
        if self._sampling is None or (len(now) == len(requests) and not draw):
            self._compute(now)
            return
        drawn = Request(self._sampling())
        self._compute([drawn, *now], {drawn: TableColumns(drawn.statistic.columns)})
        self._sample = _with_columns(drawn.result, self._scan, drawn.statistic.columns)

    def _prepare(self, request: Request, sample: Sample) -> None:
        if request.statistic.needs_sample and not request.prepared:
            batch = self._source(request).runner()(sample.batch)
            request.statistic = request.statistic.prepared(Sample(batch, sample.complete))
            request.prepared = True
            if request.statistic.known_from_sample:
                request.finish(None)

    def _compute_from_sample(self, requests: Sequence[Request], sample: Sample) -> None:
        for request in requests:
            batch = self._source(request).runner()(sample.batch)
            state = request.statistic.initial()
            if batch.rows:
                state = self._merged(request, state, request.call(request.statistic.compute, batch))
            request.finish(state)

    def _compute(self, requests: Sequence[Request], sources: dict[Request, Source] | None = None) -> None:
        distinct: dict[Any, Request] = {}
        for request in requests:
            distinct.setdefault((request.place, request.statistic), request)
        if not distinct:
            return
        chosen = list(distinct.values())
        states = [request.statistic.initial() for request in chosen]
        sources = sources or {}
        for parts in self._each_batch(chosen, [sources.get(request) or self._source(request) for request in chosen]):
            for place, (request, part) in enumerate(zip(chosen, parts, strict=True)):
                if part is not None:
                    states[place] = self._merged(request, states[place], part)
        equal = [distinct[request.place, request.statistic] for request in requests]
        for request, state in zip(chosen, states, strict=True):
            request.finish(state)
        for request, first in zip(requests, equal, strict=True):
            request.statistic, request.known, request.result = first.statistic, first.known, first.result

    def _each_batch(self, requests: Sequence[Request], sources: Sequence[Source]) -> Iterator[list[Any]]:
        """Of each batch the states of all requests; None where the steps before left no rows."""
        names = {name for source in sources for name in source.inputs}
        runners = [source.runner() for source in sources]

        def work(batch: Batch) -> list[Any]:
            states = []
            for request, run in zip(requests, runners, strict=True):
                made = run(batch)
                states.append(request.call(request.statistic.compute, made) if made.rows else None)
            return states

        return each_batch(
            self._scan,
            [name for name in self._scan.arrow_schema.names if name in names],
            work,
            rows=self._rows,
            max_queued=_QUEUED_STATES,
            threads=1 if any(source.in_order for source in sources) else None,
            progress=row_counter(self._progress, f"{self._title}, pass {self._count}", self._scan.rows),
        )

    def _merged(self, request: Request, first: Any, second: Any) -> Any:
        return second if first is None else request.call(partial(request.statistic.merge, first), second)


def computed(scan: Scan, statistic: Statistic[Any, Any], progress: Progress = quiet, title: str = "reading") -> Any:
    """The result of one statistic of a table's own columns that needs no sample."""
    request = Request(statistic)
    passes = Passes(scan, progress, title, rows=BATCH_ROWS)
    while not request.known:
        passes.run([request])
    return request.result


def sampled(scan: Scan, sampling: SampleRows) -> Batch:
    """The rows that it draws."""
    return _with_columns(computed(scan, sampling), scan, sampling.names).batch


def _with_columns(sample: Sample, scan: Scan, names: Sequence[str]) -> Sample:
    """The sample; of a table without rows, these columns without a value."""
    if sample.batch.columns:
        return sample
    empty = pa.schema([scan.arrow_schema.field(name) for name in names]).empty_table()
    return Sample(Batch.of_arrow(empty), sample.complete)
