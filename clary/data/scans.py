"""A table that can be read again and again in batches, without being held whole.

    Scan ── parts ──> Part, Part, …          a part: some of the rows, read on its own, so that cores can share the work
                       └── batches ──> Batch, Batch, …
`each_batch` is how everything that passes over a table does it: on all cores, results in the table's order.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

import pyarrow as pa

from clary.data.batch import Batch, Schema
from clary.data.errors import DataError
from clary.data.frames import arrow_of_pandas, distinct_names
from clary.data.notes import Note

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
BATCH_ROWS = 32_768  # 20 columns of 8 bytes are 5 MB then: they stay in the processor's caches from step to step
_AHEAD = 2  # results of a part that wait for those before them


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
    """A table that can be read again and again. Its columns' names are distinct."""

    @property
    def arrow_schema(self) -> pa.Schema: ...

    @property
    def rows(self) -> int:
        """How many. Known without reading all of it again."""
        ...

    @property
    def notes(self) -> Sequence[Note]:
        """What was renamed, guessed, left out or changed while reading."""
        ...

    def parts(self) -> Sequence[Part]:
        """The table in pieces, in order: as many as cores can make use of; none where there are no rows."""
        ...


def schema_of(scan: Scan) -> Schema:
    return Schema.of_arrow(scan.arrow_schema)


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each_batch(
    scan: Scan,
    columns: Sequence[str],
    work: Callable[[Batch], T],
    *,
    rows: int = BATCH_ROWS,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
    ahead: int = _AHEAD,
) -> Iterator[T]:
    """`work` of each batch, worked out on all cores, given in the table's order whatever core was first.

    ahead     results of a part that may wait for those before them: as many as a part has batches keep every core busy,
              where the results are small
    progress  told how many rows of a batch are done, each time some are.
    Raises    what reading or `work` raised, at that batch's place; nothing runs on after that.
    """
    parts = scan.parts()
    if not parts:
        return
    lines = [_Line(part, columns, rows, work, ahead) for part in parts]
    with ThreadPoolExecutor(max(1, threads or cores())) as pool:
        running = [pool.submit(line.run) for line in lines]
        try:
            for line, future in zip(lines, running, strict=True):
                for done, result in line.results(future):
                    if progress is not None:
                        progress(done)
                    yield result
        finally:
            for line in lines:
                line.over.set()


class _OneBlasThread:
    """While any pass is under way each product of matrices stays on the core that asks for it.

    All cores are at work already; BLAS would wake as many threads again for every batch, most of them to wait.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._passes = 0
        self._limits: Any = None

    def __enter__(self) -> None:
        from threadpoolctl import threadpool_limits  # scikit-learn's own means to the same end

        with self._lock:
            if not self._passes:
                self._limits = threadpool_limits(1, user_api="blas")
            self._passes += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._passes -= 1
            if not self._passes:
                self._limits.restore_original_limits()


_ONE_BLAS_THREAD = _OneBlasThread()


class _Line(Generic[T]):
    """A part on its way: a thread fills, the consumer empties. Full lines wait, so memory is bounded.

    Threads take parts in order, so the part that the consumer waits for always has a thread of its own.
    """

    def __init__(self, part: Part, columns: Sequence[str], rows: int, work: Callable[[Batch], T], ahead: int) -> None:
        self.over = threading.Event()
        self._part, self._columns, self._rows, self._work = part, columns, rows, work
        self._queue: queue.Queue[tuple[int, T] | None] = queue.Queue(ahead)

    def run(self) -> None:
        try:
            first_row = self._part.first_row
            for read in self._part.batches(self._columns, self._rows):
                if self.over.is_set():
                    return
                batch = Batch.of_arrow(read, first_row)
                first_row += batch.rows
                self._put((batch.rows, self._work(batch)))
        finally:
            self._put(None)

    def _put(self, what: tuple[int, T] | None) -> None:
        while not self.over.is_set():
            try:
                self._queue.put(what, timeout=0.1)
            except queue.Full:
                continue
            return

    def results(self, future: Future[None]) -> Iterator[tuple[int, T]]:
        while (found := self._queue.get()) is not None:
            yield found
        future.result()


class FrameScan:
    """A table that is held in memory anyway: a DataFrame or an Arrow table."""

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
        mine = self.table.select(list(columns)).slice(self.first_row, self.count)
        if not columns:  # Arrow counts the rows of no columns as none
            for start in range(0, self.count, rows):
                nothing = pa.nulls(min(rows, self.count - start))
                yield pa.RecordBatch.from_struct_array(pa.StructArray.from_arrays([nothing], [""])).select([])
            return
        yield from mine.to_batches(max_chunksize=rows)


def scan_of(data: Scan | pd.DataFrame | pa.Table) -> Scan:
    """Whatever holds a table, as one that can be read in batches. Raises DataError for anything else."""
    if hasattr(data, "parts") and hasattr(data, "arrow_schema"):
        return cast("Scan", data)
    if isinstance(data, pa.Table):
        return FrameScan(data.rename_columns(distinct_names(data.column_names)))
    import pandas as pd  # here only: it takes 50 MB that a table on disk does not need

    if isinstance(data, pd.DataFrame):
        return FrameScan(*arrow_of_pandas(data))
    raise DataError(
        f"{type(data).__name__} is not a table: give a pandas DataFrame, a pyarrow Table, "
        "or what clary.data.scan returns"
    )
