"""What one of a processing job's hosts has to do: its share of the rows, so that all hosts write each row once."""

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
class Place:
    """Which of the job's hosts this is."""

    host: str = "algo-1"
    number: int = 0
    hosts: int = 1

    @classmethod
    def here(cls) -> Place:
        """Read from resourceconfig.json; alone where there is none. Raises DataError for one that makes no sense."""
        file = paths.base_dir() / "config" / "resourceconfig.json"
        if not file.exists():
            return cls()
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
            hosts = sorted(told["hosts"], key=lambda host: (len(host), host))
            return cls(told["current_host"], hosts.index(told["current_host"]), len(hosts))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{file} does not say which host this is: {error}") from None

    def share(self, rows: int) -> range:
        """The rows, of so many, that are this host's: each is one host's."""
        return range(rows * self.number // self.hosts, rows * (self.number + 1) // self.hosts)


def is_sharded(folder: Path) -> bool:
    """Whether the platform has dealt out the objects of this input, so that no host sees all of them.

    Told by processingjobconfig.json. Raises DataError for one that makes no sense.
    """
    file = paths.base_dir() / "config" / "processingjobconfig.json"
    if not file.exists():
        return False
    try:
        sources = [given.get("S3Input") for given in json.loads(file.read_text(encoding="utf-8"))["ProcessingInputs"]]
        sharded = [one for one in sources if one and one.get("S3DataDistributionType") == "ShardedByS3Key"]
        places = [paths.local_path(one["LocalPath"]) for one in sharded]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} does not say how the inputs are dealt out: {error}") from None
    return any(folder.is_relative_to(place) or place.is_relative_to(folder) for place in places)


@dataclass(frozen=True)
class Share:
    """Some consecutive rows of a table; their numbers are those they have in the whole table."""

    table: Scan
    mine: range

    @property
    def arrow_schema(self) -> pa.Schema:
        return self.table.arrow_schema

    @property
    def rows(self) -> int:
        return len(self.mine)

    @property
    def notes(self) -> Sequence[Note]:
        return self.table.notes

    def parts(self) -> Sequence[Part]:
        parts = list(self.table.parts())
        ends = [*(part.first_row for part in parts[1:]), self.table.rows]
        found = []
        for part, end in zip(parts, ends, strict=True):
            start, stop = max(part.first_row, self.mine.start), min(end, self.mine.stop)
            if start == part.first_row and stop == end and start < stop:
                found.append(part)
            elif start < stop:
                found.append(_Rows(part, start, stop))
        return found


@dataclass(frozen=True)
class _Rows:
    """A part's rows from one to another."""

    part: Part
    first_row: int
    end: int

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        at = self.part.first_row
        for batch in self.part.batches(columns, rows):
            start, stop = max(at, self.first_row), min(at + batch.num_rows, self.end)
            if start < stop:
                yield batch.slice(start - at, stop - start)
            at += batch.num_rows
            if at >= self.end:
                return


def only(batches: Iterator[Batch], mine: range) -> Iterator[Batch]:
    """Of these batches the rows that have such numbers in the table."""
    for batch in batches:
        numbers: Any = batch.row_numbers
        kept = (numbers >= mine.start) & (numbers < mine.stop)
        if kept.all():
            yield batch
        elif kept.any():
            yield batch.take(kept)
