"""Members of a request that nothing here would act on are refused, by name and with what to do instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clary.core.decisions import Operation, Unbuilt
from clary.core.errors import NotImplementedByClary
from clary.resources.context import Context

Request = dict[str, Any]


def refusing_unbuilt(name: str, operation: Operation, unbuilt: Unbuilt) -> Operation:
    """The operation, which first refuses what is unbuilt of its request."""
    if not unbuilt:
        return operation

    async def checked(context: Context, request: Request) -> dict[str, Any]:
        refuse_unbuilt(name, request, unbuilt)
        return await operation(context, request)

    return checked


def refuse_unbuilt(operation: str, request: Request, unbuilt: Unbuilt) -> None:
    """Raise NotImplementedByClary where the request has a value at one of these paths."""
    for member, instead in unbuilt.items():
        path, _, refused_value = member.partition("=")
        for place, value in _values_at(request, path.split(".")):
            if value and (not refused_value or value == refused_value):
                shown = f" = {value}" if isinstance(value, str | int | bool) else ""
                raise NotImplementedByClary(f"{operation}: {place}{shown} is not built in Clary yet; {instead}.")


def _values_at(value: Any, steps: list[str], place: str = "") -> Iterator[tuple[str, Any]]:
    """Each value at this path, with its place: a list on the way has many."""
    if not steps:
        yield place, value
        return
    step, further = steps[0], steps[1:]
    name = step.removesuffix("[]")
    inner = value.get(name) if isinstance(value, dict) else None
    if inner is None:
        return
    path = f"{place}.{name}" if place else name
    if step.endswith("[]"):
        for index, item in enumerate(inner):
            yield from _values_at(item, further, f"{path}[{index}]")
    else:
        yield from _values_at(inner, further, path)
