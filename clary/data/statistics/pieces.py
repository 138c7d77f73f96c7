"""Rows of many columns computed in pieces, so that memory does not grow with their width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from clary.data.batch import Batch

CELLS = 4_000_000  # 32 MB of float64


def pieces(batch: Batch, names: Sequence[str], cells: int = CELLS) -> Iterator[Batch]:
    """These columns of the batch, in runs of rows that hold at most so many numbers each; one run at least."""
    batch = batch.only(names)
    width = sum(max(1, len(field.names)) for field in batch.schema.fields)
    rows = max(1, cells // max(1, width))
    if batch.rows <= rows:
        yield batch
        return
    for first in range(0, batch.rows, rows):
        yield batch.take(np.arange(first, min(batch.rows, first + rows)))
