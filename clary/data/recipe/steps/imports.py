"""What a recipe may import by name.

Importing a module runs its code, and recipes come from strangers: only modules that the program has allowed are
imported. A recipe cannot allow any; the program that reads it can, before it does:

    from clary.data.recipe.steps.imports import allow
    allow("my_features")
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any

from clary.data.batch import some
from clary.data.errors import RecipeError

# Readers of files and of the network, tests, and other people's code are no transformers.
_NOT_OF_SKLEARN = ("sklearn.datasets", "sklearn.externals", "sklearn.tests", "sklearn.conftest", "sklearn.utils")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*")

# Parameters that make an estimator open files that the data name, or a folder of pickles, with all they may be.
_FILES = {"input": "content", "memory": None}

_allowed: set[str] = {"sklearn"}


def allow(*modules: str) -> None:
    """From now on, in this process, recipes may name these modules and what is below them."""
    for name in modules:
        if not _NAME.fullmatch(name):
            raise RecipeError(f"{name!r} is not the name of a module")
        _allowed.add(name)


def check(module: str, parameter: str) -> None:
    """Raise RecipeError unless recipes may name this module. Imports nothing."""
    if not _NAME.fullmatch(module):
        raise RecipeError(f"{parameter}: {module!r} is not the name of a module")
    inside = any(module == allowed or module.startswith(f"{allowed}.") for allowed in _allowed)
    closed = any(module == package or module.startswith(f"{package}.") for package in _NOT_OF_SKLEARN)
    if not inside or closed or ".tests" in module:
        raise RecipeError(
            f"{parameter}: recipes may not import {module!r}; allowed are {some(sorted(_allowed))} and what is below. "
            f"If you trust it, call clary.data.recipe.steps.imports.allow({module.partition('.')[0]!r}) first"
        )


def check_parameters(params: Mapping[str, Any]) -> None:
    """Raise RecipeError for parameters by which an estimator would read or write files."""
    for name, only in _FILES.items():
        if params.get(name, only) != only:
            raise RecipeError(f"params: {name}: in recipes only {only!r} is allowed; anything else opens files")


def found(module: str, name: str, parameter: str) -> Any:
    """A class or function by its module and name. Raises RecipeError where it may not be named, or is not there.

    What the module itself only imported from elsewhere, from where recipes may not import, is not given either.
    """
    check(module, parameter)
    if not _NAME.fullmatch(name) or "." in name:
        raise RecipeError(f"{parameter}: {name!r} is not the name of a class or function")
    try:
        made = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise RecipeError(f"{parameter}: there is no {name!r} in {module!r}: {error}") from None
    home = getattr(made, "__module__", None)
    if not isinstance(home, str):
        raise RecipeError(f"{parameter}: {module}.{name} is neither a class nor a function")
    if not any(home == allowed or home.startswith(f"{allowed}.") for allowed in _allowed):
        raise RecipeError(f"{parameter}: {module}.{name} is of {home!r}, which recipes may not import")
    return made
