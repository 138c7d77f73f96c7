"""How often each value of a category occurs, or any few named amounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from clary.data.errors import DataError
from clary.data.plot.sample import LARGEST, Data, groups_of, sample_of
from clary.data.plot.style import COLOURS, OTHER_COLOUR, finish, label_axes, new_figure, shown_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_BARS = 100


def bars(data: Data | Mapping[str, float], column: str = "", *, most: int = 20, share: bool = False) -> Figure:
    """Rows of each value of a column, the most frequent first; a bar for all others, and a bar for missing values.

    data    a table and `column`, or name -> amount, e.g. importances, drawn in the order given
    most    values with a bar of their own
    share   of all rows drawn, in place of their number
    """
    if not 1 <= most <= MAX_BARS:
        raise DataError(f"bars: most: give a number from 1 to {MAX_BARS}, not {most}")
    if isinstance(data, Mapping):
        return _named(data, column, most)
    if not column:
        raise DataError("bars: give a column")
    sample = sample_of(data, [column])
    groups = groups_of(sample.batch[column], column, most)
    if not groups.labels:
        raise DataError(f"column {column!r} has nothing to draw: no rows")
    heights = groups.counts / sample.batch.rows if share else groups.counts.astype(np.float64)
    figure = new_figure(6.4, _height(len(groups.labels)))
    axes = figure.add_subplot()
    draw_named(axes, groups.labels, heights.tolist(), named=groups.named)
    label_axes(axes, "share of rows" if share else "rows", column)
    amounts = ", ".join(f"{label}: {height:g}" for label, height in zip(groups.labels[:5], heights, strict=False))
    return finish(figure, f"Values of {column}", (sample.note,), f"The most frequent: {amounts}.")


def _named(amounts: Mapping[str, float], title: str, most: int) -> Figure:
    if not amounts:
        raise DataError("bars: there is nothing to draw: no amounts")
    for name, amount in amounts.items():
        if not isinstance(amount, int | float | np.number) or not abs(float(amount)) <= LARGEST:
            raise DataError(f"bars: the amount of {name!r} is {amount!r}, not a number within ±{LARGEST:g}")
    first = dict(list(amounts.items())[:most])
    note = f"the first {len(first)} of {len(amounts)}" if len(first) < len(amounts) else ""
    figure = new_figure(6.4, _height(len(first)))
    axes = figure.add_subplot()
    draw_named(axes, list(first), [float(amount) for amount in first.values()])
    label_axes(axes, "", "")
    summary = ", ".join(f"{name}: {amount:g}" for name, amount in first.items())
    return finish(figure, title or "Amounts", (note,), f"{summary}.")


def draw_named(axes: Axes, labels: Sequence[str], heights: Sequence[float], named: int | None = None) -> None:
    """Bars from top to bottom, the amount at the end of each; those behind the first `named` are grey."""
    places = np.arange(len(heights))
    colours = [COLOURS[0] if named is None or place < named else OTHER_COLOUR for place in places]
    bars = axes.barh(places, heights, color=colours)
    axes.set_yticks(places, [shown_text(label) for label in labels])
    axes.invert_yaxis()
    axes.bar_label(bars, [f"{height:,.6g}" for height in heights], padding=2, fontsize=7)
    axes.margins(x=0.12)


def _height(count: int) -> float:
    return min(24.0, max(2.4, 1.2 + 0.28 * count))
