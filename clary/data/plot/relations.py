"""How number columns are related: scatter plots with a trend, and all pairs of a few columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Kind
from clary.data.errors import DataError
from clary.data.plot.distributions import bin_edges, draw_bars
from clary.data.plot.points import add_legend, draw_points, hue_of
from clary.data.plot.sample import POINTS, Data, number_columns, numbers_of, sample_of
from clary.data.plot.style import LINE_COLOUR, finish, label_axes, new_figure
from clary.data.plot.times import show_times

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_PAIRS = 6
LOWESS_SHARE = 2 / 3  # of the points, around each: Cleveland's own choice


def scatter(data: Data, x: str, y: str, *, by: str = "", trend: str = "linear") -> Figure:
    """Each row as a point, with the line that the points follow; the caption has the kind of line.

    by     a column that colours the points: a category, or numbers
    trend  "linear" (least squares), "lowess" (locally weighted, robust; needs statsmodels) or "none"
    """
    if trend not in ("linear", "lowess", "none"):
        raise DataError(f"scatter: trend: give 'linear', 'lowess' or 'none', not {trend!r}")
    sample = sample_of(data, [x, y, *([by] if by else [])], POINTS)
    first, second = numbers_of(sample.batch, x), numbers_of(sample.batch, y)
    both = first.present & second.present
    if not both.any():
        raise DataError(f"columns {x!r} and {y!r} have nothing to draw: no row has both")
    across, up = _values_at(first.values, first.present, both), _values_at(second.values, second.present, both)
    figure = new_figure()
    axes = figure.add_subplot()
    hue = hue_of(sample.batch, by)
    add_legend(figure, axes, hue, draw_points(axes, across, up, hue, both))
    line = trend_of(across, up, trend)
    if line is not None:
        axes.plot(line.x, line.y, color="black" if by else LINE_COLOUR, linewidth=2, label="_trend")
    label_axes(axes, x, y)
    show_times(axes, first, "x")
    show_times(axes, second, "y")
    description = line.description if line is not None else ""
    notes = (sample.note, first.note, second.note, hue.note if hue else "", description)
    return finish(figure, f"{y} against {x}", notes, f"{len(across):,} points.")


def _values_at(values: NDArray[np.float64], present: NDArray[np.bool_], both: NDArray[np.bool_]) -> NDArray[np.float64]:
    return values[both[present]]


@dataclass(frozen=True)
class Trend:
    """The points of a line, from left to right, and its description for the caption."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    description: str


def trend_of(x: NDArray[np.float64], y: NDArray[np.float64], kind: str) -> Trend | None:
    """None where there is no line: fewer than two places along x, or none is wanted."""
    if kind == "none":
        return None
    # Scaled, so that squares of very large and very small numbers stay numbers.
    middle, reach = float(np.median(x)), float(np.abs(x - np.median(x)).max())
    height = float(np.abs(y).max()) or 1.0
    if reach <= 8 * np.spacing(abs(middle)):
        return None
    if kind == "lowess":
        return _lowess((x - middle) / reach, y / height, middle, reach, height)
    scaled = (x - middle) / reach
    slope, level = np.polyfit(scaled, y / height, 1)
    ends = np.array([scaled.min(), scaled.max()])
    spread = np.std(y / height)
    r = float(np.corrcoef(scaled, y / height)[0, 1]) if spread > 1e-14 else 0.0
    description = f"line: least squares, slope {slope * height / reach:.4g}, r {r:.2f}"
    return Trend(ends * reach + middle, (slope * ends + level) * height, description)


def _lowess(x: NDArray[np.float64], y: NDArray[np.float64], middle: float, reach: float, height: float) -> Trend:
    """Reference  Cleveland (1979), Journal of the American Statistical Association 74, 829-836."""
    try:
        from statsmodels.nonparametric.smoothers_lowess import lowess
    except ModuleNotFoundError:
        raise DataError("scatter: trend 'lowess' needs statsmodels: run pip install 'clary[data]'") from None
    smooth = lowess(y, x, frac=LOWESS_SHARE, it=3, delta=0.01 * float(np.ptp(x)))
    smooth = smooth[np.isfinite(smooth).all(axis=1)]
    description = f"line: lowess over {LOWESS_SHARE:.0%} of the points"
    return Trend(smooth[:, 0] * reach + middle, smooth[:, 1] * height, description)


def pairs(data: Data, columns: Sequence[str] = (), *, by: str = "") -> Figure:
    """Every pair of some columns as points, and each column's own histogram on the diagonal.

    columns  of numbers, at most 6; none: the first 6 there are
    """
    if isinstance(columns, str):
        columns = (columns,)
    sample = sample_of(data, [*columns, *([by] if by else [])] if columns else (), POINTS // 2)
    if not columns and by:
        columns = [name for name in sample.batch.schema.of_kind(Kind.NUMBER, Kind.BOOLEAN) if name != by][:MAX_PAIRS]
    names = number_columns(sample.batch, columns, MAX_PAIRS, "a plot of pairs")
    found = [numbers_of(sample.batch, name) for name in names]
    side = max(4.8, 1.9 * len(names))
    figure = new_figure(side, side)
    hue, dots = hue_of(sample.batch, by), None
    grid = figure.subplots(len(names), len(names), squeeze=False, sharex="col")
    for row, up in enumerate(found):
        for place, across in enumerate(found):
            axes = grid[row][place]
            if row == place:
                draw_bars(axes, up.values, bin_edges(up.values))
                axes.set_yticks([])
            else:
                both = across.present & up.present
                points = _values_at(across.values, across.present, both), _values_at(up.values, up.present, both)
                dots = draw_points(axes, *points, hue, both)
                show_times(axes, up, "y")
            show_times(axes, across, "x")
            label_axes(axes, names[place] if row == len(names) - 1 else "", names[row] if place == 0 else "")
            axes.tick_params(labelsize=7)
    if len(names) > 1:
        add_legend(figure, grid[1][0], hue, dots, outside=True)
    title = f"Pairs of {', '.join(names)}" + (f" by {by}" if by else "")
    return finish(
        figure, title, (sample.note, *(column.note for column in found)), f"{len(names)} columns against each other."
    )
