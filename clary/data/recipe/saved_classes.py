"""The classes that a saved recipe may name: the dataclasses of the steps' modules, and no others."""

from __future__ import annotations

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


def name_of(value: object) -> str | None:
    """What a file calls the class of a value; None where no file may name it."""
    kind = type(value)
    module = kind.__module__.removeprefix(f"{package.__name__}.")
    there = is_dataclass(kind) and module != kind.__module__ and vars(import_module(kind.__module__)).get(kind.__name__)
    return f"{module}:{kind.__name__}" if there is kind else None


def class_named(said: str) -> type[Any]:
    """Raises DataError for what is no dataclass of a step's module."""
    module, _, name = said.partition(":")
    found: Any = None
    if module in {one.name for one in pkgutil.iter_modules(package.__path__)}:
        path = f"{package.__name__}.{module}"
        found = vars(import_module(path)).get(name)
        found = found if getattr(found, "__module__", None) == path else None
    if not isinstance(found, type) or not is_dataclass(found):
        raise DataError(f"there is no step {said[:80]!r} in this Clary")
    return found


def fields_of(value: Any) -> dict[str, Any]:
    """What makes the value anew."""
    return {one.name: getattr(value, one.name) for one in fields(value) if one.init}


def made(said: str, values: Mapping[str, Any]) -> Any:
    """An object of the class called so. Raises DataError where fields lack, are too many, or of another type."""
    kind = class_named(said)
    if set(values) != {one.name for one in fields(kind) if one.init}:
        raise DataError(f"{said} has other fields in this Clary")
    wanted = typing.get_type_hints(kind)
    for name, value in values.items():
        if not of_type(value, wanted[name]):
            raise DataError(f"{said} has a {name} of another type")
    return kind(**values)


def of_type(value: Any, wanted: Any) -> bool:
    """Whether a value may stand in a field annotated so. What the annotation leaves open is taken."""
    origin, members = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is Any or wanted is object or isinstance(wanted, typing.TypeVar):
        return True
    if origin is typing.Literal:
        return value in members
    if origin in (typing.Union, types.UnionType):
        return any(of_type(value, one) for one in members)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        many = members[1:] == (...,)
        pairs = [(one, members[0]) for one in value] if many else list(zip(value, members, strict=False))
        return (many or len(value) == len(members)) and all(of_type(*pair) for pair in pairs)
    if origin is not None:
        return not isinstance(origin, type) or isinstance(value, origin)
    if wanted is None:
        return value is None
    if wanted is float:
        return isinstance(value, int | float | np.floating) and not isinstance(value, bool)
    return isinstance(value, wanted) if isinstance(wanted, type) else True
