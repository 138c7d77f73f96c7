"""How the values of number columns are spread: histograms and box plots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clary.data.errors import DataError
from clary.data.plot.sample import Data, Numbers, groups_of, number_columns, numbers_of, sample_of
from clary.data.plot.style import (
    COLOURS,
    LINE_COLOUR,
    OTHER_COLOUR,
    finish,
    key_text,
    label_axes,
    legend,
    new_figure,
    shown_text,
)
from clary.data.plot.times import show_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_BINS = 100
MAX_BOXES = 12
MAX_GROUPS = 4  # histograms over each other
MAX_OUTLIERS = 500  # points of one box

Bins = int | str | Sequence[float]


def hist(
    data: Data, column: str, *, by: str = "", bins: Bins = "auto", density: bool = False, log: bool = False
) -> Figure:
    """How often the values of a column of numbers or times fall into each of some equal ranges.

    by       a category: one histogram for each of its most frequent values, over each other
    bins     how many, their edges, or "auto": the finer of Freedman & Diaconis' and Sturges' rules, 100 at most
    density  heights are such that the area is 1, in place of counts
    log      the counts' axis is logarithmic
    """
    sample = sample_of(data, [column, *([by] if by else [])])
    found = numbers_of(sample.batch, column)
    edges = bin_edges(found.values, bins, whole=sample.batch[column].dtype.kind in "iu")
    figure = new_figure()
    axes = figure.add_subplot()
    if by:
        groups = groups_of(sample.batch[by], by, MAX_GROUPS)
        for code, label in enumerate(groups.labels):
            inside = found.values[groups.codes[found.present] == code]
            draw_steps(axes, inside, edges, density, place=code, label=label)
        legend(axes, by)
    else:
        draw_bars(axes, found.values, edges, density)
    if log:
        axes.set_yscale("log", nonpositive="clip")
    label_axes(axes, column, "density" if density else "rows")
    show_times(axes, found)
    return finish(
        figure, f"Histogram of {column}" + (f" by {by}" if by else ""), (sample.note, found.note), summary_of(found)
    )


def bin_edges(values: NDArray[np.float64], bins: Bins = "auto", whole: bool = False) -> NDArray[np.float64]:
    """Edges of the bins, rising. Raises DataError for bins that cannot be.

    whole  the values are whole numbers: each "auto" bin holds as many of them as any other
    """
    low, high = float(values.min()), float(values.max())
    if isinstance(bins, str):
        if bins != "auto":
            raise DataError(f"bins: give a number, edges, or 'auto', not {bins!r}")
        if whole and high - low < 1e9:
            return _around_whole(low, high, _bin_count(values, low, high))
        bins = _bin_count(values, low, high)
    if isinstance(bins, int | np.integer):
        if isinstance(bins, bool) or not 1 <= bins <= 10_000:
            raise DataError(f"bins: give a number from 1 to 10,000, not {bins}")
        if low == high or (high - low) / bins < 4 * np.spacing(max(abs(low), abs(high))):
            # Too close to each other to be separated by so many edges.
            wide = max(0.5, 1e-9 * max(abs(low), abs(high)))
            low, high, bins = low - wide, high + wide, 1
        return np.linspace(low, high, int(bins) + 1)
    try:
        edges = np.asarray(bins, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"bins: give a number, edges, or 'auto', not {bins!r}") from None
    if edges.ndim != 1 or len(edges) < 2 or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        raise DataError("bins: edges are two or more finite numbers, each larger than the edge before it")
    return edges


def _around_whole(low: float, high: float, bins: int) -> NDArray[np.float64]:
    """Edges half way between whole numbers."""
    width = max(1, math.ceil((high - low + 1) / bins))
    count = math.ceil((high - low + 1) / width)
    return low - 0.5 + width * np.arange(count + 1, dtype=np.float64)


def _bin_count(values: NDArray[np.float64], low: float, high: float) -> int:
    """numpy's "auto", which has no upper limit of its own.

    Reference  Freedman & Diaconis (1981), Probability Theory and Related Fields 57, 453-476; Sturges (1926).
    """
    first, third = np.quantile(values, [0.25, 0.75])
    narrow = [(high - low) / (math.log2(len(values)) + 1)]
    if third > first:
        narrow.append(2 * (third - first) / len(values) ** (1 / 3))
    width = min(narrow)
    return min(MAX_BINS, math.ceil((high - low) / width)) if width > 0 else 1


def draw_bars(axes: Axes, values: NDArray[np.float64], edges: NDArray[np.float64], density: bool = False) -> None:
    heights, _ = np.histogram(values, edges, density=density)
    axes.bar(edges[:-1], heights, np.diff(edges), align="edge", color=COLOURS[0], edgecolor="white", linewidth=0.4)


def draw_steps(
    axes: Axes, values: NDArray[np.float64], edges: NDArray[np.float64], density: bool, *, place: int, label: str
) -> None:
    """A histogram among several: an outline with a line style and colour of its own."""
    heights, _ = np.histogram(values, edges, density=density and len(values) > 0)
    colour = COLOURS[place] if place < len(COLOURS) else OTHER_COLOUR
    style = ("-", "--", ":", "-.", (0, (1, 4)), (0, (5, 5)))[place % 6]
    axes.stairs(heights, edges, color=colour, linestyle=style, linewidth=1.6, label=key_text(label))


def summary_of(found: Numbers) -> str:
    if found.times:
        first, last = (found.values[[found.values.argmin(), found.values.argmax()]] * 86_400).astype("datetime64[s]")
        return f"{len(found.values):,} moments from {first} to {last}."
    low, middle, high = np.quantile(found.values, [0, 0.5, 1])
    return f"{len(found.values):,} values from {low:g} to {high:g}, median {middle:g}."


def box(data: Data, columns: Sequence[str] = (), *, by: str = "") -> Figure:
    """Quartiles, whiskers and outliers: of some columns, each on a scale of its own, or of a column in groups.

    Boxes go from the first quartile to the third, whiskers to the last values within 1.5 times that range (Tukey).
    columns  of numbers; none: the first 12 there are
    by       a category: a box of the column for each of its most frequent values
    """
    if isinstance(columns, str):
        columns = (columns,)
    if by and len(columns) != 1:
        raise DataError(f"box: with by={by!r} give one column, not {len(columns)}")
    sample = sample_of(data, [*columns, *([by] if by else [])] if columns else ())
    names = number_columns(sample.batch, columns, MAX_BOXES, "box plots")
    found = [numbers_of(sample.batch, name) for name in names]
    figure = new_figure(max(6.4, 1.1 * len(names)), 4.8)
    if by:
        _draw_groups(figure.add_subplot(), sample.batch, names[0], by, found[0])
    else:
        for axes, name, column in zip(figure.subplots(1, len(names), squeeze=False)[0], names, found, strict=True):
            _draw_boxes(axes, [column.values], [name])
            show_times(axes, column, "y")
    title = f"Box plot of {names[0]} by {by}" if by else f"Box plot{'s' * (len(names) > 1)} of {', '.join(names)}"
    alt = " ".join(f"{name}: {summary_of(column)}" for name, column in zip(names, found, strict=True))
    return finish(figure, title, (sample.note, *(column.note for column in found)), alt)


def _draw_groups(axes: Axes, batch: Any, name: str, by: str, found: Numbers) -> None:
    groups = groups_of(batch[by], by, MAX_BOXES)
    codes = groups.codes[found.present]
    groups_found = [(label, found.values[codes == code]) for code, label in enumerate(groups.labels)]
    filled = [(label, values) for label, values in groups_found if len(values)]
    _draw_boxes(axes, [values for _, values in filled], [f"{label} ({len(values):,})" for label, values in filled])
    label_axes(axes, by, name)
    show_times(axes, found, "y")


def _draw_boxes(axes: Axes, groups: Sequence[NDArray[np.float64]], labels: Sequence[str]) -> None:
    from matplotlib.cbook import boxplot_stats

    stats = []
    for values, label in zip(groups, labels, strict=True):
        (group,) = boxplot_stats(values)
        outliers = np.sort(group["fliers"])
        if len(outliers) > MAX_OUTLIERS:  # evenly, both ends among them: more would merge into a line
            outliers = outliers[np.linspace(0, len(outliers) - 1, MAX_OUTLIERS).astype(int)]
        stats.append(group | {"fliers": outliers, "label": shown_text(label, 20)})
    axes.bxp(
        stats,
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": COLOURS[5], "edgecolor": "black"},
        medianprops={"color": LINE_COLOUR, "linewidth": 2},
        flierprops={"marker": "o", "markersize": 3, "markerfacecolor": "none", "markeredgecolor": OTHER_COLOUR},
    )
    axes.spines[["top", "right"]].set_visible(False)
    if sum(map(len, labels)) > 60 or len(labels) > 6 or (len(labels) == 1 and len(labels[0]) > 10):
        axes.tick_params(axis="x", labelrotation=60)
