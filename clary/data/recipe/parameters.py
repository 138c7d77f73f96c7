"""A step's parameters checked against the types that its dataclass declares.

What YAML and JSON cannot say is made of what they can: a tuple of a list, or of a single text; a float of an integer;
a text of a date. Nothing else is changed: "3" is no number, 1 is not true.
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


class Unfit(Exception):
    """A value is not of the type; the message says what is wanted."""


@functools.cache
def parameters(kind: type[Step]) -> Mapping[str, dataclasses.Field[Any]]:
    """The parameters of a step, by name."""
    return {one.name: one for one in dataclasses.fields(kind) if one.init}


@functools.cache
def types_of(kind: type[Step]) -> Mapping[str, Any]:
    """What each parameter may be, as Python's own type expressions."""
    return typing.get_type_hints(kind)


def default_of(one: dataclasses.Field[Any]) -> Any:
    """dataclasses.MISSING where the parameter has to be given."""
    return one.default_factory() if one.default_factory is not dataclasses.MISSING else one.default


def fitting_type(value: Any, wanted: Any) -> Any:
    """The value as that type. Raises Unfit."""
    if isinstance(value, np.generic):
        value = value.item()
    origin = typing.get_origin(wanted)
    if wanted is Any or wanted is object:
        return frozen(value)
    if origin is typing.Literal:
        return _literal(value, typing.get_args(wanted))
    if origin in (typing.Union, types.UnionType):
        return _one_of(value, typing.get_args(wanted))
    if origin is tuple or wanted is tuple:
        return _tuple(value, typing.get_args(wanted))
    if origin in (list, collections.abc.Sequence, collections.abc.Collection):
        return _tuple(value, (*typing.get_args(wanted), ...))
    if origin in (dict, collections.abc.Mapping) or wanted in (dict, Mapping):
        return _dict(value, typing.get_args(wanted) or (Any, Any))
    if origin is collections.abc.Callable or wanted is Callable:
        return value if callable(value) else _refuse(said(wanted))
    return _plain(value, wanted)


def frozen(value: Any) -> Any:
    """Lists as tuples, however deep: a step's parameters do not change."""
    if isinstance(value, list | tuple):
        return tuple(frozen(one) for one in value)
    if isinstance(value, Mapping):
        return {key: frozen(one) for key, one in value.items()}
    return value


def _plain(value: Any, wanted: Any) -> Any:
    if wanted is None or wanted is type(None):
        return None if value is None else _refuse("null")
    if wanted is float and type(value) is int:
        return float(value) if abs(value) < 2**1023 else _refuse("a number that a float can hold")
    if wanted is str and isinstance(value, datetime.date):
        return value.isoformat()
    if wanted is str and type(value) in (bool, int, float):
        _refuse("text; put it in quotes")
    if wanted in (bool, int, float, str):
        return value if type(value) is wanted else _refuse(said(wanted))
    return value if isinstance(value, wanted) else _refuse(said(wanted))


def _literal(value: Any, allowed: Sequence[Any]) -> Any:
    there = any(type(value) is type(one) and value == one for one in allowed)
    return value if there else _refuse("one of " + ", ".join(map(repr, allowed)))


def _one_of(value: Any, members: Sequence[Any]) -> Any:
    """As the first member that takes it as it is, else as the first that can make it its own."""
    made = []
    for member in members:
        try:
            found = fitting_type(value, member)
        except Unfit:
            continue
        if type(found) is type(value):
            return found
        made.append(found)
    return made[0] if made else _refuse(" or ".join(map(said, members)))


def _tuple(value: Any, members: Sequence[Any]) -> tuple[Any, ...]:
    if isinstance(value, str) and members[1:] == (...,) and members[0] is str:
        return (value,)
    if not isinstance(value, list | tuple):
        _refuse(said(tuple[tuple(members)]) if members else "a list")  # type: ignore[misc]
    if not members:
        return tuple(frozen(one) for one in value)
    if members[1:] == (...,):
        members = [members[0]] * len(value)
    if len(members) != len(value):
        _refuse(f"a list of {len(members)}")
    return tuple(_inner(f"item {place + 1}", *pair) for place, pair in enumerate(zip(value, members, strict=True)))


def _dict(value: Any, members: Sequence[Any]) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        _refuse("a mapping")
    return {
        _inner(f"key {key!r}", key, members[0]): _inner(f"of {key!r}", one, members[1]) for key, one in value.items()
    }


def _inner(where: str, value: Any, wanted: Any) -> Any:
    try:
        return fitting_type(value, wanted)
    except Unfit as unfit:
        raise Unfit(f"{unfit} ({where})") from None


def _refuse(wanted: str) -> typing.NoReturn:
    raise Unfit(wanted)


def said(wanted: Any) -> str:
    """A type in words."""
    origin, members = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(repr, members))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(said, members))
    if origin in (tuple, list, collections.abc.Sequence, collections.abc.Collection):
        return f"a list of {_several(members[0])}" if members[1:] in ((), (...,)) else f"a list of {len(members)}"
    if origin is collections.abc.Callable or wanted is Callable:
        return "a Python function, which only Python can give"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "null"}
    return words.get(wanted) or ("a mapping" if origin else str(getattr(wanted, "__name__", wanted)))


def _several(wanted: Any) -> str:
    return {int: "whole numbers", float: "numbers", str: "texts"}.get(wanted) or said(wanted)


def shown(value: Any) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
