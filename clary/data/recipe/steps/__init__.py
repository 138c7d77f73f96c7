"""The steps there are: each module of this package defines some, and registers them when it is imported.

None of them imports a heavy library before it is used, so that looking all of them up is quick.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Mapping

from clary.data.batch import some
from clary.data.errors import RecipeError
from clary.data.recipe.step import STEPS, Step


@functools.cache
def _load() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


def every() -> Mapping[str, type[Step]]:
    """All steps by the names that recipes call them."""
    _load()
    return STEPS


def named(name: str) -> type[Step]:
    """The step of this name. Raises RecipeError, with the nearest name there is."""
    steps = every()
    if name not in steps:
        raise RecipeError(f"there is no step {name!r}; {nearest(name, steps)}")
    return steps[name]


def nearest(name: object, known: Mapping[str, object] | list[str]) -> str:
    """What somebody may have meant, for a message."""
    close = difflib.get_close_matches(str(name), list(known), 1)
    return f"is it {close[0]!r}?" if close else f"there are: {some(sorted(known), 60)}"
