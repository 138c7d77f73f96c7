"""Small charts as SVG, drawn with the page's own colours: light or dark, sharp at any size, and quick to make.

Each says in words what it shows, for who cannot see it. Nothing from the table is put in unescaped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from clary.data.batch import missing
from clary.data.profiling.formatting import number, shown, time
from clary.data.profiling.summaries import Histogram, Matrix, Numbers
from clary.data.statistics.base import Sample

_WIDTH, _BARS, _BOX = 460, 110, 26
_STRIPS = 100  # rows of the missingness matrix
MOST_HEAT = 30  # columns of a heat map that can still be read


def histogram_svg(found: Histogram, numbers: Numbers | None, *, times: bool = False) -> Markup:
    """Bars, and, of numbers, the box plot below on the same axis."""
    formatted = time if times else number
    count = len(found.counts)
    most = max(found.counts, default=0) or 1
    width = _WIDTH / max(count, 1)
    bars = "".join(
        f'<rect x="{place * width:.2f}" y="{_BARS - (height := _BARS * rows / most):.2f}" '
        f'width="{max(width - 1, 0.5):.2f}" height="{height:.2f}" class="mark"/>'
        for place, rows in enumerate(found.counts)
        if rows
    )
    box = _box(found, numbers) if numbers is not None else ""
    height = _BARS + (_BOX if box else 0) + 20
    ends = (
        f'<text x="0" y="{height - 4}">{escape(formatted(found.low))}</text>'
        f'<text x="{_WIDTH}" y="{height - 4}" text-anchor="end">{escape(formatted(found.high))}</text>'
    )
    axis = f'<line x1="0" y1="{_BARS}" x2="{_WIDTH}" y2="{_BARS}" class="axis"/>'
    return _svg(height, _said(found, numbers, times), bars + axis + box + ends)


def _said(found: Histogram, numbers: Numbers | None, times: bool) -> str:
    formatted = time if times else number
    peak = int(np.argmax(found.counts))
    step = (found.high - found.low) / len(found.counts)
    low, high = found.low + peak * step, found.low + (peak + 1) * step
    label = f"Histogram of {found.values:,} values from {formatted(found.low)} to {formatted(found.high)}; "
    label += f"most, {found.counts[peak]:,}, lie between {formatted(low)} and {formatted(high)}."
    if numbers is not None:
        q1, q2, q3 = (number(numbers.quantiles[q]) for q in (0.25, 0.5, 0.75))
        label += f" Box plot: quartiles {q1}, {q2} and {q3}; {numbers.outliers:,} values outside the whiskers."
    return label


def _box(found: Histogram, numbers: Numbers) -> str:
    """From the first to the third quartile, with the median; whiskers to the fences, or to the extremes within."""
    whole = found.high - found.low
    q1, q2, q3 = (numbers.quantiles[q] for q in (0.25, 0.5, 0.75))
    low, high = max(numbers.fences[0], numbers.low), min(numbers.fences[1], numbers.high)
    if not all(math.isfinite(value) for value in (q1, q2, q3, low, high)) or not whole > 0:
        return ""
    a, b, c, d, e = (_WIDTH * min(max((value - found.low) / whole, 0.0), 1.0) for value in (low, q1, q2, q3, high))
    top, middle, bottom = _BARS + 5, _BARS + 5 + 8, _BARS + 5 + 16
    return (
        f'<line x1="{a:.1f}" y1="{middle}" x2="{b:.1f}" y2="{middle}" class="axis"/>'
        f'<line x1="{d:.1f}" y1="{middle}" x2="{e:.1f}" y2="{middle}" class="axis"/>'
        f'<rect x="{b:.1f}" y="{top}" width="{max(d - b, 1):.1f}" height="{bottom - top}" class="box"/>'
        f'<line x1="{c:.1f}" y1="{top}" x2="{c:.1f}" y2="{bottom}" class="median"/>'
    )


def missingness_svg(sample: Sample, names: Sequence[str]) -> Markup:
    """Columns side by side, rows of the sample from top to bottom; the darker, the more is missing there."""
    strips = min(_STRIPS, max(sample.batch.rows, 1))
    edges = np.linspace(0, sample.batch.rows, strips + 1).astype(int)[:-1]
    width, height = _WIDTH / len(names), 2.4
    drawn = []
    for place, name in enumerate(names):
        shares = np.add.reduceat(missing(sample.batch[name]).astype(float), edges)
        shares /= np.diff(np.append(edges, sample.batch.rows))
        drawn += [
            f'<rect x="{place * width:.2f}" y="{row * height:.1f}" width="{max(width - 2, 1):.2f}" height="{height}" '
            f'class="mark" fill-opacity="{min(0.15 + 0.85 * share, 1):.2f}"/>'
            for row, share in enumerate(shares)
            if share > 0
        ]
        drawn.append(f'<text x="{place * width:.2f}" y="{strips * height + 14}" class="tick">{place + 1}</text>')
    label = f"Missing values of {len(names)} columns over {sample.batch.rows:,} rows, the first row at the top."
    return _svg(strips * height + 20, label, "".join(drawn))


def heat(matrix: Matrix) -> list[tuple[str, list[tuple[str, str]]]]:
    """Rows of a table: a name and, for each column, (the figure, the style of its cell). Columns that vary first."""
    rows = []
    for i, name in enumerate(matrix.names[:MOST_HEAT]):
        cells = [_cell(float(matrix.values[i, j])) for j in range(min(len(matrix.names), MOST_HEAT))]
        rows.append((shown(name, 24), cells))
    return rows


def _cell(value: float) -> tuple[str, str]:
    if math.isnan(value):
        return "–", ""
    kind = "plus" if value >= 0 else "minus"
    return f"{value:.2f}".replace(
        "-", "−"
    ), f"background: color-mix(in srgb, var(--{kind}) {abs(value):.0%}, transparent)"


def strongest(values: NDArray[np.float64]) -> bool:
    """Whether any pair of a matrix has a figure."""
    return bool(np.isfinite(values[~np.eye(len(values), dtype=bool)]).any()) if len(values) > 1 else False


def _svg(height: float, label: str, inner: str) -> Markup:
    # `inner` is made of figures and escaped texts only.
    return Markup(  # noqa: S704
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">{inner}</svg>'
    )
