"""A recipe: what is to be done with a table, before any table is seen.

Recipe ── fit(data) ──> FittedRecipe ── transform(data), transform_row(row), write(data, target)
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from clary.data.batch import some
from clary.data.errors import DataError, RecipeError
from clary.data.progress import Progress
from clary.data.recipe.declare import VERSION, Declared, declared, declared_steps, said_by
from clary.data.recipe.fit import fit_steps
from clary.data.recipe.fitted import FittedRecipe
from clary.data.recipe.progress import shown_on_terminal
from clary.data.recipe.step import Step
from clary.data.recipe.text import MOST_CHARACTERS, json_of, parsed, put_file, yaml_of
from clary.data.scans import Scan, scan_of

if TYPE_CHECKING:
    import pandas as pd

    from clary.data.recipe.preview import Preview


class Recipe:
    """Steps in their order, with the column that is to be predicted.

    steps    objects, or what a file has in their place: {"impute": {"strategy": "median"}}, or "scale"
    target   steps leave it alone, or learn from it; "" for none
    version  of the file's form

    Raises RecipeError with everything that is wrong with the steps.
    """

    def __init__(
        self,
        steps: Sequence[Step | Mapping[str, Any] | str],
        *,
        target: str = "",
        name: str = "",
        version: int = VERSION,
        description: str = "",
    ) -> None:
        plain = {"version": version, "target": target, "name": name, "description": description, "steps": ()}
        self._set(declared(plain), declared_steps(_list(steps), target))

    def _set(self, said: Declared, steps: tuple[Step, ...]) -> None:
        self._said = Declared(steps, said.target, said.name, said.description, said.version)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Recipe:
        """Of what a file says. Raises RecipeError."""
        said = declared(given)
        made = cls.__new__(cls)
        made._set(said, said.steps)
        return made

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """Of YAML or JSON, from anybody. Raises RecipeError."""
        return cls.from_dict(parsed(text))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recipe:
        """Of a file. Raises RecipeError."""
        try:
            with Path(path).open("rb") as file:
                data = file.read(4 * MOST_CHARACTERS + 1)
            return cls.parse(data.decode("utf-8-sig"))
        except OSError as error:
            raise RecipeError(f"the recipe {str(path)!r} cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise RecipeError(f"the recipe {str(path)!r} is no text in UTF-8") from None
        except RecipeError as error:
            raise RecipeError(f"{path}: {error}") from None

    @property
    def steps(self) -> tuple[Step, ...]:
        return self._said.steps

    @property
    def target(self) -> str:
        return self._said.target

    @property
    def name(self) -> str:
        return self._said.name

    @property
    def description(self) -> str:
        return self._said.description

    @property
    def version(self) -> int:
        return self._said.version

    def to_dict(self) -> dict[str, Any]:
        """What a file says; parameters that are as by default are left out. Raises RecipeError for functions."""
        return said_by(self._said)

    def to_yaml(self) -> str:
        return yaml_of(self.to_dict())

    def to_json(self) -> str:
        return json_of(self.to_dict())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Into a file: JSON where its name ends so, else YAML. It is whole or not there."""
        path = Path(path)
        text = self.to_json() if path.suffix.lower() == ".json" else self.to_yaml()
        put_file(path, text.encode())

    @property
    def hash(self) -> str:
        """SHA-256 of what the recipe means: the same however it is written, whatever it is called."""
        said = self.to_dict()
        meaning = {key: said.get(key, "") for key in ("version", "target")}
        steps = [one if isinstance(one, dict) else {one: {}} for one in said["steps"]]
        canonical = json.dumps({**meaning, "steps": steps}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()

    def fit(self, data: Scan | pd.DataFrame | pa.Table, *, progress: Progress | None = None) -> FittedRecipe:
        """The recipe with all it has to know of this table, in as few passes over it as that needs.

        progress  told how far it is; where it is None, a bar on the terminal, if there is one

        Raises StepError, naming the step and the column, or what reading raises.
        """
        scan = scan_of(data)
        if self.target and self.target not in scan.arrow_schema.names:
            raise DataError(
                f"the table has no column {self.target!r}, the target; it has: {some(scan.arrow_schema.names)}"
            )
        with shown_on_terminal(progress) as told:
            steps = fit_steps(self.steps, scan, told)
        return FittedRecipe(self, steps, scan.arrow_schema.remove_metadata(), scan.rows)

    def fit_transform(self, data: Scan | pd.DataFrame | pa.Table) -> pd.DataFrame:
        """The training rows: those that the row steps leave, with the target."""
        return self.fit(data).transform(data, training=True)

    def preview(self, data: Scan | pd.DataFrame | pa.Table, rows: int = 1000) -> Preview:
        """What each step does to so many rows, drawn from the table: print it, or let a notebook show it."""
        from clary.data.recipe.preview import previewed

        return previewed(self, scan_of(data), rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self._said == other._said

    def __hash__(self) -> int:
        return hash((self.target, tuple(step.name for step in self.steps)))

    def __repr__(self) -> str:
        called = f" {self.name!r}" if self.name else ""
        return f"<Recipe{called}: {', '.join(step.name for step in self.steps) or 'no steps'}>"


def _list(steps: object) -> Sequence[Any]:
    if isinstance(steps, str | Mapping) or not isinstance(steps, Sequence):
        raise RecipeError(f"steps: a list of steps is wanted, not {type(steps).__name__}")
    return steps
