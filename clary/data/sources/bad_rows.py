"""The rows of a source that cannot be read."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from clary.data.errors import ReadError
from clary.data.notes import Note

_KEPT = 10


@dataclass(frozen=True)
class BadRow:
    line: int  # 0 where it is unknown
    reason: str
    text: str


class BadRows:
    """Rows that cannot be read: counted, the first rows kept for messages, all written to a file where that is wanted.

    mode    "error", "skip", or the path of a CSV file
    """

    def __init__(self, name: str, mode: str) -> None:
        self.count = 0
        self._name, self._mode = name, mode
        self._first: list[BadRow] = []
        self._file: IO[str] | None = None
        self._start = 0
        self.skipping = mode != "error"

    def add(self, rows: Sequence[BadRow]) -> None:
        self.count += len(rows)
        self._first += rows[: _KEPT - len(self._first)]
        if rows and self._mode not in ("error", "skip"):
            self._write(rows)

    @property
    def needs_text(self) -> bool:
        """Whether the line and text of another bad row will be used."""
        return len(self._first) < _KEPT or self._mode not in ("error", "skip")

    def _write(self, rows: Sequence[BadRow]) -> None:
        try:
            if self._file is None:
                self._file = Path(self._mode).open("a", newline="", encoding="utf-8")  # noqa: SIM115 (closed by `finish`)
                self._start = self._file.tell()
            if not self._file.tell():
                csv.writer(self._file).writerow(["source", "line", "reason", "row"])
            csv.writer(self._file).writerows([self._name, row.line, row.reason, row.text] for row in rows)
        except OSError as error:
            raise ReadError(f"bad rows cannot be written to {self._mode}: {error.strerror}") from None

    def reset(self) -> None:
        """Forget all rows: they are about to be read once more."""
        self.count, self._first = 0, []
        if self._file is not None:
            self._file.truncate(self._start)  # rows of other sources may stand before

    def finish(self) -> list[Note]:
        """Notes for the caller. Raises ReadError where bad rows are an error and there are some."""
        if self._file is not None:
            self._file.close()
        if not self.count:
            return []
        first = "; ".join(
            f"{f'line {row.line}: ' if row.line else ''}{row.reason}: {row.text[:80]!r}" for row in self._first
        )
        plural = "1 row is" if self.count == 1 else f"{self.count:,} rows are"
        summary = f"{self._name}: {plural} bad. First: {first}."
        if not self.skipping:
            raise ReadError(
                f'{summary} Read with bad_rows="skip" to leave them out, '
                'or bad_rows="bad.csv" to write them to that file'
            )
        written = "" if self._mode == "skip" else f" They were written to {os.fspath(self._mode)}."
        return [Note(f"{summary} {'It was' if self.count == 1 else 'They were'} left out.{written}", rows=self.count)]
