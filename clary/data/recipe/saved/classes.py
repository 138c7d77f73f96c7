"""The classes that a saved recipe may name: the dataclasses of the steps' modules, and no others.

A module of Clary's own steps is named below their package; one that an installed package adds, in full.
"""

from __future__ import annotations

import functools
import pkgutil
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

import numpy as np

from clary.data.errors import DataError
from clary.data.recipe import steps as package
from clary.data.recipe.saved.renamed import module_today

_PREFIX = f"{package.__name__}."


def name_of(value: object) -> str | None:
    """The name of a value's class in a file, "module:class"; None where no file may name it."""
    kind = type(value)
    module = kind.__module__.removeprefix(_PREFIX)
    if not is_dataclass(kind) or (module == kind.__module__ and module not in _installed_modules()):
        return None
    return f"{module}:{kind.__name__}" if vars(import_module(kind.__module__)).get(kind.__name__) is kind else None


def class_named(name: str) -> type[Any]:
    """The dataclass of a step's module. Raises DataError for anything else."""
    module, _, class_name = name.partition(":")
    module = module_today(module)
    kind: Any = None
    path = _PREFIX + module if module in _modules() else module if module in _installed_modules() else ""
    if path:
        kind = vars(import_module(path)).get(class_name)
        kind = kind if getattr(kind, "__module__", None) == path else None
    if not isinstance(kind, type) or not is_dataclass(kind):
        raise DataError(f"there is no step {name[:80]!r} in this Clary")
    return kind


@functools.cache
def _modules() -> frozenset[str]:
    """The modules of steps, below their package."""
    return frozenset(info.name.removeprefix(_PREFIX) for info in pkgutil.walk_packages(package.__path__, _PREFIX))


def _installed_modules() -> frozenset[str]:
    """The modules that entry points of installed packages name."""
    return frozenset(entry.module for entries in package.installed().values() for entry in entries)


def fields_of(value: Any) -> dict[str, Any]:
    """The arguments that construct the value again, by name."""
    return {field.name: getattr(value, field.name) for field in fields(value) if field.init}


def construct(class_name: str, values: Mapping[str, Any]) -> Any:
    """An object of that class. Raises DataError where fields are missing, too many, or of another type."""
    kind = class_named(class_name)
    if set(values) != {field.name for field in fields(kind) if field.init}:
        raise DataError(f"{class_name} has other fields in this Clary")
    annotations = typing.get_type_hints(kind)
    for name, value in values.items():
        if not is_of_type(value, annotations[name]):
            raise DataError(f"{class_name} has a {name} of another type")
    return kind(**values)


def is_of_type(value: Any, wanted: Any) -> bool:
    """Whether a value may stand in a field with this annotation, as far as the annotation restricts it."""
    origin, members = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is Any or wanted is object or isinstance(wanted, typing.TypeVar):
        return True
    if origin is typing.Literal:
        return value in members
    if origin in (typing.Union, types.UnionType):
        return any(is_of_type(value, member) for member in members)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        any_length = members[1:] == (...,)
        pairs = [(item, members[0]) for item in value] if any_length else list(zip(value, members, strict=False))
        return (any_length or len(value) == len(members)) and all(is_of_type(*pair) for pair in pairs)
    if origin is not None:
        return not isinstance(origin, type) or isinstance(value, origin)
    if wanted is None:
        return value is None
    if wanted is float:
        return isinstance(value, int | float | np.floating) and not isinstance(value, bool)
    return isinstance(value, wanted) if isinstance(wanted, type) else True
