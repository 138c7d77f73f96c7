"""A request against its shape: every member, every constraint, all violations in one answer.

botocore checks only required members, types and minima before it sends, so patterns, maxima and enums are checked by
the server. A shape is compiled once, on first use, into a node; a node turns a JSON value into the value that
operations get (timestamps aware, blobs as bytes, unknown members left out, as AWS's JSON protocols do) and adds its
violations, in AWS's words and AWS's spelling of paths: `productionVariants.1.member.modelName`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from clary.core.errors import SerializationException, ValidationException
from clary.wire import values
from clary.wire.rules import Rule, TooManyViolations, Violations, length_rules, scalar_rules
from clary.wire.shapes import Operation, Service, Shape

MAX_SHOWN_LENGTH = 256  # characters of a value


class Node(Protocol):
    """A shape that can read a value."""

    def read(self, value: Any, path: str, violations: Violations) -> Any:
        """The value for operations. Raises SerializationException for another JSON type than the shape's."""
        ...


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string, a number, a boolean, a blob, a timestamp."""

    convert: values.Convert
    rules: tuple[Rule, ...]
    secret: bool = False

    def read(self, value: Any, path: str, violations: Violations) -> Any:
        value = self.convert(value, path)
        for rule in self.rules:
            if not rule.holds(value, violations):
                violations.add("" if self.secret else f" '{_shortened(str(value))}'", path, rule.text)
        return value

    def fits(self, value: Any, violations: Violations) -> bool:
        return all(rule.holds(value, violations) for rule in self.rules)

    @property
    def texts(self) -> str:
        return ", ".join(rule.text for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Structure:
    """Members by name. `members` is filled after the node is made, as shapes may contain themselves."""

    members: dict[str, tuple[str, Node]]  # name -> (its spelling in paths, node)
    required: tuple[str, ...]
    union: bool

    def read(self, value: Any, path: str, violations: Violations) -> dict[str, Any]:
        if not isinstance(value, dict):
            values.refuse(value, "a Structure", path)
        prefix = f"{path}." if path else ""
        out: dict[str, Any] = {}
        for name, item in value.items():
            if item is not None and name in self.members:
                camel, node = self.members[name]
                out[name] = node.read(item, prefix + camel, violations)
        for name in self.required:
            if name not in out:
                violations.add(" null", prefix + self.members[name][0], "Member must not be null")
        if self.union and len(out) != 1:
            choices = ", ".join(camel for camel, _ in self.members.values())
            violations.add("", path, f"Member must have exactly one of its members set: [{choices}]")
        return out


@dataclass(frozen=True, slots=True)
class List:
    """Items of one shape."""

    item: Node
    rules: tuple[Rule, ...]

    def read(self, value: Any, path: str, violations: Violations) -> list[Any]:
        if not isinstance(value, list):
            values.refuse(value, "a List", path)
        for rule in self.rules:
            if not rule.holds(value, violations):
                violations.add(_shown_list(self.item, value, value), path, rule.text)
        if isinstance(self.item, Scalar):
            return self._read_scalars(self.item, value, path, violations)
        out = []
        for index, item in enumerate(value, 1):
            if item is None:
                violations.add(" null", f"{path}.{index}.member", "Member must not be null")
            else:
                out.append(self.item.read(item, f"{path}.{index}.member", violations))
        return out

    def _read_scalars(self, node: Scalar, value: list[Any], path: str, violations: Violations) -> list[Any]:
        out = [item if item is None else node.convert(item, f"{path}.{at}.member") for at, item in enumerate(value, 1)]
        if bad := [item for item in out if item is None or not node.fits(item, violations)]:
            texts = ", ".join(filter(None, (node.texts, "Member must not be null" if None in bad else "")))
            violations.add(_shown_list(node, value, bad), path, f"Member must satisfy constraint: [{texts}]")
        return out


@dataclass(frozen=True, slots=True)
class Map:
    """Values by key."""

    key: Scalar
    value: Node
    rules: tuple[Rule, ...]

    def read(self, value: Any, path: str, violations: Violations) -> dict[str, Any]:
        if not isinstance(value, dict):
            values.refuse(value, "a Map", path)
        for rule in self.rules:
            if not rule.holds(value, violations):
                violations.add(_shown_map(self.value, value, value), path, rule.text)
        items = {values.string(key, path): item for key, item in value.items() if item is not None}
        if bad := {key: item for key, item in items.items() if not self.key.fits(key, violations)}:
            constraint = f"Map keys must satisfy constraint: [{self.key.texts}]"
            violations.add(_shown_map(self.value, items, bad), path, constraint)
        if not isinstance(self.value, Scalar):
            return {
                key: self.value.read(item, f"{path}.{_shortened(key)}.member", violations)
                for key, item in items.items()
            }
        node = self.value
        out = {key: node.convert(item, f"{path}.{_shortened(key)}") for key, item in items.items()}
        if bad := {key: item for key, item in out.items() if not node.fits(item, violations)}:
            constraint = f"Map value must satisfy constraint: [{node.texts}]"
            violations.add(_shown_map(node, out, bad), path, constraint)
        return out


class Validator:
    """The requests (and, for tests, the responses) of one service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._nodes: dict[str, Node] = {}
        self._complete: dict[str, Node] = {}  # those with all nodes below them
        self._compiling = threading.Lock()

    def request(self, operation: Operation, raw: Any) -> dict[str, Any]:
        """The request as operations get it. Raises ValidationException naming every violation, SerializationException
        for a value of the wrong JSON type.
        """
        parsed, messages = self.read(operation.input, raw)
        if messages:
            count = len(messages)
            noun = "validation error" if count == 1 else "validation errors"
            raise ValidationException(f"{count} {noun} detected: {'; '.join(messages)}")
        return parsed

    def read(self, shape: str, raw: Any) -> tuple[dict[str, Any], list[str]]:
        """A value as a shape reads it, and its violations."""
        if not shape:  # the operation takes nothing
            return {}, []
        violations = Violations()
        try:
            return self.node(shape).read(raw, "", violations), violations.messages
        except TooManyViolations:
            return {}, violations.messages
        except RecursionError:
            raise SerializationException("The request is nested too deeply.") from None

    def node(self, name: str) -> Node:
        """The compiled shape. Several threads may call this."""
        if name not in self._complete:
            with self._compiling:
                self._complete[name] = self._node(name)
        return self._complete[name]

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


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_LENGTH else f"{text[:MAX_SHOWN_LENGTH]}…"


def _shown_list(item: Node, whole: list[Any], bad: list[Any]) -> str:
    """A list's text in a message; of a long list, only those of its items that violate a constraint."""
    if not isinstance(item, Scalar) or item.secret:
        return ""
    text = ", ".join(map(str, whole))
    return f" '[{_shortened(text if len(text) <= MAX_SHOWN_LENGTH else ', '.join(map(str, bad)))}]'"


def _shown_map(value: Node, whole: Mapping[str, Any], bad: Mapping[str, Any]) -> str:
    if not isinstance(value, Scalar) or value.secret:
        return ""
    text, bad_text = (", ".join(f"{key}={item}" for key, item in items.items()) for items in (whole, bad))
    return f" '{{{_shortened(text if len(text) <= MAX_SHOWN_LENGTH else bad_text)}}}'"
