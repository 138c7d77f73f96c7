"""Constraints of the service model, in AWS's words, and what was found not to hold."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clary.wire import patterns
from clary.wire.shapes import Shape

MOST_VIOLATIONS = 50  # said in one answer
PATTERNS_MAY_TAKE_S = 0.25  # of CPU, all together, for one request: hostile values can make them backtrack for ever


class TooMany(Exception):
    """There are enough violations for one answer."""


@dataclass(slots=True)
class Findings:
    """What did not hold so far, and how long patterns may still take."""

    violations: list[str] = field(default_factory=list)
    patterns_left_s: float = PATTERNS_MAY_TAKE_S

    def add(self, shown: str, path: str, constraint: str) -> None:
        self.violations.append(f"Value{shown} at '{path}' failed to satisfy constraint: {constraint}")
        if len(self.violations) >= MOST_VIOLATIONS:
            raise TooMany

    def matches(self, pattern: str, value: str) -> bool:
        """A value that cannot be told to match in the time left counts as one that does not."""
        began = time.thread_time()
        try:
            return self.patterns_left_s > 0 and patterns.matches(pattern, value, self.patterns_left_s)
        except TimeoutError:
            return False
        finally:
            self.patterns_left_s -= time.thread_time() - began


@dataclass(frozen=True, slots=True)
class Rule:
    """One constraint, and what AWS calls it."""

    text: str
    holds: Callable[[Any, Findings], bool]


def scalar_rules(shape: Shape) -> tuple[Rule, ...]:
    """In the order AWS tells them."""
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
    """Of a string, a list or a map."""
    rules = []
    if (most := shape.get("max")) is not None:
        rules.append(
            Rule(f"Member must have length less than or equal to {most}", lambda value, found: len(value) <= most)
        )
    if least := shape.get("min"):
        rules.append(
            Rule(f"Member must have length greater than or equal to {least}", lambda value, found: len(value) >= least)
        )
    return tuple(rules)


def _range_rules(shape: Shape) -> tuple[Rule, ...]:
    rules = []
    if (most := shape.get("max")) is not None:
        rules.append(Rule(f"Member must have value less than or equal to {most}", lambda value, found: value <= most))
    if (least := shape.get("min")) is not None:
        rules.append(
            Rule(f"Member must have value greater than or equal to {least}", lambda value, found: value >= least)
        )
    return tuple(rules)


def _pattern_rule(pattern: str) -> Rule:
    return Rule(
        f"Member must satisfy regular expression pattern: {pattern}",
        lambda value, found: found.matches(pattern, value),
    )


def _enum_rule(enum: list[str]) -> Rule:
    allowed = frozenset(enum)
    return Rule(f"Member must satisfy enum value set: [{', '.join(enum)}]", lambda value, found: value in allowed)
