"""Points on a plane, coloured by a column: by category with marks of their own, or by amount."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Kind
from clary.data.plot.sample import Groups, Numbers, groups_of, numbers_of
from clary.data.plot.style import AMOUNTS, COLOURS, MARKS, OTHER_COLOUR, key_text, legend, shown_text
from clary.data.plot.times import show_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Hue:
    """What colours the points: either `groups` or `scale`."""

    name: str
    groups: Groups | None = None
    scale: Numbers | None = None

    @property
    def note(self) -> str:
        return self.scale.note.replace("left out of", "grey by") if self.scale is not None else ""


def hue_of(batch: Batch, by: str) -> Hue | None:
    """A time, or a column of numbers with more values than there are colours, colours by amount. None for no column."""
    if not by:
        return None
    column, kind = batch[by], batch.schema[by].kind
    if kind is Kind.TIME or (kind is Kind.NUMBER and len(np.unique(column)) > len(COLOURS)):
        return Hue(by, scale=numbers_of(batch, by))
    return Hue(by, groups=groups_of(column, by, len(COLOURS)))


def draw_points(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], hue: Hue | None, which: NDArray[np.bool_]
) -> Any:
    """Draw the points; what a colour bar is made from, None where there is none.

    which  (rows,), the rows that x and y are of
    """
    style: dict[str, Any] = {"s": 12.0 if len(x) > 1_000 else 20.0, "alpha": 0.7, "rasterized": len(x) > 2_000}
    if hue is None:
        axes.scatter(x, y, color=COLOURS[0], linewidths=0, **style)
        return None
    if hue.groups is not None:
        codes = hue.groups.codes[which]
        for code, label in enumerate(hue.groups.labels):
            inside = codes == code
            other = code >= hue.groups.named
            style |= (
                {"marker": "x", "linewidths": 1, "zorder": 0.5}  # below those of a group with a name
                if other
                else {"marker": MARKS[code], "linewidths": 0, "zorder": 1}
            )
            colour = OTHER_COLOUR if other else COLOURS[code]
            axes.scatter(x[inside], y[inside], color=colour, label=key_text(label), **style)
        return None
    assert hue.scale is not None
    known = hue.scale.present[which]
    amounts = np.full(len(which), np.nan)
    amounts[hue.scale.present] = hue.scale.values
    axes.scatter(x[~known], y[~known], color=OTHER_COLOUR, marker="x", linewidths=1, **style)
    low, high = float(hue.scale.values.min()), float(hue.scale.values.max())
    amount = amounts[which][known]
    return axes.scatter(x[known], y[known], c=amount, cmap=AMOUNTS, vmin=low, vmax=high, linewidths=0, **style)


def add_legend(figure: Figure, axes: Axes, hue: Hue | None, points: Any, *, outside: bool = False) -> None:
    """Add a legend or a colour bar for the colours; outside: beside all the figure's axes."""
    if hue is None:
        return
    if hue.scale is not None and points is not None:
        bar = figure.colorbar(points, ax=figure.axes if outside else axes, label=shown_text(hue.name))
        show_times(bar.ax, hue.scale, "y")
    elif hue.groups is not None and outside:
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", title=shown_text(hue.name), fontsize=8)
    elif hue.groups is not None:
        legend(axes, hue.name)
