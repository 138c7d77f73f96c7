"""Which of a processing job's hosts this is, and which rows are its own: together all hosts write each row once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from clary.data.errors import DataError
from clary.tasks import paths

if TYPE_CHECKING:
    from clary.data.batch import Batch
    from clary.data.notes import Note
    from clary.data.scans import Part, Scan


@dataclass(frozen=True)
class Host:
    """One of a job's hosts. index: from 0; count: of all."""

    name: str = "algo-1"
    index: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> Host:
        """Read from resourceconfig.json; a single host where there is none. Raises DataError for a malformed file."""
        file = paths.base_dir() / "config" / "resourceconfig.json"
        if not file.exists():
            return cls()
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
            hosts = sorted(config["hosts"], key=lambda host: (len(host), host))  # algo-10 behind algo-9
            return cls(config["current_host"], hosts.index(config["current_host"]), len(hosts))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{file} does not name this host among all hosts: {error}") from None

    def rows_of(self, rows: int) -> range:
        """The rows of a table, of so many, that are this host's: each row is of one host."""
        return range(rows * self.index // self.count, rows * (self.index + 1) // self.count)


def is_sharded(folder: Path) -> bool:
    """Whether this input is ShardedByS3Key, so that no host sees all of its objects.

    Read from processingjobconfig.json. Raises DataError for a malformed file.
    """
    file = paths.base_dir() / "config" / "processingjobconfig.json"
    if not file.exists():
        return False
    try:
        inputs = [entry.get("S3Input") for entry in json.loads(file.read_text(encoding="utf-8"))["ProcessingInputs"]]
        sharded = [entry for entry in inputs if entry and entry.get("S3DataDistributionType") == "ShardedByS3Key"]
        folders = [paths.local_path(entry["LocalPath"]) for entry in sharded]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} does not show how the inputs are distributed: {error}") from None
    return any(folder.is_relative_to(other) or other.is_relative_to(folder) for other in folders)


@dataclass(frozen=True)
class RowRange:
    """A scan of some consecutive rows of a table; their numbers are those they have in the whole table."""

    table: Scan
    range: range

    @property
    def arrow_schema(self) -> pa.Schema:
        return self.table.arrow_schema

    @property
    def rows(self) -> int:
        return len(self.range)

    @property
    def notes(self) -> Sequence[Note]:
        return self.table.notes

    def parts(self) -> Sequence[Part]:
        parts = list(self.table.parts())
        ends = [*(part.first_row for part in parts[1:]), self.table.rows]
        found = []
        for part, end in zip(parts, ends, strict=True):
            start, stop = max(part.first_row, self.range.start), min(end, self.range.stop)
            if start == part.first_row and stop == end and start < stop:
                found.append(part)
            elif start < stop:
                found.append(_PartRange(part, start, stop))
        return found


@dataclass(frozen=True)
class _PartRange:
    """The rows of a part from `first_row` up to `end`, which is not included."""

    part: Part
    first_row: int
    end: int

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        position = self.part.first_row
        for batch in self.part.batches(columns, rows):
            start, stop = max(position, self.first_row), min(position + batch.num_rows, self.end)
            if start < stop:
                yield batch.slice(start - position, stop - start)
            position += batch.num_rows
            if position >= self.end:
                return


def keep_rows(batches: Iterator[Batch], rows: range) -> Iterator[Batch]:
    """Of these batches the rows whose numbers in the table are in the range."""
    for batch in batches:
        numbers: Any = batch.row_numbers
        kept = (numbers >= rows.start) & (numbers < rows.stop)
        if kept.all():
            yield batch
        elif kept.any():
            yield batch.take(kept)
