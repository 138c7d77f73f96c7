"""A request against its shape: every member, every constraint, all violations in one answer.

botocore checks only required members, types and minima before it sends, so the server is where patterns, maxima and
enums are looked at. A shape is compiled once, on first use, into a node; a node turns a JSON value into the value
operations get (timestamps aware, blobs as bytes, unknown members left out, as AWS's JSON protocols do) and notes what
does not hold, in AWS's words and AWS's spelling of paths: `productionVariants.1.member.modelName`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from clary.core.errors import SerializationException, ValidationException
from clary.wire import values
from clary.wire.rules import Findings, Rule, TooMany, length_rules, scalar_rules
from clary.wire.shapes import Operation, Service, Shape

LONGEST_SHOWN = 256  # characters of a value


class Node(Protocol):
    """A shape that can read a value."""

    def read(self, value: Any, path: str, found: Findings) -> Any:
        """The value for operations. Raises SerializationException for another JSON type than the shape's."""
        ...


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string, a number, a boolean, a blob, a timestamp."""

    convert: values.Convert
    rules: tuple[Rule, ...]
    secret: bool = False

    def read(self, value: Any, path: str, found: Findings) -> Any:
        value = self.convert(value, path)
        for rule in self.rules:
            if not rule.holds(value, found):
                found.add("" if self.secret else f" '{_cut(str(value))}'", path, rule.text)
        return value

    def fits(self, value: Any, found: Findings) -> bool:
        return all(rule.holds(value, found) for rule in self.rules)

    @property
    def texts(self) -> str:
        return ", ".join(rule.text for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Structure:
    """Members by name. `members` is filled after the node is made, as shapes may contain themselves."""

    members: dict[str, tuple[str, Node]]  # name -> (as paths spell it, node)
    required: tuple[str, ...]
    union: bool

    def read(self, value: Any, path: str, found: Findings) -> dict[str, Any]:
        if not isinstance(value, dict):
            values.refuse(value, "a Structure", path)
        before = f"{path}." if path else ""
        out: dict[str, Any] = {}
        for name, item in value.items():
            if item is not None and name in self.members:
                camel, node = self.members[name]
                out[name] = node.read(item, before + camel, found)
        for name in self.required:
            if name not in out:
                found.add(" null", before + self.members[name][0], "Member must not be null")
        if self.union and len(out) != 1:
            choices = ", ".join(camel for camel, _ in self.members.values())
            found.add("", path, f"Member must have exactly one of its members set: [{choices}]")
        return out


@dataclass(frozen=True, slots=True)
class List:
    """Items of one shape."""

    item: Node
    rules: tuple[Rule, ...]

    def read(self, value: Any, path: str, found: Findings) -> list[Any]:
        if not isinstance(value, list):
            values.refuse(value, "a List", path)
        for rule in self.rules:
            if not rule.holds(value, found):
                found.add(_shown_list(self.item, value, value), path, rule.text)
        if isinstance(self.item, Scalar):
            return self._read_scalars(self.item, value, path, found)
        out = []
        for index, item in enumerate(value, 1):
            if item is None:
                found.add(" null", f"{path}.{index}.member", "Member must not be null")
            else:
                out.append(self.item.read(item, f"{path}.{index}.member", found))
        return out

    def _read_scalars(self, node: Scalar, value: list[Any], path: str, found: Findings) -> list[Any]:
        out = [item if item is None else node.convert(item, f"{path}.{at}.member") for at, item in enumerate(value, 1)]
        if bad := [item for item in out if item is None or not node.fits(item, found)]:
            texts = ", ".join(filter(None, (node.texts, "Member must not be null" if None in bad else "")))
            found.add(_shown_list(node, value, bad), path, f"Member must satisfy constraint: [{texts}]")
        return out


@dataclass(frozen=True, slots=True)
class Map:
    """Values by key."""

    key: Scalar
    value: Node
    rules: tuple[Rule, ...]

    def read(self, value: Any, path: str, found: Findings) -> dict[str, Any]:
        if not isinstance(value, dict):
            values.refuse(value, "a Map", path)
        for rule in self.rules:
            if not rule.holds(value, found):
                found.add(_shown_map(self.value, value, value), path, rule.text)
        items = {values.string(key, path): item for key, item in value.items() if item is not None}
        if bad := {key: item for key, item in items.items() if not self.key.fits(key, found)}:
            constraint = f"Map keys must satisfy constraint: [{self.key.texts}]"
            found.add(_shown_map(self.value, items, bad), path, constraint)
        if not isinstance(self.value, Scalar):
            return {key: self.value.read(item, f"{path}.{_cut(key)}.member", found) for key, item in items.items()}
        node = self.value
        out = {key: node.convert(item, f"{path}.{_cut(key)}") for key, item in items.items()}
        if bad := {key: item for key, item in out.items() if not node.fits(item, found)}:
            constraint = f"Map value must satisfy constraint: [{node.texts}]"
            found.add(_shown_map(node, out, bad), path, constraint)
        return out


class Validator:
    """The requests (and, for tests, the responses) of one service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._nodes: dict[str, Node] = {}
        self._whole: dict[str, Node] = {}  # those with everything below them
        self._compiling = threading.Lock()

    def request(self, operation: Operation, raw: Any) -> dict[str, Any]:
        """The request as operations get it. Raises ValidationException naming every violation, SerializationException
        for a value of the wrong JSON type.
        """
        parsed, violations = self.read(operation.input, raw)
        if violations:
            count = len(violations)
            noun = "validation error" if count == 1 else "validation errors"
            raise ValidationException(f"{count} {noun} detected: {'; '.join(violations)}")
        return parsed

    def read(self, shape: str, raw: Any) -> tuple[dict[str, Any], list[str]]:
        """A value as a shape reads it, and what does not hold of it."""
        if not shape:  # the operation takes nothing
            return {}, []
        found = Findings()
        try:
            return self.node(shape).read(raw, "", found), found.violations
        except TooMany:
            return {}, found.violations
        except RecursionError:
            raise SerializationException("The request is nested too deeply.") from None

    def node(self, name: str) -> Node:
        """The compiled shape. Safe to ask for from several threads."""
        if name not in self._whole:
            with self._compiling:
                self._whole[name] = self._node(name)
        return self._whole[name]

    def _node(self, name: str) -> Node:
        if name not in self._nodes:
            shape = self.service.shapes[name]
            if shape["type"] == "structure":
                structure = Structure({}, tuple(shape.get("required", ())), shape.get("union", False))
                self._nodes[name] = structure
                for member, raw in shape["members"].items():
                    structure.members[member] = (member[:1].lower() + member[1:], self._node(raw["shape"]))
            else:
                self._nodes[name] = self._leaf(shape)
        return self._nodes[name]

    def _leaf(self, shape: Shape) -> Node:
        match shape["type"]:
            case "list":
                return List(self._node(shape["member"]["shape"]), length_rules(shape))
            case "map":
                key = self._node(shape["key"]["shape"])
                assert isinstance(key, Scalar), "map keys are strings"
                return Map(key, self._node(shape["value"]["shape"]), length_rules(shape))
            case kind:
                return Scalar(values.CONVERT[kind], scalar_rules(shape), shape.get("sensitive", False))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _shown_list(item: Node, whole: list[Any], bad: list[Any]) -> str:
    """How a list stands in a message; a long one by those of its items that do not fit."""
    if not isinstance(item, Scalar) or item.secret:
        return ""
    text = ", ".join(map(str, whole))
    return f" '[{_cut(text if len(text) <= LONGEST_SHOWN else ', '.join(map(str, bad)))}]'"


def _shown_map(value: Node, whole: Mapping[str, Any], bad: Mapping[str, Any]) -> str:
    if not isinstance(value, Scalar) or value.secret:
        return ""
    text, of_bad = (", ".join(f"{key}={item}" for key, item in items.items()) for items in (whole, bad))
    return f" '{{{_cut(text if len(text) <= LONGEST_SHOWN else of_bad)}}}'"
