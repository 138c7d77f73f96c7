"""Tables of numbers as colours: correlations, any matrix, and where values are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import missing
from clary.data.errors import DataError
from clary.data.plot.sample import LARGEST, Data, frame_of, need_column, number_columns, numbers_of, sample_of, scan_in
from clary.data.plot.style import AMOUNTS, BALANCE, finish, new_figure, shown_text
from clary.data.scans import each_batch, schema_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MAX_COLUMNS = 60
MAX_WRITTEN = 12  # columns with the numbers in the cells
BANDS = 200


def heatmap(
    data: Data | NDArray[Any],
    columns: Sequence[str] = (),
    *,
    of: str = "pearson",
    labels: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """A matrix as colours, with its numbers where they fit.

    of       "pearson" or "spearman": the correlations of the columns, each pair over the rows where both are there;
             "values": the numbers as they are, of a DataFrame (its index names the rows) or of a 2-D array
    labels   names for an array's columns, and for its rows where it is square
    """
    if of not in ("pearson", "spearman", "values"):
        raise DataError(f"heatmap: of: give 'pearson', 'spearman' or 'values', not {of!r}")
    if isinstance(data, np.ndarray) or of == "values":
        matrix, note = _matrix_of(data, columns, labels)
        return _draw_heatmap(matrix, title or "Values", note, balanced=bool((matrix.to_numpy() < 0).any()))
    import pandas as pd

    sample = sample_of(data, columns)
    names = number_columns(sample.batch, columns, MAX_COLUMNS, "a heat map")
    values = {}
    for name in names:
        found = numbers_of(sample.batch, name)
        values[name] = np.full(sample.batch.rows, np.nan)
        values[name][found.present] = found.values
    with np.errstate(all="ignore"):  # of columns that are constant, or very large: no correlation, drawn as none
        matrix = pd.DataFrame(values).corr(method="pearson" if of == "pearson" else "spearman")
    return _draw_heatmap(matrix, title or f"{of.title()} correlation", sample.note, balanced=True, reach=1.0)


def _matrix_of(data: Any, columns: Sequence[str], labels: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """(matrix, note) of numbers that the caller gave."""
    import pandas as pd

    if isinstance(data, np.ndarray):
        if data.ndim != 2 or data.dtype.kind not in "biuf":
            raise DataError(f"heatmap: give a 2-D array of numbers, not {data.ndim}-D of {data.dtype}")
        if labels and len(labels) != data.shape[1]:
            raise DataError(f"heatmap: {len(labels)} labels for {data.shape[1]} columns")
        names = [str(label) for label in labels] or [str(place) for place in range(data.shape[1])]
        rows = names if len(names) == len(data) else [str(place) for place in range(len(data))]
        matrix = pd.DataFrame(data.astype(np.float64), index=rows, columns=names)
    else:
        frame = frame_of(data)
        if frame is None:
            raise DataError("heatmap: with of='values' give a DataFrame or a 2-D array")
        # Not a sample, and no values left out: the rows themselves are what is shown.
        batch = sample_of(frame, columns, most=max(1, len(frame))).batch
        names = list(number_columns(batch, columns, MAX_COLUMNS, "a heat map"))
        matrix = pd.DataFrame(batch.only(names).matrix(), index=[str(label) for label in frame.index], columns=names)
    if not matrix.size:
        raise DataError("heatmap: there is nothing to draw: no rows or no columns")
    if max(matrix.shape) > 1_000:
        raise DataError(f"heatmap: {matrix.shape[0]:,} by {matrix.shape[1]:,} cells are too many; give at most 1,000")
    inside = matrix.where(matrix.abs() <= LARGEST)
    return inside, f"{matrix.shape[0]:,} by {matrix.shape[1]:,} numbers"


def _draw_heatmap(matrix: pd.DataFrame, title: str, note: str, *, balanced: bool, reach: float | None = None) -> Figure:
    """balanced  colours with zero in the middle; reach  the largest amount they go to"""
    import seaborn

    values = matrix.to_numpy(dtype=np.float64)
    finite = values[np.isfinite(values)]
    if reach is None and balanced:
        reach = float(np.abs(finite).max(initial=0.0)) or 1.0
    rows, columns = matrix.shape
    written = max(rows, columns) <= MAX_WRITTEN
    figure = new_figure(max(5.0, min(20.0, 2.2 + 0.5 * columns)), max(3.6, min(20.0, 1.8 + 0.4 * rows)))
    axes = figure.add_subplot()
    seaborn.heatmap(
        matrix.to_numpy(dtype=np.float64),
        ax=axes,
        cmap=BALANCE if balanced else AMOUNTS,
        vmin=-reach if balanced and reach else (float(finite.min()) if len(finite) else 0.0),
        vmax=reach if balanced and reach else (float(finite.max()) if len(finite) else 1.0),
        annot=written,
        fmt=".2f" if reach == 1.0 else ".3g",
        annot_kws={"fontsize": 7},
        mask=~np.isfinite(values),
        xticklabels=False,
        yticklabels=False,
        square=rows == columns,
        linewidths=0.5 if written else 0.0,
    )
    axes.set_facecolor("#D8D8D8")  # of cells without a number
    _tick(axes, "x", [str(name) for name in matrix.columns])
    _tick(axes, "y", [str(name) for name in matrix.index])
    empty = int((~np.isfinite(values)).sum())
    return finish(
        figure, title, (note, f"{empty:,} cells without a number are grey" if empty else ""), _summary(matrix)
    )


def _tick(axes: Any, axis: str, names: Sequence[str]) -> None:
    """A name in the middle of every cell; of very many, some."""
    every = -(-len(names) // 60)
    places = range(0, len(names), every)
    labels = [shown_text(names[place], 24) for place in places]
    if axis == "x":
        axes.set_xticks([place + 0.5 for place in places], labels, rotation=90, fontsize=8)
    else:
        axes.set_yticks([place + 0.5 for place in places], labels, rotation=0, fontsize=8)


def _summary(matrix: pd.DataFrame) -> str:
    """The three strongest pairs of a square matrix, or its extent."""
    values = matrix.to_numpy(dtype=np.float64)
    if values.shape[0] != values.shape[1] or len(values) < 2:
        return f"{values.shape[0]} rows and {values.shape[1]} columns."
    first, second = np.triu_indices(len(values), 1)
    strength = np.nan_to_num(np.abs(values[first, second]), nan=-1.0)
    names = matrix.columns
    strongest = [place for place in np.argsort(-strength)[:3] if strength[place] >= 0]
    pairs = (
        f"{names[first[place]]} and {names[second[place]]} {values[first[place], second[place]]:.2g}"
        for place in strongest
    )
    return f"Largest: {', '.join(pairs)}."


def missingness(data: Data, columns: Sequence[str] = ()) -> Figure:
    """Where values are missing, from the table's first row at the top to its last: all rows, however many.

    Rows are drawn in at most 200 bands; the darker a cell, the larger the share of its band that is missing.
    """
    scan = scan_in(data)
    schema = schema_of(scan)
    names = tuple(need_column(schema, name) for name in dict.fromkeys(columns)) or schema.names
    if not names or not scan.rows:
        raise DataError("missingness: there is nothing to draw: no rows or no columns")
    if len(names) > MAX_COLUMNS:
        raise DataError(f"missingness: {len(names)} columns are too many; give at most {MAX_COLUMNS} by `columns`")
    rows = scan.rows
    bands = min(BANDS, rows)
    counts = np.zeros((bands, len(names)))
    sizes = np.zeros(bands)

    def work(batch: Any) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        band = batch.row_numbers * bands // rows
        absent = [np.bincount(band, missing(batch[name]), minlength=bands) for name in names]
        return np.bincount(band, minlength=bands), np.stack(absent, axis=1)

    for size, absent in each_batch(scan, names, work):
        sizes += size
        counts += absent
    shares = counts.sum(axis=0) / rows
    figure = new_figure(max(6.4, min(20.0, 1.6 + 0.34 * len(names))), 5.4)
    axes = figure.add_subplot()
    image = axes.imshow(
        counts / sizes[:, None],
        cmap="Greys",
        vmin=0,
        vmax=1,
        aspect="auto",
        interpolation="nearest",
        extent=(-0.5, len(names) - 0.5, rows, 0),
    )
    labels = [f"{shown_text(name, 24)} {_percent(share)}" for name, share in zip(names, shares, strict=True)]
    axes.set_xticks(range(len(names)), labels, rotation=90, fontsize=8)
    axes.set_ylabel("row")
    figure.colorbar(image, ax=axes, label="share missing", fraction=0.04)
    order = [place for place in np.argsort(-shares) if shares[place] > 0]
    most = ", ".join(f"{names[place]} {_percent(shares[place])}" for place in order[:5])
    note = f"{rows:,} row{'' if rows == 1 else 's'}" + (f" in {bands} bands" if bands < rows else "")
    return finish(figure, "Missing values", (note,), f"Most are missing of {most}." if most else "None is missing.")


def _percent(share: float) -> str:
    return f"{share:.1%}" if share == 0 or share >= 0.001 else "<0.1%"
