"""Lengths and distinct values of a column of text, or of anything that is no number: mostly codes of a dictionary."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.arrow import to_arrow
from clary.data.batch import Batch, Kind
from clary.data.statistics.base import ColumnStatistic
from clary.data.statistics.column_values import ColumnValues, Dictionary, lengths_of
from clary.data.statistics.hashes import Hashes
from clary.data.statistics.value_counts import ValueCounts

_SHORT = 1 << 16  # characters; lengths up to it are counted in a table


@dataclass
class Lengths:
    """Of texts, in characters."""

    count: int = 0
    total: float = 0.0
    shortest: float = math.inf
    longest: float = -math.inf
    empty: int = 0

    def add(self, lengths: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        """counts: how many texts there are of each length, all more than none."""
        if len(lengths):
            self.count += int(counts.sum())
            self.total += float(lengths @ counts)
            self.shortest = min(self.shortest, int(lengths.min()))
            self.longest = max(self.longest, int(lengths.max()))
            self.empty += int(counts[lengths == 0].sum())


@dataclass(frozen=True)
class TextBatch:
    """Of one batch: counts by the codes of a dictionary, or counts by lengths, and hashes."""

    rows: int
    missing: int
    dictionary: Dictionary | None
    counts: NDArray[np.int64]
    lengths: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    hashes: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))


class TextSummary:
    """Of the batches that were added, in their order; `lengths` and `counts` are complete once it is `finished`."""

    def __init__(self, kind: Kind, counts: ValueCounts) -> None:
        self.kind = kind
        self.counts = counts
        self.rows = self.missing = 0
        self.lengths = Lengths()
        self._open: tuple[Dictionary, NDArray[np.int64]] | None = None

    def add(self, more: TextBatch) -> None:
        self.rows += more.rows
        self.missing += more.missing
        if more.dictionary is None:
            self.lengths.add(more.lengths, more.counts)
            self.counts.add_hashes(more.hashes)
        elif self._open is not None and self._open[0] is more.dictionary:
            np.add(self._open[1], more.counts, out=self._open[1])
        else:
            self.finished()
            self._open = (more.dictionary, more.counts.copy())

    def finished(self) -> TextSummary:
        """With the counts by codes of the last dictionary, which are kept apart while batches share it."""
        if self._open is not None:
            (dictionary, counts), self._open = self._open, None
            present = np.flatnonzero(counts)
            counts = counts[present]
            self.lengths.add(dictionary.lengths[present], counts)
            values: Any = None if self.counts.overflowed else dictionary.values.take(to_arrow(present))
            self.counts.add(dictionary.hashes[present], counts, values)
        return self


@dataclass(frozen=True, eq=False)
class TextSummaries(ColumnStatistic[Any, TextSummary]):
    """Of one column of one table: `counts` is both what has been counted and what tells threads what need not be."""

    kind: Kind
    values: ColumnValues
    counts: ValueCounts

    def initial(self) -> TextSummary:
        if self.kind is Kind.OTHER:
            self.counts.overflow()
        self._spare_encoding()
        return TextSummary(self.kind, self.counts)

    def _spare_encoding(self) -> None:
        if self.counts.overflowed:
            self.values.stop_encoding(self.column)

    def compute(self, batch: Batch) -> TextBatch:
        texts = self.values.texts(batch, self.column)
        missing = 0 if texts.missing is None else int(np.count_nonzero(texts.missing))
        if texts.dictionary is not None and texts.codes is not None:
            some = bool(missing)
            size = len(texts.dictionary.values) + some
            counts = np.bincount(texts.codes + 1 if some else texts.codes, minlength=size)
            return TextBatch(batch.rows, missing, texts.dictionary, counts[some:])
        lengths, counts = _counted(lengths_of(texts.array.drop_null() if missing else texts.array))
        return TextBatch(batch.rows, missing, None, counts, lengths, self.counts.useful(texts.hashes))

    def merge(self, first: TextSummary, second: TextBatch) -> TextSummary:
        first.add(second)
        self._spare_encoding()
        return first

    def result(self, state: TextSummary | None) -> TextSummary:
        assert state is not None
        return state.finished()


def _counted(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(the different lengths, how many texts there are of each)."""
    if int(lengths.max(initial=0)) > _SHORT:
        return np.unique(lengths, return_counts=True)
    counts = np.bincount(lengths)
    there = np.flatnonzero(counts)
    return there, counts[there]
