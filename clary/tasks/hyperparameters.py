"""Hyperparameters of a built-in algorithm: strings in, values checked against a table out.

Every value of hyperparameters.json is a string, as the request had it; clients that encode values as JSON leave quotes
around words, which are taken off.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from clary.tasks import paths
from clary.tasks.failure import ClientError

# Set by clients and by tuning jobs for the platform's own use, not the algorithm's.
RESERVED = "sagemaker_"
# A value may have 2500 characters; an error tells fewer.
SHOWN_CHARACTERS = 100


class Kind(Protocol):
    """What a hyperparameter may be. `str()` of it is what an error says is allowed."""

    def parse(self, text: str) -> Any:
        """Raises ValueError where it is not allowed."""
        ...


@dataclass(frozen=True, slots=True)
class Interval:
    """[low, high]; None where there is no bound."""

    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = self.low is None or value > self.low or (value == self.low and not self.low_open)
        below = self.high is None or value < self.high or (value == self.high and not self.high_open)
        return math.isfinite(value) and above and below

    def __str__(self) -> str:
        low = "(-inf" if self.low is None else f"{'(' if self.low_open else '['}{self.low}"
        high = "+inf)" if self.high is None else f"{self.high}{')' if self.high_open else ']'}"
        return f"{low}, {high}"


@dataclass(frozen=True, slots=True)
class Integer:
    interval: Interval

    def parse(self, text: str) -> int:
        value = float(text)  # "5.0" is what tuning and JSON make of 5
        if value not in self.interval or not value.is_integer():
            raise ValueError
        return int(value)

    def __str__(self) -> str:
        return f"an integer in {self.interval}"


@dataclass(frozen=True, slots=True)
class Real:
    interval: Interval

    def parse(self, text: str) -> float:
        value = float(text)
        if value not in self.interval:
            raise ValueError
        return value

    def __str__(self) -> str:
        return f"a number in {self.interval}"


@dataclass(frozen=True, slots=True)
class Choice:
    values: tuple[str, ...]

    def parse(self, text: str) -> str:
        if text not in self.values:
            raise ValueError
        return text

    def __str__(self) -> str:
        return f"one of {', '.join(self.values)}"


@dataclass(frozen=True, slots=True)
class Flag:
    """ "true" or "false"."""

    def parse(self, text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise ValueError
        return text.lower() == "true"

    def __str__(self) -> str:
        return "true or false"


@dataclass(frozen=True, slots=True)
class Words:
    """Separated by commas, or a JSON list."""

    values: tuple[str, ...]

    def parse(self, text: str) -> list[str]:
        words = words_of(text)
        if not words or any(word not in self.values for word in words):
            raise ValueError
        return words

    def __str__(self) -> str:
        return f"a list, separated by commas, of {', '.join(self.values)}"


@dataclass(frozen=True, slots=True)
class IntegerList:
    """(1, -1), or one level deeper, [[0, 1], [2, 3]]; parsed to what Python and JSON both write alike."""

    interval: Interval
    nested: bool = False

    def parse(self, text: str) -> list[Any]:
        try:
            value = ast.literal_eval(text)
        except (SyntaxError, RecursionError, MemoryError, TypeError) as error:
            raise ValueError from error
        outer = value if self.nested and isinstance(value, list | tuple) else [value]
        if not all(self._is_list(inner) for inner in outer):
            raise ValueError
        return [list(inner) for inner in outer] if self.nested else list(value)

    def _is_list(self, value: object) -> bool:
        return isinstance(value, list | tuple) and all(type(item) is int and item in self.interval for item in value)

    def __str__(self) -> str:
        inner = f"integers in {self.interval}"
        return f"a list of lists of {inner}, as [[0, 1], [2, 3]]" if self.nested else f"a list of {inner}, as (1, -1)"


def words_of(text: str) -> list[str]:
    """Of `a, b` and of `["a", "b"]` alike."""
    if text.lstrip().startswith("["):
        items = json.loads(text)
        return [item.strip() if isinstance(item, str) else "" for item in items]
    return [word.strip() for word in text.split(",")]


def read() -> dict[str, str]:
    """hyperparameters.json, as it is. Raises ClientError where it is no object of strings."""
    file = paths.config_dir() / "hyperparameters.json"
    try:
        values = json.loads(file.read_text()) if file.exists() else {}
    except ValueError as error:
        raise ClientError(f"{file.name} is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise ClientError(f"{file.name} must hold one JSON object.")
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def parse(
    texts: Mapping[str, str],
    table: Mapping[str, Kind],
    *,
    required: Collection[str] = (),
    aliases: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The values, by the table's names. Raises ClientError naming the hyperparameter, its value and what is allowed."""
    values: dict[str, Any] = {}
    for given, text in texts.items():
        if given.startswith(RESERVED):
            continue
        name = (aliases or {}).get(given, given)
        if name not in table:
            raise ClientError(f"Extraneous hyperparameter found: {given[:SHOWN_CHARACTERS]}.")
        if name in values:
            raise ClientError(f"Hyperparameter {name} is given twice, once as an alias ({given}).")
        values[name] = _parse_one(name, _unquoted(text), table[name])
    for name in required:
        if name not in values:
            raise ClientError(f"Missing required hyperparameter: {name}: {table[name]} is needed.")
    return values


def _parse_one(name: str, text: str, kind: Kind) -> Any:
    try:
        return kind.parse(text)
    except ValueError:
        raise ClientError(
            f"Hyperparameter {name}: value {text[:SHOWN_CHARACTERS]!r} is not allowed; it must be {kind}."
        ) from None


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            inner = json.loads(text)
        except ValueError:
            return text
        return str(inner).strip()
    return text
