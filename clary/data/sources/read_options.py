"""What a caller wants of a source, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ReadOptions:
    """columns       None for all; rows: the first so many, None for all
    bad_rows         "error", "skip", or the path of a CSV file that they are written to
    spill            folder for parsed rows; None for the system's folder of temporary files
    in_memory        parsed rows stay in memory, since all of them are wanted at once
    format_options   those of the format alone
    """

    columns: tuple[str, ...] | None = None
    rows: int | None = None
    bad_rows: str = "error"
    allow_pickle: bool = False
    spill: str | None = None
    in_memory: bool = False
    format_options: Mapping[str, Any] = field(default_factory=dict)
