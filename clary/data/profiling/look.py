"""The pass that a profile makes over a table: every column in the forms that its figures need, once per batch.

    batch ─> values, hashes ─┬─> each column's part ──────────> looks
                             ├─> all numbers side by side ────> sums of products
                             ├─> one hash per row ────────────> duplicates
                             ├─> one key per row ─────────────> patterns of missing values
                             └─> some rows ───────────────────> sample
Where a first look at some rows was not enough for a figure, further passes look at the columns concerned.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clary.data.batch import Batch, Field, Kind, concatenated
from clary.data.profiling.limits import QUANTILES, Limits
from clary.data.profiling.look_numbers import NumberLook, NumberPart, values_of
from clary.data.profiling.look_texts import TextLook, TextPart
from clary.data.profiling.patterns import Patterns
from clary.data.profiling.peek import peek
from clary.data.profiling.rows import RowHashes
from clary.data.progress import Progress, counted, quiet
from clary.data.scans import Scan, each_batch, schema_of
from clary.data.statistics.base import Sample
from clary.data.statistics.hashes import Hashes, hashes_of, murmur_mix
from clary.data.statistics.ordered import Cut, Ordered, cut
from clary.data.statistics.pairwise import (
    Centring,
    PairSums,
    badly_centred,
    centring,
    no_sums,
    pair_sums,
    together,
)
from clary.data.statistics.ranks import Floats, Ranks, Window, first_windows
from clary.data.statistics.samples import SampleRows, without_dictionaries

MOST_PAIRED = 300  # columns whose correlations are worked out: the work grows with their square
SAMPLE_ROWS = 50_000
ROWS = 32_768
_PIECES = 32  # of a sample, before they are put together
AHEAD = 16  # what a batch comes to is small: cores may run ahead of each other by as many
_NUMERIC = (Kind.NUMBER, Kind.BOOLEAN, Kind.TIME)


@dataclass(frozen=True)
class TablePart:
    """Of one batch."""

    columns: list[NumberPart | TextPart]
    sums: list[PairSums]
    rows: Hashes
    patterns: dict[int, tuple[int, tuple[int, ...]]]
    fingerprints: list[np.uint64]
    sample: list[Batch]


class Look:
    """A table, as seen by one pass over all of it."""

    def __init__(self, scan: Scan, limits: Limits, progress: Progress = quiet) -> None:
        self.scan = scan
        self.rows = scan.rows
        self.fields = schema_of(scan).fields
        self.numeric = tuple(one.name for one in self.fields if one.kind in _NUMERIC)
        # Correlated are numbers and booleans, as pandas does.
        self.paired = tuple(one.name for one in self.fields if one.kind in (Kind.NUMBER, Kind.BOOLEAN))
        self._progress = progress
        # All together where their products are wanted; else one by one.
        self.groups = [self.paired] if len(self.paired) <= MOST_PAIRED else [(name,) for name in self.paired]
        self.looks: dict[str, NumberLook | TextLook] = {}
        self.centrings: list[Centring] = []
        self.alike: tuple[int, ...] = ()  # places of columns that may be equal in every row
        with ThreadPoolExecutor(1) as pool:  # the memory that it leaves is taken over by the threads of the pass
            pool.submit(self._first_look, limits).result()
        self.sums = [no_sums(len(group)) for group in self.groups]
        self.patterns = Patterns(len(self.fields), limits.patterns)
        self.row_hashes = RowHashes(self.rows, limits.row_hashes)
        self.fingerprints = np.zeros(len(self.alike), np.uint64)
        self._sampling = SampleRows(tuple(one.name for one in self.fields), self.rows, SAMPLE_ROWS)
        self.sample = Sample(Batch({}, 0), complete=True)

    def _first_look(self, limits: Limits) -> None:
        """At some rows: between which values the quantiles lie, where the centres are, what is too much to count."""
        texts = tuple(one.name for one in self.fields if one.kind is Kind.TEXT)
        first = (peek(self.scan, (*self.numeric, *texts)) if self.numeric or texts else None) or Batch({}, 0)
        complete = first.rows == self.rows
        seen = dict(first.columns)
        centres = {name: centring([np.empty(0)]) for name in self.numeric}
        alike: dict[str, list[int]] = {}
        most = limits.kept // max(1, len(self.numeric))
        for place, one in enumerate(self.fields):
            hashes: Hashes | None = None
            windows: Sequence[Window] = ()
            column = seen.pop(one.name, None)  # let go one by one
            if one.kind in _NUMERIC and column is not None:
                values = values_of(column, one.kind)
                hashes = values.hashes
                centres[one.name] = centring([values.floats])
                ordered = np.sort(values.floats)
                ordered = ordered[: np.count_nonzero(~np.isnan(ordered))]
                windows = first_windows(ordered, QUANTILES, complete)
            elif column is not None:
                hashes = hashes_of(column)
            look = NumberLook(one.kind, limits, windows, most) if one.kind in _NUMERIC else TextLook(one.kind, limits)
            if hashes is not None and not complete:
                look.tally.expect(hashes)  # so that no core begins with counting what will be too much to count
            alike.setdefault("" if hashes is None else hashlib.blake2b(hashes.data).hexdigest(), []).append(place)
            self.looks[one.name] = look
        self.centrings = [together([centres[name] for name in group]) for group in self.groups]
        self.alike = _maybe_alike(alike, self.fields)
        del first
        pa.default_memory_pool().release_unused()  # here: allocators keep what is freed by thread

    def _kind(self, name: str) -> Kind:
        return next(one.kind for one in self.fields if one.name == name)

    def run(self) -> None:
        """The pass."""
        from threadpoolctl import threadpool_limits

        # Batches are on all cores already: a product of matrices that took more would only wait for them.
        with threadpool_limits(1, "blas"):
            self._run()

    def _run(self) -> None:
        sample: list[Batch] | None = None
        told = counted(self._progress, "looking at every column", self.rows)
        for part in each_batch(
            self.scan, [one.name for one in self.fields], self._part, progress=told, ahead=AHEAD, rows=ROWS
        ):
            for look, more in zip(self.looks.values(), part.columns, strict=True):
                look.merge(more)  # type: ignore[arg-type]
            for sums, added in zip(self.sums, part.sums, strict=True):
                sums.add(added)
            self.row_hashes.add(part.rows)
            self.patterns.merge(part.patterns)
            self.fingerprints += np.array(part.fingerprints, np.uint64)
            sample = part.sample if sample is None else self._sampling.merge(sample, part.sample)
            if len(sample) >= _PIECES:
                sample = [concatenated(sample)]
        for look in self.looks.values():
            if isinstance(look, TextLook):
                look.fold()
        self.sample = self._sampling.result(sample)

    def _part(self, batch: Batch) -> TablePart:
        rows = np.zeros(batch.rows, np.uint64)
        weights = murmur_mix(batch.row_numbers.astype(np.uint64)) | np.uint64(1) if self.alike else rows
        masks: dict[int, NDArray[np.bool_]] = {}
        columns: list[NumberPart | TextPart] = []
        fingerprints: list[np.uint64] = []
        floats: dict[str, Floats] = {}
        for place, (name, look) in enumerate(self.looks.items()):
            seen: Any
            if isinstance(look, NumberLook):
                seen = values_of(batch[name], look.kind)
                columns.append(look.part(seen))
                floats[name] = seen.floats
            else:
                seen = look.of(batch[name])
                columns.append(look.part(seen))
            if seen.missing is not None:
                masks[place] = seen.missing
            rows *= np.uint64(0x9E37_79B9_7F4A_7C15)
            rows += seen.hashes
            if place in self.alike:
                fingerprints.append(np.uint64((seen.hashes * weights).sum()))
        sums = [grouped(floats, group, one) for group, one in zip(self.groups, self.centrings, strict=True)]
        patterns = self.patterns.count(batch.rows, masks)
        useful = self.row_hashes.take(murmur_mix(rows), batch.first_row)
        return TablePart(
            columns,
            sums,
            useful,
            patterns,
            fingerprints,
            [without_dictionaries(one) for one in self._sampling.compute(batch)],
        )

    def recentre(self) -> None:
        """Another pass for moments and products, where the first look put a centre far from the mean."""
        better = [badly_centred(sums, one) for sums, one in zip(self.sums, self.centrings, strict=True)]
        places = [place for place, one in enumerate(better) if one is not None]
        if not places:
            return
        wanted = [name for place in places for name in self.groups[place]]
        for place in places:
            self.centrings[place] = better[place] or self.centrings[place]
            self.sums[place] = no_sums(len(self.groups[place]))

        def work(batch: Batch) -> list[PairSums]:
            floats = {name: values_of(batch[name], self._kind(name)).floats for name in wanted}
            return [grouped(floats, self.groups[place], self.centrings[place]) for place in places]

        told = counted(self._progress, "looking again at columns far from zero", self.rows)
        for found in each_batch(self.scan, wanted, work, progress=told, ahead=AHEAD, rows=ROWS):
            for place, added in zip(places, found, strict=True):
                self.sums[place].add(added)


def _maybe_alike(groups: Mapping[str, Sequence[int]], fields: Sequence[Field]) -> tuple[int, ...]:
    """Places of columns of which another holds the same as far as was seen, by a digest of that: "" for not seen."""
    unseen = groups.get("", ())
    found = [place for group in groups.values() if len(group) > 1 for place in group]
    if unseen:  # of other kinds than those that were seen, but bytes may be the same as texts
        found += [*unseen, *(place for place, one in enumerate(fields) if one.kind is Kind.TEXT)]
    return tuple(sorted(set(found)))


_ROOMS = threading.local()


def _room(width: int, rows: int) -> Floats:
    """A matrix of this thread's own, used again from batch to batch: new memory costs more than what is done in it."""
    kept = getattr(_ROOMS, "kept", None)
    if kept is None or kept.shape[0] != width or kept.shape[1] < rows:
        kept = _ROOMS.kept = np.empty((width, rows))
    return cast("Floats", kept[:, :rows])


