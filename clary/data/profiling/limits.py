"""How much a profile keeps in memory, and what it does past that."""

from __future__ import annotations

from dataclasses import dataclass

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
SMALL_ROWS = 1 << 18  # a table up to this size is kept track of without limits


@dataclass(frozen=True)
class Limits:
    """For a table of so many rows.

    number_levels  different numbers of a column that are counted one by one; past it only how many there are
    text_levels    the same for texts
    distinct       hashes by which different values are counted; past it by estimate, 0.4 % off
    row_hashes     rows that are compared for duplicates; past it a share of them, chosen by hash
    kept           values near the quantiles kept of all columns together; past it another pass is made
    patterns       different patterns of missing values
    """

    number_levels: int
    text_levels: int
    distinct: int
    row_hashes: int = 12_000_000
    kept: int = 10_000_000
    patterns: int = 4_096


def limits(rows: int, exact: bool) -> Limits:
    """exact: no estimates, at the price of memory that grows with the number of different values."""
    if exact:
        return Limits(number_levels=10_000, text_levels=max(rows, 1), distinct=max(rows, 1), row_hashes=max(rows, 1))
    if rows <= SMALL_ROWS:
        return Limits(number_levels=10_000, text_levels=max(rows, 1), distinct=max(rows, 1))
    return Limits(number_levels=10_000, text_levels=100_000, distinct=1 << 16)
