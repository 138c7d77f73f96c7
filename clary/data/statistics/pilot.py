"""A pilot sample of a table: some rows from the start of each part of it, far quicker than random ones."""

from __future__ import annotations

from collections.abc import Sequence

from clary.data.batch import Batch, concatenated
from clary.data.scans import Part, Scan

PILOT_ROWS = 300_000
_LEAST = 65_536
_SHARE = 16  # of a table of some size one row in so many is enough
_PARTS = 16


def pilot_sample(scan: Scan, columns: Sequence[str]) -> Batch | None:
    """Rows from the start of parts all over the table; all rows where they are few. None where there is none."""
    parts = list(scan.parts())
    rows = _rows(scan.rows)
    if rows < scan.rows and len(parts) > _PARTS:
        parts = [parts[place * (len(parts) - 1) // (_PARTS - 1)] for place in range(_PARTS)]
    wanted = rows if rows == scan.rows else -(-rows // max(1, len(parts)))
    found = [batch for part in parts for batch in _start(part, columns, wanted)]
    return _joined(found, columns) if found else None


def _joined(found: list[Batch], columns: Sequence[str]) -> Batch:
    """As one, column by column, so that no two copies of all are held."""
    rows, first_row = sum(batch.rows for batch in found), found[0].first_row
    pieces = [dict(batch.columns) for batch in found]
    counts = [batch.rows for batch in found]
    found.clear()
    made = {}
    for name in columns:
        alone = [Batch({name: piece.pop(name)}, count) for piece, count in zip(pieces, counts, strict=True)]
        made[name] = concatenated(alone)[name]
    return Batch(made, rows, first_row)


def _rows(table: int) -> int:
    least = min(_LEAST, PILOT_ROWS)
    return table if table <= least else min(PILOT_ROWS, max(least, table // _SHARE))


def _start(part: Part, columns: Sequence[str], wanted: int) -> list[Batch]:
    found: list[Batch] = []
    have, first_row = 0, part.first_row
    reading = part.batches(columns, min(wanted, 32_768))
    for read in reading:
        batch = Batch.of_arrow(read, first_row)
        first_row += batch.rows
        have += batch.rows
        if batch.rows:
            found.append(batch)
        if have >= wanted:
            break
    close = getattr(reading, "close", None)
    if close is not None:
        close()
    return found
