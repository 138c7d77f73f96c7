"""From whatever file people have to a clean numeric table, the same at training and at inference.

    from clary.data import Recipe, profile, read, scan
    table = read("passengers.csv")                 # a DataFrame; scan(...) for what is larger than memory
    print(profile(table, target="survived"))       # what is in it, and which step would mend what is wrong
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

# name -> the module it comes from: each is imported when it is first used, so that `import clary.data` costs nothing.
_FROM = {
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
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"clary.data.{_FROM[name]}"), name)
