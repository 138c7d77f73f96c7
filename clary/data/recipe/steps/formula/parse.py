"""Formulas over columns, as recipes write them: `price * (1 + tax)`, `age >= 18 and city in ["Bonn", "Köln"]`.

    text ── parsed ──> Python's syntax tree, of which little is allowed ── bound(kinds) ──> Node ──> values of a batch
                                                                                             └──> code of one row
Nothing of a formula is ever run as Python: names are columns, there are no attributes, and calls are of the functions
below alone. All numbers are float64, so that no power is larger than a float.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from clary.data.batch import Kind
from clary.data.errors import RecipeError
from clary.data.recipe.steps.formula.binding import Binder
from clary.data.recipe.steps.formula.nodes import Node
from clary.data.recipe.steps.formula.syntax import columns_of, tree_of


@dataclass(frozen=True)
class Formula:
    """A formula that has been checked as far as is possible without a table.

    columns  that it reads, in the order in which it names them
    """

    text: str
    columns: tuple[str, ...]

    def bound(self, kinds: tuple[Kind, ...]) -> Node:
        """To columns of these kinds, in the order of `columns`. Raises StepError where an operation is not for them."""
        return _bound(self.text, self.columns, kinds)


@functools.lru_cache(maxsize=256)
def parsed(text: str) -> Formula:
    """The formula. Raises RecipeError for what is not allowed, and for wrong syntax, with the place."""
    columns = dict.fromkeys(columns_of(tree_of(text)))
    if not columns:
        raise RecipeError(f"the expression {text!r} names no column")
    return Formula(text, tuple(columns))


@functools.lru_cache(maxsize=256)
def _bound(text: str, columns: tuple[str, ...], kinds: tuple[Kind, ...]) -> Node:
    return Binder(dict(zip(columns, kinds, strict=True))).node(tree_of(text))
