"""Recipes as YAML or JSON. Text from anybody: bounded in size and depth, no aliases, no tags, no key twice.

YAML is read by the rules of version 1.2, whose plain values are JSON's: `no` is a text and 1e-3 a number.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from clary.data.errors import DataError, RecipeError

MOST_CHARACTERS = 1_000_000
MOST_DEPTH = 24

_PLAIN = (
    ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), [*"~nN", ""]),
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), [*"tTfF"]),
    ("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), [*"-+0123456789"]),
    (
        "tag:yaml.org,2002:float",
        re.compile(
            r"^(?:[-+]?(?:[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        [*"-+0123456789."],
    ),
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - not 1.1's, which the base class has
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            line = self.get_mark().line + 1
            raise RecipeError(f"near line {line}: aliases (*name) are not taken; write it out")
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise RecipeError(f"the recipe is nested deeper than {MOST_DEPTH}")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        made: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str | int | float | bool | None):
                raise RecipeError(f"line {line}: a key has to be a plain value")
            if key in made:
                raise RecipeError(f"line {line}: the key {key!r} is given twice")
            made[key] = self.construct_object(value_node, deep=True)
        return made


class _Dumper(yaml.SafeDumper):
    """Puts in quotes what version 1.1 or 1.2 would not read as text."""

    yaml_implicit_resolvers = {key: list(value) for key, value in yaml.SafeDumper.yaml_implicit_resolvers.items()}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _tag, _pattern, _first in _PLAIN:
    _Loader.add_implicit_resolver(_tag, _pattern, _first)
    _Dumper.add_implicit_resolver(_tag, _pattern, _first)
_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.construct_mapping)


def parsed(text: str) -> Any:
    """The content of a text, as dicts, lists and plain values. Raises RecipeError."""
    if not isinstance(text, str):
        raise RecipeError(f"a recipe is text, YAML or JSON, not {type(text).__name__}")
    if len(text) > MOST_CHARACTERS:
        raise RecipeError(f"a recipe has at most {MOST_CHARACTERS:,} characters, this one {len(text):,}")
    try:
        document = _json(text) if text.lstrip().startswith("{") else yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise RecipeError(f"the recipe is not YAML: {_first_lines(error)}") from None
    except RecursionError:
        raise RecipeError(f"the recipe is nested deeper than {MOST_DEPTH}") from None
    except RecipeError:
        raise
    except ValueError as error:  # a number of thousands of digits, a tag's value
        raise RecipeError(f"the recipe cannot be read: {error}") from None
    _check_depth(document, 0)
    return document


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        try:  # YAML's flow style begins with a brace too
            return yaml.load(text, _Loader)  # noqa: S506
        except yaml.YAMLError:
            raise RecipeError(f"the recipe is not JSON: {error}") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [key for key, _ in pairs]
        raise RecipeError(f"the key {next(key for key in names if names.count(key) > 1)!r} is given twice")
    return made


def _check_depth(document: Any, depth: int) -> None:
    if depth > MOST_DEPTH:
        raise RecipeError(f"the recipe is nested deeper than {MOST_DEPTH}")
    for item in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        _check_depth(item, depth + 1)


def _first_lines(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def yaml_of(document: Mapping[str, Any]) -> str:
    """A recipe's dict as YAML, from which `parsed` gives the same dict."""
    return yaml.dump(
        dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
    )


def json_of(document: Mapping[str, Any], indent: int | None = 2) -> str:
    return json.dumps(document, indent=indent, ensure_ascii=False)


def put_file(path: Path, data: bytes) -> None:
    """Put a file in its place at once: it is whole, or as it was. Raises DataError where that cannot be written."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise DataError(f"{str(path)!r} cannot be written: {error.strerror or error}") from None
