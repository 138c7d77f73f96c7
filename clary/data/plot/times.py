"""Axes along which days are counted, shown as dates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clary.data.errors import DataError
from clary.data.plot.sample import Numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def show_times(axes: Axes, found: Numbers, axis: str = "x") -> None:
    """Dates along an axis of days since 1970, where these values are times. Raises DataError for extreme years."""
    if not found.times:
        return
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    first, last = float(found.values.min()), float(found.values.max())
    if not -600_000 < first <= last < 2_700_000:  # Matplotlib draws years 1 to 9999, and the axis is wider than this
        raise DataError("times before the year 328 or after 9361 cannot be drawn")
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    time_axis = axes.xaxis if axis == "x" else axes.yaxis
    time_axis.set_major_locator(locator)
    time_axis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
