"""What a step, or a whole recipe, does to a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clary.data.batch import Batch, Block, Column, Kind, kind_of, missing
from clary.data.errors import DataError
from clary.data.plot.categories import draw_named
from clary.data.plot.distributions import bin_edges, draw_bars
from clary.data.plot.sample import Data, groups_of, need_column, numbers_of, sample_of, scan_in
from clary.data.plot.style import finish, label_axes, new_figure
from clary.data.plot.times import show_times
from clary.data.progress import quiet
from clary.data.recipe import FittedRecipe, Recipe
from clary.data.recipe.fit import fit_steps
from clary.data.recipe.plan import in_one_batch, transformed
from clary.data.recipe.step import FittedStep, Step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_BARS = 12


def before_after(step: Any, data: Data, column: str) -> Figure:
    """A column before and after a step or recipe, side by side.

    step  a step (as recipes write it: {"log1p": {}}) or a Recipe, which is fitted on all of the data, or a FittedRecipe
    Where the column was removed, the columns that replaced it are drawn: how many rows have a value in each.
    Raises DataError, and what fitting and transforming raise.
    """
    steps = _fitted(step, data)
    sample = sample_of(data)
    before = sample.batch
    need_column(before.schema, column)
    after = in_one_batch(transformed(steps, scan_in(before), training=True))
    recipe = step.recipe if isinstance(step, FittedRecipe) else step
    name = getattr(recipe, "name", "") or "the recipe"
    figure = new_figure(9.6, 4.4)
    left, right = figure.subplots(1, 2)
    _draw(left, column, before[column])
    left.set_title(f"before: {_rows(before, before[column])}", fontsize=9)
    if column in after.columns:
        right_title = _rows(after, after[column])
        _draw(right, column, after[column])
    else:
        right_title = _draw_made(right, before, after, column)
    right.set_title(f"after: {right_title}", fontsize=9)
    alt = f"Before: {_rows(before, before[column])}. After: {right_title}."
    return finish(figure, f"{column} before and after {name}", (sample.note,), alt)


def _fitted(step: Any, data: Data) -> Sequence[FittedStep]:
    if isinstance(step, FittedStep):
        return (step,)
    if isinstance(step, str | Mapping):
        step = Recipe([step]).steps[0]
    if isinstance(step, Step):
        return fit_steps((step,), scan_in(data))
    if isinstance(step, Recipe):
        return step.fit(scan_in(data), progress=quiet).steps
    if isinstance(step, FittedRecipe):
        return step.steps
    raise DataError(f"before_after: give a step or a recipe, not {type(step).__name__}")


def _rows(batch: Batch, column: Column) -> str:
    absent = int(missing(column).sum())
    return f"{batch.rows:,} rows" + (f", {absent:,} missing" if absent else "")


def _draw(axes: Axes, name: str, column: Column) -> None:
    batch = Batch({name: column}, len(column))
    if missing(column).all():
        axes.text(0.5, 0.5, "no values" if batch.rows else "no rows", ha="center", transform=axes.transAxes)
        axes.set_axis_off()
    elif kind_of(column) is Kind.BLOCK:
        _draw_block(axes, column)
    elif kind_of(column) in (Kind.TEXT, Kind.BOOLEAN):
        groups = groups_of(column, name, MAX_BARS)
        draw_named(axes, groups.labels, groups.counts.tolist(), named=groups.named)
        label_axes(axes, "rows", name)
    else:
        found = numbers_of(batch, name)
        draw_bars(axes, found.values, bin_edges(found.values, whole=column.dtype.kind in "iu"))
        show_times(axes, found)
        label_axes(axes, name, "rows")


def _draw_block(axes: Axes, block: Block) -> None:
    matrix = block.matrix
    used = np.asarray((matrix != 0).sum(axis=0)).ravel()
    order = np.argsort(-used, kind="stable")[:MAX_BARS]
    draw_named(axes, [block.names[place] for place in order], [float(used[place]) for place in order])
    label_axes(axes, "rows that are not zero", "")


def _draw_made(axes: Axes, before: Batch, after: Batch, column: str) -> str:
    """Draw the columns that were added. The title of the right half."""
    made = [name for name in after if name not in before.columns]
    blocks = [name for name in made if kind_of(after[name]) is Kind.BLOCK]
    own = [name for name in made if name.startswith(column)] or made
    if not own:
        axes.text(0.5, 0.5, "the column was removed", ha="center", transform=axes.transAxes)
        axes.set_axis_off()
        return "removed"
    if blocks and (len(own) == 1 or not set(own) - set(blocks)):
        _draw_block(axes, after[blocks[0]])
        return f"{len(after[blocks[0]].names):,} columns"
    numbers = [name for name in own if kind_of(after[name]) in (Kind.NUMBER, Kind.BOOLEAN)]
    if len(own) == 1 or not numbers:
        _draw(axes, own[0], after[own[0]])
        return f"column {own[0]}"
    numbers = numbers[:MAX_BARS]
    draw_named(axes, numbers, [float(np.count_nonzero(np.nan_to_num(after[name]))) for name in numbers])
    label_axes(axes, "rows that are not zero", "")
    return f"{len(own):,} columns"
