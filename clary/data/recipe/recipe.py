"""Recipes before and after they are fitted: each makes the other, so both stand here.

Recipe ── fit(data) ──> FittedRecipe ── transform(data), transform_row(row), write(data, target)
                             └── save(path) ──> file ── FittedRecipe.load(path)
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from clary.data.batch import some
from clary.data.errors import DataError, RecipeError
from clary.data.progress import Progress
from clary.data.recipe.declare import VERSION, Declared, as_dict, declared, declared_steps
from clary.data.recipe.fit import fit_steps
from clary.data.recipe.fitted import FittedSteps
from clary.data.recipe.progress import shown_on_terminal
from clary.data.recipe.saved import archive
from clary.data.recipe.step import Step
from clary.data.recipe.text import MOST_CHARACTERS, json_of, parsed, put_file, yaml_of
from clary.data.scans import Scan, scan_of

if TYPE_CHECKING:
    import pandas as pd

    from clary.data.recipe.preview import Preview


class Recipe:
    """Steps in their order, with the column that is to be predicted.

    steps    objects, or as a file has them: {"impute": {"strategy": "median"}}, or "scale"
    target   the column to be predicted: steps leave it alone, or learn from it; "" for none
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
        self._declared: Declared = replace(declared(plain), steps=declared_steps(_list(steps), target))

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Recipe:
        """The recipe that a dict declares, in the form of a file. Raises RecipeError."""
        content = declared(given)
        return cls(
            content.steps,
            target=content.target,
            name=content.name,
            version=content.version,
            description=content.description,
        )

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Of a pickle; earlier versions called the attribute `_said`."""
        self._declared = state["_said"] if "_said" in state else state["_declared"]

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """The recipe in a text of YAML or JSON, from anybody. Raises RecipeError."""
        return cls.from_dict(parsed(text))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recipe:
        """The recipe in a file of YAML or JSON. Raises RecipeError."""
        try:
            with Path(path).open("rb") as file:
                data = file.read(4 * MOST_CHARACTERS + 1)
            return cls.parse(data.decode("utf-8-sig"))
        except OSError as error:
            raise RecipeError(f"the recipe {str(path)!r} cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise RecipeError(f"the recipe {str(path)!r} is not UTF-8 text") from None
        except RecipeError as error:
            raise RecipeError(f"{path}: {error}") from None

    @property
    def steps(self) -> tuple[Step, ...]:
        return self._declared.steps

    @property
    def target(self) -> str:
        return self._declared.target

    @property
    def name(self) -> str:
        return self._declared.name

    @property
    def description(self) -> str:
        return self._declared.description

    @property
    def version(self) -> int:
        return self._declared.version

    def to_dict(self) -> dict[str, Any]:
        """As in a file, without parameters that have their default. Raises RecipeError for Python functions."""
        return as_dict(self._declared)

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
        """SHA-256 of what the recipe means: the same however it is written, whatever its name is."""
        content = self.to_dict()
        meaning = {key: content.get(key, "") for key in ("version", "target")}
        steps = [step if isinstance(step, dict) else {step: {}} for step in content["steps"]]
        canonical = json.dumps({**meaning, "steps": steps}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()

    def fit(self, data: Scan | pd.DataFrame | pa.Table, *, progress: Progress | None = None) -> FittedRecipe:
        """The recipe with all it has to know of this table, in as few passes over it as that needs.

        progress  called as the work goes on; where it is None, a bar on the terminal, if there is one

        Raises StepError, naming the step and the column, or what reading raises.
        """
        scan = scan_of(data)
        if self.target and self.target not in scan.arrow_schema.names:
            raise DataError(
                f"the table has no column {self.target!r}, the target; it has: {some(scan.arrow_schema.names)}"
            )
        with shown_on_terminal(progress) as shown:
            steps = fit_steps(self.steps, scan, shown)
        return FittedRecipe(self, steps, scan.arrow_schema.remove_metadata(), scan.rows)

    def fit_transform(self, data: Scan | pd.DataFrame | pa.Table) -> pd.DataFrame:
        """The training rows: those that the row steps leave, with the target."""
        return self.fit(data).transform(data, training=True)

    def preview(self, data: Scan | pd.DataFrame | pa.Table, rows: int = 1000) -> Preview:
        """What each step does to so many rows, drawn from the table: print it, or let a notebook show it."""
        from clary.data.recipe.preview import previewed

        return previewed(self.name, self.steps, scan_of(data), rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self._declared == other._declared

    def __hash__(self) -> int:
        return hash((self.target, tuple(step.name for step in self.steps)))

    def __repr__(self) -> str:
        called = f" {self.name!r}" if self.name else ""
        return f"<Recipe{called}: {', '.join(step.name for step in self.steps) or 'no steps'}>"


def _list(steps: object) -> Sequence[Any]:
    if isinstance(steps, str | Mapping) or not isinstance(steps, Sequence):
        raise RecipeError(f"steps: a list of steps is wanted, not {type(steps).__name__}")
    return steps


@dataclass(frozen=True, eq=False, repr=False)
class FittedRecipe(FittedSteps):
    """What `Recipe.fit` gives: it turns tables, batches and rows into features, and is saved into one file.

    recipe   what was fitted
    steps    its steps, fitted
    columns  of the table it was fitted on
    rows     how many that table has

    Raises StepError where a step reads at inference what only training has.
    """

    recipe: Recipe

    def save(self, path: str | os.PathLike[str]) -> None:
        """Into one file, which `load` reads back without running any code where no step holds an estimator."""
        try:
            recipe: dict[str, Any] | Recipe = self.recipe.to_dict()
        except DataError:  # a step is a Python function
            recipe = self.recipe
        archive.save(archive.Content(recipe, self.columns, self.rows, self.steps), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, allow_pickle: bool = False) -> FittedRecipe:
        """Of a file that `save` wrote. Raises DataError for anything else.

        allow_pickle  whether scikit-learn estimators and functions in it may be unpickled, which runs code: only for
                      files from those whose code you would run
        """
        return archive.load(path, _from_content, allow_pickle=allow_pickle)

    def __reduce__(self) -> tuple[Callable[..., FittedRecipe], tuple[Any, ...]]:
        """Without the compiled function, which is compiled again."""
        return FittedRecipe, (self.recipe, self.steps, self.columns, self.rows)


def _from_content(content: archive.Content) -> FittedRecipe:
    """Raises DataError for parts that do not belong together."""
    recipe = content.recipe if isinstance(content.recipe, Recipe) else Recipe.from_dict(content.recipe)
    if len(content.steps) != len(recipe.steps):
        raise DataError("its parts are not of one recipe")
    fitted = FittedRecipe(recipe, content.steps, content.columns, content.rows)
    fitted.row_function()  # a step whose fields do not go together is noticed now, not at the first request
    return fitted
