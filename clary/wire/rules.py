"""The constraints of the service model, in AWS's words, and the violations found in a request."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clary.wire import patterns
from clary.wire.shapes import Shape

MAX_VIOLATIONS = 50  # in one response
PATTERNS_LIMIT_S = 0.25  # of CPU, for all patterns of a request: some values make them backtrack for ever


class TooManyViolations(Exception):
    """There are enough violations for a response."""


@dataclass(slots=True)
class Violations:
    """The violations found so far, and how long patterns may still take."""

    messages: list[str] = field(default_factory=list)
    patterns_remaining_s: float = PATTERNS_LIMIT_S

    def add(self, shown: str, path: str, constraint: str) -> None:
        self.messages.append(f"Value{shown} at '{path}' failed to satisfy constraint: {constraint}")
        if len(self.messages) >= MAX_VIOLATIONS:
            raise TooManyViolations

    def matches(self, pattern: str, value: str) -> bool:
        """Whether the value matches; one that takes longer than the remaining time counts as not matching."""
        began = time.thread_time()
        try:
            return self.patterns_remaining_s > 0 and patterns.matches(pattern, value, self.patterns_remaining_s)
        except TimeoutError:
            return False
        finally:
            self.patterns_remaining_s -= time.thread_time() - began


@dataclass(frozen=True, slots=True)
class Rule:
    """A constraint, and AWS's text for it."""

    text: str
    holds: Callable[[Any, Violations], bool]


def scalar_rules(shape: Shape) -> tuple[Rule, ...]:
    """The rules of a scalar, in AWS's order."""
    match shape["type"]:
        case "string" | "blob":
            rules = [*length_rules(shape)]
            if "pattern" in shape:
                rules.append(_pattern_rule(shape["pattern"]))
            if "enum" in shape:
                rules.append(_enum_rule(shape["enum"]))
            return tuple(rules)
        case "integer" | "long" | "float" | "double":
            return _range_rules(shape)
    return ()


def length_rules(shape: Shape) -> tuple[Rule, ...]:
    """The rules on the length of a string, a list or a map."""
    rules = []
    if (maximum := shape.get("max")) is not None:
        rules.append(
            Rule(
                f"Member must have length less than or equal to {maximum}",
                lambda value, violations: len(value) <= maximum,
            )
        )
    if minimum := shape.get("min"):
        rules.append(
            Rule(
                f"Member must have length greater than or equal to {minimum}",
                lambda value, violations: len(value) >= minimum,
            )
        )
    return tuple(rules)


def _range_rules(shape: Shape) -> tuple[Rule, ...]:
    rules = []
    if (maximum := shape.get("max")) is not None:
        rules.append(
            Rule(f"Member must have value less than or equal to {maximum}", lambda value, violations: value <= maximum)
        )
    if (minimum := shape.get("min")) is not None:
        rules.append(
            Rule(
                f"Member must have value greater than or equal to {minimum}", lambda value, violations: value >= minimum
            )
        )
    return tuple(rules)


def _pattern_rule(pattern: str) -> Rule:
    return Rule(
        f"Member must satisfy regular expression pattern: {pattern}",
        lambda value, violations: violations.matches(pattern, value),
    )


def _enum_rule(enum: list[str]) -> Rule:
    allowed = frozenset(enum)
    return Rule(f"Member must satisfy enum value set: [{', '.join(enum)}]", lambda value, violations: value in allowed)
