"""A table that can be read repeatedly, in batches, without being held in memory.

    Scan ── parts ──> Part, Part, …          a part: some of the rows, read independently, so that cores share the work
                       └── batches ──> Batch, Batch, …
Every pass over a table is a call of `each_batch`: on all cores, with results in the table's order.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

import pyarrow as pa

from clary.data.batch import Batch, Schema
from clary.data.errors import DataError
from clary.data.frames import arrow_of_pandas, distinct_names
from clary.data.notes import Note

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
BATCH_ROWS = 32_768  # 20 columns of 8 bytes are 5 MB then: they stay in the processor's caches from step to step
_QUEUED_RESULTS = 2  # of a part, while those before them are consumed


class Part(Protocol):
    """Some rows of a table. May be read any number of times, from any thread."""

    @property
    def first_row(self) -> int:
        """Its first row's number in the table."""
        ...

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Its rows in order, these columns in this order, at most so many rows a batch. Raises ReadError."""
        ...


class Scan(Protocol):
    """A table that can be read repeatedly. Its columns' names are distinct."""

    @property
    def arrow_schema(self) -> pa.Schema: ...

    @property
    def rows(self) -> int:
        """The number of rows, known without reading all of the table."""
        ...

    @property
    def notes(self) -> Sequence[Note]:
        """What was renamed, guessed, left out or changed while reading."""
        ...

    def parts(self) -> Sequence[Part]:
        """The table in pieces, in order: enough to occupy all cores; none where there are no rows."""
        ...


def schema_of(scan: Scan) -> Schema:
    return Schema.of_arrow(scan.arrow_schema)


def cores() -> int:
    """The number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each_batch(
    scan: Scan,
    columns: Sequence[str],
    work: Callable[[Batch], T],
    *,
    rows: int = BATCH_ROWS,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
    max_queued: int = _QUEUED_RESULTS,
) -> Iterator[T]:
    """`work` of each batch, computed on all cores, in the table's order.

    max_queued  results of a part that may wait for those before them: with as many as a part has batches every core
                stays busy, where the results are small
    progress    called with the number of rows of each batch that is done
    Raises      what reading or `work` raised, at that batch's position; nothing goes on running after that.
    """
    parts = scan.parts()
    if not parts:
        return
    results_of_parts = [_PartResults(part, columns, rows, work, max_queued) for part in parts]
    with ThreadPoolExecutor(max(1, threads or cores())) as pool:
        running = [pool.submit(part_results.run) for part_results in results_of_parts]
        try:
            for part_results, future in zip(results_of_parts, running, strict=True):
                for done, result in part_results.results(future):
                    if progress is not None:
                        progress(done)
                    yield result
        finally:
            for part_results in results_of_parts:
                part_results.stopped.set()


class _PartResults(Generic[T]):
    """A bounded queue of a part's results, which a thread fills and the consumer empties.

    Threads take parts in order, so the part that the consumer waits for always has a thread of its own.
    """

    def __init__(
        self, part: Part, columns: Sequence[str], rows: int, work: Callable[[Batch], T], max_queued: int
    ) -> None:
        self.stopped = threading.Event()
        self._part, self._columns, self._rows, self._work = part, columns, rows, work
        self._queue: queue.Queue[tuple[int, T] | None] = queue.Queue(max_queued)

    def run(self) -> None:
        try:
            first_row = self._part.first_row
            for read in self._part.batches(self._columns, self._rows):
                if self.stopped.is_set():
                    return
                batch = Batch.of_arrow(read, first_row)
                first_row += batch.rows
                self._put((batch.rows, self._work(batch)))
        finally:
            self._put(None)

    def _put(self, item: tuple[int, T] | None) -> None:
        while not self.stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def results(self, future: Future[None]) -> Iterator[tuple[int, T]]:
        while (item := self._queue.get()) is not None:
            yield item
        future.result()


class FrameScan:
    """A table in memory."""

    def __init__(self, table: pa.Table, notes: Sequence[Note] = ()) -> None:
        self._table = table
        self._notes = tuple(notes)

    @property
    def arrow_schema(self) -> pa.Schema:
        return self._table.schema

    @property
    def rows(self) -> int:
        return int(self._table.num_rows)

    @property
    def notes(self) -> Sequence[Note]:
        return self._notes

    def parts(self) -> Sequence[Part]:
        size = max(BATCH_ROWS, -(-self.rows // (4 * cores())))
        return [FramePart(self._table, start, min(size, self.rows - start)) for start in range(0, self.rows, size)]


@dataclass(frozen=True)
class FramePart:
    table: pa.Table
    first_row: int
    count: int

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        table = self.table.select(list(columns)).slice(self.first_row, self.count)
        if not columns:  # a table without columns has no rows in Arrow
            for start in range(0, self.count, rows):
                nothing = pa.nulls(min(rows, self.count - start))
                yield pa.RecordBatch.from_struct_array(pa.StructArray.from_arrays([nothing], [""])).select([])
            return
        yield from table.to_batches(max_chunksize=rows)


def scan_of(data: Scan | pd.DataFrame | pa.Table) -> Scan:
    """A DataFrame, an Arrow table or a scan as a scan. Raises DataError for anything else."""
    if hasattr(data, "parts") and hasattr(data, "arrow_schema"):
        return cast("Scan", data)
    if isinstance(data, pa.Table):
        return FrameScan(data.rename_columns(distinct_names(data.column_names)))
    import pandas as pd  # imported here, as it takes 50 MB that a table on disk does not need

    if isinstance(data, pd.DataFrame):
        return FrameScan(*arrow_of_pandas(data))
    raise DataError(
        f"{type(data).__name__} is not a table: give a pandas DataFrame, a pyarrow Table, "
        "or what clary.data.scan returns"
    )
