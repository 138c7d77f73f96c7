"""From a recipe's dict to its steps, and back. Everything that is wrong with a recipe is reported at once.

    version: 1
    name: titanic
    target: survived
    steps:
      - impute: {columns: [age, fare], strategy: median}
      - scale: {method: robust}
      - one_hot: {columns: text, unknown: ignore}

A step is its name with a mapping of parameters, or its name alone. `columns` is a keyword for all columns of a kind
("numbers", "booleans", "text", "times", "all"); any other text is one column. `[text]` is a column of that name.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clary.data.errors import RecipeError
from clary.data.recipe import steps as registry
from clary.data.recipe.parameters import Mismatch, converted, default_of, described, frozen, parameters, shown, types_of
from clary.data.recipe.step import KIND_WORDS, Step

VERSION = 1  # of this form; a parameter's default does not change within it
MOST_STEPS = 1_000
KEYS = ("version", "name", "description", "target", "steps")


@dataclasses.dataclass(frozen=True)
class Declared:
    """A recipe's parts, checked."""

    steps: tuple[Step, ...]
    target: str
    name: str
    description: str
    version: int


def declared(given: Mapping[str, Any]) -> Declared:
    """The parts of a recipe's dict. Raises RecipeError with everything that is wrong with it."""
    if not isinstance(given, Mapping):
        raise RecipeError(f"a recipe is a mapping with the keys {', '.join(KEYS)}, not {shown(given)}")
    wrong = [f"there is no key {shown(key)}; {registry.nearest(key, list(KEYS))}" for key in given if key not in KEYS]
    version = given.get("version", VERSION)
    if type(version) is not int or not 1 <= version <= VERSION:
        raise RecipeError(
            f"version: {shown(version)} is not a version of recipes that this Clary knows (1 to {VERSION})"
        )
    words = {key: given.get(key, "") for key in ("name", "description", "target")}
    wrong += [f"{key}: {shown(value)} is not text" for key, value in words.items() if not isinstance(value, str)]
    steps = given.get("steps")
    if isinstance(steps, str | Mapping) or not isinstance(steps, Sequence):
        wrong.append("steps: a list of steps is wanted" + ("" if "steps" in given else "; the key is not there"))
        steps = ()
    if wrong:
        raise RecipeError(_joined(wrong))
    target = str(words["target"])
    made = declared_steps(steps, target)
    return Declared(made, target, str(words["name"]), str(words["description"]), version)


def declared_steps(given: Sequence[Step | Mapping[str, Any] | str], target: str = "") -> tuple[Step, ...]:
    """Steps, each with the recipe's target. Raises RecipeError with all that is wrong with any of them."""
    if len(given) > MOST_STEPS:
        raise RecipeError(f"steps: {len(given):,} are too many; at most {MOST_STEPS:,}")
    made: list[Step] = []
    wrong: list[str] = []
    for place, step in enumerate(given):
        try:
            made.append(_step(step, target))
        except _Wrong as error:
            wrong += [f"step {place + 1}{error.step}: {reason}" for reason in error.reasons]
    if wrong:
        raise RecipeError(_joined(wrong))
    return tuple(made)


def _joined(wrong: Sequence[str]) -> str:
    return (
        wrong[0]
        if len(wrong) == 1
        else f"{len(wrong)} things are wrong:\n" + "\n".join(f"- {reason}" for reason in wrong)
    )


class _Wrong(Exception):
    def __init__(self, reasons: Sequence[str], step: str = "") -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons
        self.step = f" ({step})" if step else ""


def _step(given: Step | Mapping[str, Any] | str, target: str) -> Step:
    if isinstance(given, Step):
        values = {name: getattr(given, name) for name in parameters(type(given))}
        return _made(type(given), values, target)
    if isinstance(given, str):
        given = {given: {}}
    if not isinstance(given, Mapping) or len(given) != 1:
        form = "a step is its name, or a mapping of its name to its parameters"
        raise _Wrong([f"{form} (`- impute: {{strategy: median}}`), not {shown(given)}"])
    ((name, values),) = given.items()
    if not isinstance(name, str):
        raise _Wrong([f"the name of a step is text, not {shown(name)}"])
    try:
        kind = registry.step_named(name)
    except RecipeError as error:
        raise _Wrong([str(error)]) from None
    if values is None:
        values = {}
    if not isinstance(values, Mapping):
        raise _Wrong([f"its parameters are a mapping, like {{columns: [age]}}, not {shown(values)}"], name)
    return _made(kind, values, target)


def _made(kind: type[Step], values: Mapping[str, Any], target: str) -> Step:
    """The step with these parameters, each of its type."""
    fields, types = parameters(kind), types_of(kind)
    wrong: list[str] = []
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in fields:
            wrong.append(f"there is no parameter {shown(name)}; {registry.nearest(name, list(fields))}")
            continue
        try:
            checked[name] = _checked(name, value, types[name])
        except Mismatch as mismatch:
            wrong.append(f"{name}: {shown(value)} is not {mismatch}")
    for name, field in fields.items():
        if default_of(field) is dataclasses.MISSING and name not in values:
            wrong.append(f"{name}: it has to be given ({described(types[name])})")
    if wrong:
        raise _Wrong(wrong, kind.name)
    if target and not checked.get("target"):
        checked["target"] = target
    try:
        return kind(**checked)
    except RecipeError as error:
        raise _Wrong([str(error)], kind.name) from None


def _checked(name: str, value: Any, wanted: Any) -> Any:
    value = converted(value, wanted)
    return (value,) if name == "columns" and isinstance(value, str) and value not in KIND_WORDS else value


# ---- and back ----


def as_dict(recipe: Declared) -> dict[str, Any]:
    """The recipe as in a file, without parameters that have their default. Raises RecipeError for Python functions."""
    texts = {"name": recipe.name, "description": recipe.description, "target": recipe.target}
    return {
        "version": recipe.version,
        **{key: value for key, value in texts.items() if value},
        "steps": [_step_as_dict(place, step, recipe.target) for place, step in enumerate(recipe.steps)],
    }


def _step_as_dict(place: int, step: Step, target: str) -> dict[str, Any] | str:
    values = {}
    for name, field in parameters(type(step)).items():
        value = getattr(step, name)
        if name == "target" and value == target:
            continue
        default = default_of(field)
        if default is dataclasses.MISSING or not same(value, default):
            values[name] = _serializable(value, f"step {place + 1} ({step.name}): {name}")
    return {step.name: values} if values else step.name


def same(first: Any, second: Any) -> bool:
    """Equal and of one type, however deep: 1, 1.0 and true are three things; NaN is itself."""
    first, second = frozen(first), frozen(second)
    if type(first) is not type(second):
        return False
    if isinstance(first, tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(value, second[key]) for key, value in first.items())
    if isinstance(first, float) and math.isnan(first):
        return math.isnan(second)
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second)
    return bool(first == second)


def _serializable(value: Any, where: str) -> Any:
    """The value in YAML's and JSON's types."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_serializable(item, where) for item in value]
    if isinstance(value, Mapping):
        return {key: _serializable(item, where) for key, item in value.items()}
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise RecipeError(f"{where}: a {type(value).__name__} cannot be written into a file; name it by its import path")
