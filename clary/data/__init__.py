"""From files of any usual format to clean numeric tables, the same at training and at inference.

    from clary.data import Recipe, profile, read, scan
    table = read("passengers.csv")                 # a DataFrame; scan(...) for what is larger than memory
    print(profile(table, target="survived"))       # its statistics, and the steps that mend what is wrong
    fitted = Recipe.load("recipe.yaml").fit(table)
    features = fitted.transform(table)             # or fitted.transform_row(row), bit for bit the same
A library of its own: it needs no server. `pip install 'clary[data]'`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clary.data import plot
    from clary.data.errors import DataError, ReadError, RecipeError, StepError
    from clary.data.profiling import Profile, profile
    from clary.data.recipe import FittedRecipe, Recipe
    from clary.data.sinks import sink, write
    from clary.data.sources import read, scan

# The module of each name, imported when the name is first used, so that `import clary.data` is quick.
_MODULES = {
    "DataError": "errors",
    "FittedRecipe": "recipe",
    "Profile": "profiling",
    "ReadError": "errors",
    "Recipe": "recipe",
    "RecipeError": "errors",
    "StepError": "errors",
    "profile": "profiling",
    "read": "sources",
    "scan": "sources",
    "sink": "sinks",
    "write": "sinks",
}

__all__ = [
    "DataError",
    "FittedRecipe",
    "Profile",
    "ReadError",
    "Recipe",
    "RecipeError",
    "StepError",
    "plot",
    "profile",
    "read",
    "scan",
    "sink",
    "write",
]


def __getattr__(name: str) -> Any:
    if name == "plot":
        return importlib.import_module("clary.data.plot")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"clary.data.{_MODULES[name]}"), name)
