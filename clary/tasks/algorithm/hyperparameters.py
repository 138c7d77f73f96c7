"""Hyperparameters of a built-in algorithm: strings in, values checked against the algorithm's manifest out.

Every value of hyperparameters.json is a string, as the request had it; clients that encode values as JSON leave quotes
around words, which are taken off.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from clary.algorithms.domains import (
    Boolean,
    Categorical,
    CategoryList,
    Continuous,
    Domain,
    Integer,
    IntegerList,
    MetricList,
    ObjectiveMetric,
)
from clary.algorithms.manifest import Algorithm
from clary.tasks.failure import ClientError

# Set by clients and by tuning jobs for the platform's own use, not the algorithm's.
RESERVED = "sagemaker_"
# A value may have 2500 characters; an error shows fewer.
SHOWN_CHARACTERS = 100

T = TypeVar("T")


def value_of(text: str, domain: Domain) -> Any:
    """The value that a text stands for. Raises ValueError where the domain does not have it."""
    match domain:
        case Integer():
            number = float(text)  # "5.0" is what tuning and JSON make of 5
            return int(_checked(number, number in domain and number.is_integer()))
        case Continuous():
            number = float(text)
            return _checked(number, number in domain)
        case Categorical():
            return _checked(text, text in domain.values)
        case Boolean():
            return _checked(text.lower(), text.lower() in ("true", "false")) == "true"
        case CategoryList():
            items = items_of(text)
            return _checked(items, bool(items) and all(item in domain.values for item in items))
        case IntegerList():
            return _integers(text, domain)
        case MetricList():
            items = items_of(text)
            return list(dict.fromkeys(_checked(items, bool(items) and all(is_metric(item, domain) for item in items))))
        case ObjectiveMetric():
            channel, _, metric = text.partition(":")
            return _checked(metric, channel in domain.channels and is_metric(metric, domain.metrics))


def is_metric(text: str, metrics: MetricList) -> bool:
    """Whether it is one of them, by name or with a parameter: `error@0.7`."""
    name, at, parameter = text.partition("@")
    if not at:
        return name in metrics.metrics
    try:
        float(parameter.removesuffix("-"))  # ndcg@5- scores lists without relevant items with 0
    except ValueError:
        return False
    return name in metrics.parametrized


def items_of(text: str) -> list[str]:
    """The items of `a, b` and of `["a", "b"]` alike."""
    if text.lstrip().startswith("["):
        return [item.strip() if isinstance(item, str) else "" for item in json.loads(text)]
    return [item.strip() for item in text.split(",")]


def _integers(text: str, domain: IntegerList) -> list[Any]:
    """Lists and tuples, as Python and JSON both write them."""
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise ValueError from error
    lists = value if domain.nested and isinstance(value, list | tuple) else [value]
    for numbers in lists:
        _checked(numbers, isinstance(numbers, list | tuple))
        _checked(numbers, all(type(number) is int and number in domain.interval for number in numbers))
    return [list(numbers) for numbers in lists] if domain.nested else list(value)


def _checked(value: T, allowed: bool) -> T:
    if not allowed:
        raise ValueError
    return value


def parse(texts: Mapping[str, str], algorithm: Algorithm) -> dict[str, Any]:
    """The values, by the manifest's names. Raises ClientError naming the hyperparameter and what it may be."""
    domains, aliases = algorithm.domains, algorithm.aliases
    values: dict[str, Any] = {}
    for given, text in texts.items():
        if given.startswith(RESERVED):
            continue
        name = aliases.get(given, given)
        if name not in domains:
            raise ClientError(f"Extraneous hyperparameter found: {given[:SHOWN_CHARACTERS]}.")
        if name in values:
            raise ClientError(f"Hyperparameter {name} is given twice, once as an alias ({given}).")
        values[name] = _parse(name, _unquoted(text), domains[name])
    for name in algorithm.required:
        if name not in values:
            raise ClientError(f"Missing required hyperparameter: {name}: {domains[name]} is needed.")
    return values


def _parse(name: str, text: str, domain: Domain) -> Any:
    try:
        return value_of(text, domain)
    except ValueError:
        raise ClientError(
            f"Hyperparameter {name}: value {text[:SHOWN_CHARACTERS]!r} is not allowed; it must be {domain}."
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
