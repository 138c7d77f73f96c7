"""ORC, read stripe by stripe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from clary.data.errors import ReadError
from clary.data.notes import Note
from clary.data.scans import Part, Scan
from clary.data.sources.input_file import InputFile
from clary.data.sources.read_options import ReadOptions
from clary.data.sources.spill import batches_without_columns

OPTIONS: frozenset[str] = frozenset()


def scan(file: InputFile, options: ReadOptions) -> Scan:
    """Raises ReadError."""
    return OrcScan(file)


class OrcScan:
    """The stripes of a file."""

    notes: Sequence[Note] = ()

    def __init__(self, file: InputFile) -> None:
        self._file = file
        with self.opened() as reader:
            self._schema = reader.schema
            names = self._schema.names
            if len(set(names)) < len(names):
                raise ReadError(f"{file.name}: columns are named twice, which ORC cannot distinguish")
            # Arrow shows no footer with the rows of a stripe: a column of each is read.
            first = [names[0]] if names else None
            self._counts = [reader.read_stripe(place, columns=first).num_rows for place in range(reader.nstripes)]

    @contextmanager
    def opened(self) -> Iterator[Any]:
        from pyarrow import orc

        with self._file.reading_as("ORC"), self._file.seekable() as stream:
            yield orc.ORCFile(stream)

    @property
    def arrow_schema(self) -> pa.Schema:
        return self._schema

    @property
    def rows(self) -> int:
        return sum(self._counts)

    def parts(self) -> Sequence[Part]:
        parts: list[Part] = []
        first_row = 0
        for place, count in enumerate(self._counts):
            if count:
                parts.append(OrcPart(self, first_row, place, count))
            first_row += count
        return parts


@dataclass(frozen=True)
class OrcPart:
    scan: OrcScan
    first_row: int
    stripe: int
    count: int

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        if not columns:
            yield from batches_without_columns(self.count, rows)
            return
        with self.scan.opened() as reader:
            whole = reader.read_stripe(self.stripe, columns=list(columns)).select(list(columns))
        for start in range(0, self.count, rows):
            yield whole.slice(start, rows)
