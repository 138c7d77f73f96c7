"""A step's parameters checked against the types that its dataclass declares.

Types that YAML and JSON lack are converted from those that they have: a list, or a single text, to a tuple; an integer
to a float; a date to a text. Nothing else is converted: "3" is not a number, 1 is not true.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import functools
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from clary.data.recipe.step import Step

_LONGEST = 60  # characters of a value that a message shows


class Mismatch(Exception):
    """A value is not of the type; the message describes the type."""


@functools.cache
def parameters(kind: type[Step]) -> Mapping[str, dataclasses.Field[Any]]:
    """The parameters of a step, by name."""
    return {field.name: field for field in dataclasses.fields(kind) if field.init}


@functools.cache
def types_of(kind: type[Step]) -> Mapping[str, Any]:
    """The type annotation of each parameter."""
    return typing.get_type_hints(kind)


def default_of(field: dataclasses.Field[Any]) -> Any:
    """dataclasses.MISSING where the parameter has to be given."""
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def converted(value: Any, wanted: Any) -> Any:
    """The value as that type. Raises Mismatch."""
    if isinstance(value, np.generic):
        value = value.item()
    origin = typing.get_origin(wanted)
    if wanted is Any or wanted is object:
        return frozen(value)
    if origin is typing.Literal:
        return _literal(value, typing.get_args(wanted))
    if origin in (typing.Union, types.UnionType):
        return _union(value, typing.get_args(wanted))
    if origin is tuple or wanted is tuple:
        return _tuple(value, typing.get_args(wanted))
    if origin in (list, collections.abc.Sequence, collections.abc.Collection):
        return _tuple(value, (*typing.get_args(wanted), ...))
    if origin in (dict, collections.abc.Mapping) or wanted in (dict, Mapping):
        return _dict(value, typing.get_args(wanted) or (Any, Any))
    if origin is collections.abc.Callable or wanted is Callable:
        return value if callable(value) else _refuse(described(wanted))
    return _converted_scalar(value, wanted)


def frozen(value: Any) -> Any:
    """Lists as tuples, however deep: a step's parameters do not change."""
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    if isinstance(value, Mapping):
        return {key: frozen(item) for key, item in value.items()}
    return value


def _converted_scalar(value: Any, wanted: Any) -> Any:
    if wanted is None or wanted is type(None):
        return None if value is None else _refuse("null")
    if wanted is float and type(value) is int:
        return float(value) if abs(value) < 2**1023 else _refuse("a number that a float can hold")
    if wanted is str and isinstance(value, datetime.date):
        return value.isoformat()
    if wanted is str and type(value) in (bool, int, float):
        _refuse("text; put it in quotes")
    if wanted in (bool, int, float, str):
        return value if type(value) is wanted else _refuse(described(wanted))
    return value if isinstance(value, wanted) else _refuse(described(wanted))


def _literal(value: Any, allowed: Sequence[Any]) -> Any:
    equal = any(type(value) is type(literal) and value == literal for literal in allowed)
    return value if equal else _refuse("one of " + ", ".join(map(repr, allowed)))


def _union(value: Any, members: Sequence[Any]) -> Any:
    """As the first member that takes it unconverted, else as the first that it can be converted to."""
    candidates = []
    for member in members:
        try:
            candidate = converted(value, member)
        except Mismatch:
            continue
        if type(candidate) is type(value):
            return candidate
        candidates.append(candidate)
    return candidates[0] if candidates else _refuse(" or ".join(map(described, members)))


def _tuple(value: Any, members: Sequence[Any]) -> tuple[Any, ...]:
    if isinstance(value, str) and members[1:] == (...,) and members[0] is str:
        return (value,)
    if not isinstance(value, list | tuple):
        _refuse(described(tuple[tuple(members)]) if members else "a list")  # type: ignore[misc]
    if not members:
        return tuple(frozen(item) for item in value)
    if members[1:] == (...,):
        members = [members[0]] * len(value)
    if len(members) != len(value):
        _refuse(f"a list of {len(members)}")
    return tuple(_inner(f"item {place + 1}", *pair) for place, pair in enumerate(zip(value, members, strict=True)))


def _dict(value: Any, members: Sequence[Any]) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        _refuse("a mapping")
    return {
        _inner(f"key {key!r}", key, members[0]): _inner(f"of {key!r}", item, members[1]) for key, item in value.items()
    }


def _inner(where: str, value: Any, wanted: Any) -> Any:
    try:
        return converted(value, wanted)
    except Mismatch as mismatch:
        raise Mismatch(f"{mismatch} ({where})") from None


def _refuse(wanted: str) -> typing.NoReturn:
    raise Mismatch(wanted)


def described(wanted: Any) -> str:
    """A type in words, for a message."""
    origin, members = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(repr, members))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(described, members))
    if origin in (tuple, list, collections.abc.Sequence, collections.abc.Collection):
        return f"a list of {_several(members[0])}" if members[1:] in ((), (...,)) else f"a list of {len(members)}"
    if origin is collections.abc.Callable or wanted is Callable:
        return "a Python function, which only Python can give"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null"}
    return words.get(wanted) or ("a mapping" if origin else str(getattr(wanted, "__name__", wanted)))


def _several(wanted: Any) -> str:
    return {int: "whole numbers", float: "numbers", str: "texts"}.get(wanted) or described(wanted)


def shown(value: Any) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
