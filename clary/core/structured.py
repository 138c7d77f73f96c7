"""Frozen dataclasses to JSON and back, by their annotations.

What a record's state or a file holds is read once, at its edge, into values that mypy knows.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from clary.core.records import JSON

T = TypeVar("T")
Reader = Callable[[object], object]


def to_json(value: object) -> JSON:
    """What json.dumps takes. Raises TypeError for anything but dataclasses, mappings, sequences and plain values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): to_json(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, Enum):
        return to_json(value.value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{value!r} is not JSON")


def to_members(value: object) -> dict[str, JSON]:
    """A dataclass as the JSON object it is."""
    members = to_json(value)
    assert isinstance(members, dict)
    return members


def from_json(cls: type[T], value: JSON) -> T:
    """A dataclass from what `to_json` gave. Members it does not have are left out, absent ones take their default.

    Raises ValueError, naming the member, where one is missing or of another type.
    """
    return cast(T, _reader(cast(Any, cls))(value))


@cache
def _reader(hint: Any) -> Reader:
    """The function that reads a value of this type."""
    if dataclasses.is_dataclass(hint):
        return _dataclass_reader(cast(type, hint))
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        read = _reader(inner)
        return lambda value: None if value is None else read(value)
    if origin is tuple:
        return _tuple_reader(arguments)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping_reader(_reader(arguments[1]))
    if origin is Literal:
        return _one_of(arguments)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if hint is float:
        return _of_type((int, float), "a number")
    if hint is int:
        return _of_type((int,), "a whole number")
    if hint in (str, bool):
        return _of_type((hint,), hint.__name__)
    raise TypeError(f"{hint!r} cannot be read from JSON")


def _dataclass_reader(cls: type) -> Reader:
    hints = get_type_hints(cls)
    fields = [(field.name, _is_required(field), _reader(hints[field.name])) for field in dataclasses.fields(cls)]

    def read(value: object) -> object:
        if not isinstance(value, (dict, Mapping)):
            raise ValueError(f"{cls.__name__}: {value!r} is no object")
        members: dict[str, object] = {}
        for name, required, read_member in fields:
            if name in value:
                try:
                    members[name] = read_member(value[name])
                except ValueError as error:
                    raise ValueError(f"{cls.__name__}.{name}: {error}") from None
            elif required:
                raise ValueError(f"{cls.__name__}.{name} is missing")
        return cls(**members)

    return read


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _tuple_reader(arguments: tuple[Any, ...]) -> Reader:
    """tuple[X, ...] or tuple[X, Y]."""
    repeated = len(arguments) == 2 and arguments[1] is Ellipsis
    readers = [_reader(argument) for argument in arguments if argument is not Ellipsis]

    def read(value: object) -> object:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{value!r} is no list")
        if repeated:
            return tuple(readers[0](item) for item in value)
        if len(value) != len(readers):
            raise ValueError(f"{value!r} has not {len(readers)} items")
        return tuple(reader(item) for reader, item in zip(readers, value, strict=True))

    return read


def _mapping_reader(read_member: Reader) -> Reader:
    def read(value: object) -> object:
        if not isinstance(value, (dict, Mapping)):
            raise ValueError(f"{value!r} is no object")
        return {str(name): read_member(member) for name, member in value.items()}

    return read


def _of_type(types: tuple[type, ...], expected: str) -> Reader:
    def read(value: object) -> object:
        if type(value) in types:  # what JSON gives is of no subclass; a bool is no number
            return value
        if isinstance(value, types) and not isinstance(value, bool):
            return value
        raise ValueError(f"{value!r} is not {expected}")

    return read


def _one_of(allowed: tuple[object, ...]) -> Reader:
    def read(value: object) -> object:
        if value not in allowed:
            raise ValueError(f"{value!r} is not one of {allowed}")
        return value

    return read