def grouped(floats: Mapping[str, Floats], group: Sequence[str], by: Centring) -> PairSums:
    """The sums of these columns of a batch."""
    if not group:
        return no_sums(0)
    centred = _room(len(group), len(floats[group[0]]))
    gone: dict[int, NDArray[np.bool_]] = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for place, name in enumerate(group):
            row: Floats = centred[place]
            np.subtract(floats[name], by.centres[place], out=row)
            row *= 1.0 / by.scales[place]
            if not np.isfinite(row.sum()):
                absent = ~np.isfinite(floats[name])
                if absent.any():
                    row[absent] = 0.0
                    gone[place] = absent
        return pair_sums(centred, gone)


def look_again(
    scan: Scan, windows: Mapping[str, Sequence[Window]], looks: Mapping[str, NumberLook], progress: Progress
) -> dict[str, Ranks]:
    """A pass for what was missed: of each column, what is known of its ranks in these windows."""
    names = list(windows)
    ordered = {name: Ordered(tuple(windows[name]), scan.rows + 1) for name in names}

    def work(batch: Batch) -> list[Cut]:
        cuts = []
        for name in names:
            floats = np.sort(values_of(batch[name], looks[name].kind).floats)
            cuts.append(cut(floats[: len(floats) - int(np.isnan(floats).sum())], windows[name]))
        return cuts

    told = counted(progress, "looking again for quantiles and outliers", scan.rows)
    for cuts in each_batch(scan, names, work, progress=told, ahead=AHEAD, rows=ROWS):
        for name, one in zip(names, cuts, strict=True):
            ordered[name].merge(one)
    return {name: one.ranks() for name, one in ordered.items()}
