"""Histograms of oriented gradients: the outlines of an image as numbers.

scikit-image has them, too; it would be one more package for these lines, and its results are the same (tested).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float64]

BLOCK_NORMS = ("L1", "L1-sqrt", "L2", "L2-Hys")
_EPS = 1e-5
_MOST = 0.2  # L2-Hys: what is above is cut, so that no single edge outweighs all others


def hog(
    pixels: NDArray[Any],
    orientations: int,
    cell: tuple[int, int],
    cells_per_block: tuple[int, int],
    block_norm: str,
    *,
    square_root: bool,
) -> Row:
    """The histograms of all blocks, one after the other: (blocks down, across, cells down, across, orientations).

    pixels     (height, width, channels); of several channels each pixel's steepest counts
    cell       (rows, columns) of pixels in a cell; cells_per_block (rows, columns) of cells in a block
    Reference  Dalal & Triggs (2005), Histograms of oriented gradients for human detection, CVPR, 886-893; in the form
               that scikit-image's feature.hog has.
    """
    values = pixels.astype(np.float64)
    down, across = _gradients(np.sqrt(values) if square_root else values)
    cells = _cells(down, across, orientations, cell)
    high, wide = blocks(cells.shape[0], cells.shape[1], cells_per_block)
    made = np.empty((high, wide, *cells_per_block, orientations))
    for row in range(high):
        for column in range(wide):
            block = cells[row : row + cells_per_block[0], column : column + cells_per_block[1]]
            made[row, column] = _normal(block, block_norm)
    return made.ravel()


def blocks(cells_down: int, cells_across: int, cells_per_block: tuple[int, int]) -> tuple[int, int]:
    """How many blocks fit, down and across; each begins one cell after the last."""
    return max(0, cells_down - cells_per_block[0] + 1), max(0, cells_across - cells_per_block[1] + 1)


def length(height: int, width: int, orientations: int, cell: tuple[int, int], cells_per_block: tuple[int, int]) -> int:
    """How many numbers an image of this size gives; 0 where it is too small."""
    down, across = blocks(height // cell[0], width // cell[1], cells_per_block)
    return down * across * cells_per_block[0] * cells_per_block[1] * orientations


def _gradients(values: Row) -> tuple[Row, Row]:
    """(down, across), (height, width): differences of neighbours, 0 at the border."""
    down, across = np.zeros_like(values), np.zeros_like(values)
    down[1:-1] = values[2:] - values[:-2]
    across[:, 1:-1] = values[:, 2:] - values[:, :-2]
    steepest = np.hypot(down, across).argmax(axis=2)[:, :, None]
    return (
        np.take_along_axis(down, steepest, axis=2)[:, :, 0],
        np.take_along_axis(across, steepest, axis=2)[:, :, 0],
    )


def _cells(down: Row, across: Row, orientations: int, cell: tuple[int, int]) -> Row:
    """(cells down, cells across, orientations): of each cell, how steep it is in each direction, on average."""
    high, wide = down.shape[0] // cell[0], down.shape[1] // cell[1]
    down, across = down[: high * cell[0], : wide * cell[1]], across[: high * cell[0], : wide * cell[1]]
    magnitude = np.hypot(across, down)
    degrees = np.rad2deg(np.arctan2(down, across)) % 180
    # Not a number of degrees times orientations over 180: an angle on a border belongs to the bin that begins there.
    bins = np.searchsorted(180.0 / orientations * np.arange(1, orientations), degrees, side="right")
    rows = np.arange(high * cell[0])[:, None] // cell[0]
    columns = np.arange(wide * cell[1])[None, :] // cell[1]
    places = (rows * wide + columns) * orientations + bins
    total = np.bincount(places.ravel(), magnitude.ravel(), minlength=high * wide * orientations)
    return total.reshape(high, wide, orientations) / (cell[0] * cell[1])


def _normal(block: Row, block_norm: str) -> Row:
    if block_norm in ("L1", "L1-sqrt"):
        scaled: Row = block / (np.abs(block).sum() + _EPS)
        return np.sqrt(scaled) if block_norm == "L1-sqrt" else scaled
    scaled = block / np.sqrt((block**2).sum() + _EPS**2)
    if block_norm == "L2-Hys":
        scaled = np.minimum(scaled, _MOST)
        scaled = scaled / np.sqrt((scaled**2).sum() + _EPS**2)
    return scaled
