"""A table of many number columns as a map on which like rows lie near each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Kind
from clary.data.errors import DataError
from clary.data.plot.points import add_legend, draw_points, hue_of
from clary.data.plot.sample import POINTS, Data, numbers_of, sample_of
from clary.data.plot.style import finish, label_axes, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAPPED = 2_000  # t-SNE's time grows faster than its rows


def pca_map(data: Data, columns: Sequence[str] = (), *, label: str = "") -> Figure:
    """Each row as a point, along the two directions in which the columns, standardised, vary most.

    columns  of numbers; none: all there are but the label
    label    a column that colours the points
    """
    sample = sample_of(data, [*columns, *([label] if label else [])] if columns else (), POINTS)
    matrix, whole, names = _matrix(sample.batch, columns, label)
    places, whole = _placed(matrix, whole, "pca", {})
    shares = places.var(axis=0) / matrix.var(axis=0).sum()
    axes = f"first component ({shares[0]:.0%} of the variance)", f"second component ({shares[1]:.0%})"
    return _map(sample.batch, places, whole, label, axes, f"PCA of {len(names)} columns", sample.note)


def tsne_map(
    data: Data, columns: Sequence[str] = (), *, label: str = "", perplexity: float = 30.0, seed: int = 0
) -> Figure:
    """Each row as a point, near the rows that are like it; distances between far groups mean little.

    It serves exploration alone: it cannot place new rows. Of more than 2,000 rows a sample is mapped.
    columns     of numbers, standardised; none: all there are but the label
    perplexity  about how many neighbours count, fewer where there are few rows
    Reference   van der Maaten & Hinton (2008), Journal of Machine Learning Research 9, 2579-2605.
    """
    if not 1 <= perplexity <= 500:
        raise DataError(f"tsne_map: perplexity: give a number from 1 to 500, not {perplexity}")
    sample = sample_of(data, [*columns, *([label] if label else [])] if columns else (), MAPPED)
    matrix, whole, names = _matrix(sample.batch, columns, label)
    effective = min(perplexity, (len(matrix) - 1) / 3)
    places, whole = _placed(matrix, whole, "tsne", {"perplexity": effective, "random_state": seed})
    note = f"{sample.note}; perplexity {effective:g}"
    title = f"t-SNE of {len(names)} columns"
    return _map(sample.batch, places, whole, label, ("", ""), title, note)


def _placed(
    matrix: NDArray[np.float64], whole: NDArray[np.bool_], method: Literal["pca", "tsne"], options: Mapping[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(where each row of the matrix lies on the map, which rows of the batch these are).

    whole  the rows of the batch that the matrix has; of very wide tables fewer are placed
    """
    import pandas as pd

    from clary.data.recipe.steps.extraction import embedding

    frame = pd.DataFrame(matrix, columns=[f"c{place}" for place in range(matrix.shape[1])])
    places = embedding(frame, method, rows=len(frame), scale=False, options=options)
    which = np.zeros(len(whole), dtype=bool)
    which[np.flatnonzero(whole)[places.index.to_numpy()]] = True
    return places.to_numpy(dtype=np.float64), which


def _matrix(
    batch: Batch, columns: Sequence[str], label: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_], tuple[str, ...]]:
    """(standardised values of the rows without missing values, which rows these are, the columns that vary)."""
    names = tuple(dict.fromkeys(columns)) or batch.schema.of_kind(Kind.NUMBER, Kind.BOOLEAN)
    found = {name: numbers_of(batch, name) for name in names if columns or name != label}
    if len(found) < 2:
        raise DataError("a map needs two columns of numbers or more")
    whole = np.logical_and.reduce([column.present for column in found.values()])
    if whole.sum() < 4:
        raise DataError("a map needs four rows or more in which no value is missing; impute first (step `impute`)")
    values = np.stack([column.values[whole[column.present]] for column in found.values()], axis=1)
    largest = np.abs(values).max(axis=0)
    values /= np.where(largest > 0, largest, 1.0)  # squares of large and small numbers stay numbers
    spread = values.std(axis=0)
    varies = spread > 1e-12
    if varies.sum() < 2:
        raise DataError("a map needs two columns that vary")
    kept = tuple(name for name, is_kept in zip(found, varies, strict=True) if is_kept)
    return (values[:, varies] - values[:, varies].mean(axis=0)) / spread[varies], whole, kept


def _map(
    batch: Batch,
    places: NDArray[np.float64],
    whole: NDArray[np.bool_],
    label: str,
    names: tuple[str, str],
    title: str,
    note: str,
) -> Figure:
    figure = new_figure()
    axes = figure.add_subplot()
    hue = hue_of(batch, label)
    add_legend(figure, axes, hue, draw_points(axes, places[:, 0], places[:, 1], hue, whole))
    label_axes(axes, *names)
    if not names[0]:
        axes.set_xticks([])
        axes.set_yticks([])
    left_out = int((~whole).sum())
    notes = (note, "columns standardised", f"{left_out:,} rows with missing values left out" if left_out else "")
    return finish(figure, title + (f" by {label}" if label else ""), notes, f"{len(places):,} points.")
