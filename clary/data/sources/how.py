"""What a caller wants of a source, checked; and what was wrong with its rows."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from clary.data.errors import ReadError
from clary.data.notes import Note

SAMPLES = 10


@dataclass(frozen=True)
class How:
    """columns  None for all; rows: the first so many, None for all
    bad_rows    "error", "skip", or the path of a CSV file that they are written to
    spill       folder for parsed rows that are put aside; None for the system's own
    in_memory   parsed rows stay in memory: all of them are wanted at once
    options     of the format
    """

    columns: tuple[str, ...] | None = None
    rows: int | None = None
    bad_rows: str = "error"
    allow_pickle: bool = False
    spill: str | None = None
    in_memory: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BadRow:
    line: int  # 0 where it is not known
    reason: str
    text: str


class BadRows:
    """Rows that cannot be read, counted; the first ones are kept for people, all written aside where that is wanted.

    Raises ReadError when `over` is called and bad rows are an error.
    """

    def __init__(self, name: str, mode: str) -> None:
        self.count = 0
        self._name, self._mode = name, mode
        self._first: list[BadRow] = []
        self._file: IO[str] | None = None
        self._begun = 0
        self.skipping = mode != "error"

    def add(self, rows: Sequence[BadRow]) -> None:
        self.count += len(rows)
        self._first += rows[: SAMPLES - len(self._first)]
        if rows and self._mode not in ("error", "skip"):
            self._write(rows)

    @property
    def samples_wanted(self) -> bool:
        """Whether a bad row's line and text are for anything."""
        return len(self._first) < SAMPLES or self._mode not in ("error", "skip")

    def _write(self, rows: Sequence[BadRow]) -> None:
        try:
            if self._file is None:
                self._file = Path(self._mode).open("a", newline="", encoding="utf-8")  # noqa: SIM115 (closed by `over`)
                self._begun = self._file.tell()
            if not self._file.tell():
                csv.writer(self._file).writerow(["source", "line", "reason", "row"])
            csv.writer(self._file).writerows([self._name, row.line, row.reason, row.text] for row in rows)
        except OSError as error:
            raise ReadError(f"bad rows cannot be written to {self._mode}: {error.strerror}") from None

    def forget(self) -> None:
        """Begin again: the rows are about to be read once more."""
        self.count, self._first = 0, []
        if self._file is not None:
            self._file.truncate(self._begun)  # rows of other sources may stand before

    def over(self) -> list[Note]:
        """What there is to tell. Raises ReadError."""
        if self._file is not None:
            self._file.close()
        if not self.count:
            return []
        first = "; ".join(
            f"{f'line {row.line}: ' if row.line else ''}{row.reason}: {row.text[:80]!r}" for row in self._first
        )
        plural = "1 row is" if self.count == 1 else f"{self.count:,} rows are"
        told = f"{self._name}: {plural} bad. First: {first}."
        if not self.skipping:
            raise ReadError(
                f'{told} Read with bad_rows="skip" to leave them out, or bad_rows="bad.csv" to write them to that file'
            )
        where = "" if self._mode == "skip" else f" They were written to {os.fspath(self._mode)}."
        return [Note(f"{told} {'It was' if self.count == 1 else 'They were'} left out.{where}", rows=self.count)]
