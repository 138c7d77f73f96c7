"""What a reader reports beside the table itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """What a caller should know about how a table was read: nothing is changed silently.

    rows  the number of rows concerned, 0 where the note is about a column or a file
    """

    message: str
    column: str = ""
    rows: int = 0
