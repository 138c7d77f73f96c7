"""What a reader reports beside the table itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """Something a person should know of how a table was read: nothing is coerced in silence.

    rows  how many rows it touched, 0 where it is about a column or a file
    """

    message: str
    column: str = ""
    rows: int = 0
