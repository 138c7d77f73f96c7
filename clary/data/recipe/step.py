"""What a step of a recipe is, before and after it has seen data.

    Step ── fitting(schema) ──> asks for statistics, gets them, asks again …, returns ──> FittedStep
A step is a name and parameters, as declared in a recipe. A fitted step holds what it learnt from the data, and turns
batches, and single rows, into what the next step gets.
"""

from __future__ import annotations

import fnmatch
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Column, Field, Kind, Schema, some
from clary.data.errors import RecipeError, StepError
from clary.data.statistics.base import Statistic

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode

# Each yield is a pass over the table, shared with the other steps that are ready: a step asks for as much as it can
# at once. It is sent the results in the order asked.
Fitting = Generator[Sequence[Statistic[Any, Any]], Sequence[Any], "FittedStep"]

# Keywords for `columns`, beside names and patterns ("pixel_*").
KIND_WORDS: Mapping[str, tuple[Kind, ...]] = {
    "numbers": (Kind.NUMBER, Kind.BLOCK),
    "booleans": (Kind.BOOLEAN,),
    "text": (Kind.TEXT,),
    "times": (Kind.TIME,),
    "all": tuple(Kind),
}


@dataclass(frozen=True, kw_only=True)
class Step(ABC):
    """A step as a recipe declares it. Subclasses are frozen dataclasses; their fields are the recipe's parameters.

    columns   names, patterns, or one of the keywords "numbers", "booleans", "text", "times", "all"; without it, all
              columns of the kinds that the step is for (`kinds`) but for the target
    leave     names or patterns of columns that `columns` takes in and the step leaves alone
    target    the column that is to be predicted: the recipe's own; steps that learn from it read it, no step chooses
              it by a pattern or a keyword
    """

    columns: tuple[str, ...] | str = ()
    leave: tuple[str, ...] = ()
    target: str = ""

    name: ClassVar[str]  # in recipes: "impute", "scale", …
    kinds: ClassVar[tuple[Kind, ...]] = tuple(Kind)
    # Whether the columns stay, each of its kind, under their names: steps behind it need not wait to see their columns.
    keeps_schema: ClassVar[bool] = False
    # Whether rows go, come or change their order: what stands behind it waits until it is fitted.
    changes_rows: ClassVar[bool] = False

    def chosen(self, schema: Schema) -> tuple[str, ...]:
        """The columns it works on, in the table's order. Raises StepError for names that are not there.

        Raises StepError too where a column that was named is of a kind the step is not for.
        """
        return select(schema, self.columns, self.kinds, self.leave, self.target)

    def reads(self, schema: Schema) -> tuple[str, ...]:
        """Every column that fitting or transforming reads: those chosen, and the target if the step learns from it."""
        return self.chosen(schema)

    def writes(self, schema: Schema) -> tuple[str, ...]:
        """Every column of these that it replaces or removes, and every column that it adds."""
        return self.chosen(schema)

    @property
    def names_columns(self) -> bool:
        """Whether `columns` are plain names, so that no other column can change what is meant."""
        return bool(self.columns) and not isinstance(self.columns, str) and not any(map(_is_pattern, self.columns))

    @abstractmethod
    def fitting(self, schema: Schema) -> Fitting:
        """Ask for statistics by `yield [..]`, return the fitted step. Raises StepError."""


def select(
    schema: Schema,
    columns: tuple[str, ...] | str,
    kinds: Collection[Kind],
    leave: Sequence[str] = (),
    target: str = "",
) -> tuple[str, ...]:
    """The columns that are selected, in the table's order."""
    aside = {field.name for field in schema.fields if field.aside} | ({target} if target else set())
    if not columns:
        found = set(schema.of_kind(*kinds)) - aside
    elif isinstance(columns, str) and columns in KIND_WORDS:
        found = set(schema.of_kind(*KIND_WORDS[columns])) & set(schema.of_kind(*kinds)) - aside
    else:
        found = set()
        for selector in (columns,) if isinstance(columns, str) else columns:
            found |= _matching(schema, selector, kinds, aside)
    found -= {name for name in found if any(fnmatch.fnmatchcase(name, pattern) or name == pattern for pattern in leave)}
    return tuple(name for name in schema.names if name in found)


def _is_pattern(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def _matching(schema: Schema, selector: str, kinds: Collection[Kind], aside: Collection[str]) -> set[str]:
    """The columns that a name or a pattern selects. Raises StepError."""
    if selector in schema:
        kind = schema[selector].kind
        if kind not in kinds:
            wanted = " or ".join(kinds)
            raise StepError(f"it holds {kind}, and the step is for {wanted}; cast it first", column=selector)
        return {selector}
    if _is_pattern(selector):
        return {name for name in schema.of_kind(*kinds) if fnmatch.fnmatchcase(name, selector) and name not in aside}
    raise StepError(f"there is no such column; there are: {some(schema.names)}", column=selector)


@dataclass(frozen=True)
class FittedStep(ABC):
    """A step that has seen its data. Subclasses are frozen dataclasses whose fields are all it knows.

    Fields may be: None, bool, int, float, str, tuples and dicts of such, numpy arrays, pyarrow arrays, fitted
    scikit-learn estimators: they are what is saved.
    """

    # Only while the recipe is fitted and its training rows are made, not at inference: steps that drop or add rows.
    training_only: ClassVar[bool] = False
    # Whether a row's result depends on rows before it: `stepper` is used then, on one batch after the other.
    in_order: ClassVar[bool] = False

    @property
    @abstractmethod
    def inputs(self) -> tuple[str, ...]:
        """The columns that `transform` reads."""

    @property
    @abstractmethod
    def made(self) -> tuple[Field, ...]:
        """The columns it adds, or replaces under the same name."""

    @property
    def removed(self) -> tuple[str, ...]:
        """The columns that the step removes."""
        return ()

    @abstractmethod
    def transform(self, batch: Batch) -> Batch:
        """The same rows after the step: `batch.replaced(removed, {...})`, other columns untouched.

        The same for a row whatever the batch around it. Called from several threads at once. Raises StepError.
        """

    def stepper(self) -> Callable[[Batch], Batch]:
        """For steps with `in_order`: something to be called with each batch in turn."""
        return self.transform

    def after(self, schema: Schema) -> Schema:
        return schema.replaced(self.removed, self.made)

    def only(self, wanted: Collection[str]) -> FittedStep | None:
        """The step reduced to what those columns need of it; None where they need nothing."""
        return self if self.training_only or any(field.name in wanted for field in self.made) else None

    def training(self) -> FittedStep:
        """The same for the rows that it was fitted on, whose targets a step may have learnt from."""
        return self

    def training_rows(self, batch: Batch) -> NDArray[np.bool_] | None:
        """Which rows of a batch that it made later steps may learn from; None for all."""
        return None

    def notes(self) -> Sequence[str]:
        """Sentences on the fitting: what the step dropped and why, what it replaced by what."""
        return ()

    def row(self, code: RowCode) -> None:
        """Write the step as Python code for one row; bit for bit what `transform` makes of it.

        The default calls `transform` with a batch of one row: right for every step, and slow.
        """
        code.call(self)

    def sklearn(self) -> Any:
        """The same as a fitted scikit-learn transformer of the columns `inputs`, which makes the columns `made`.

        None where scikit-learn has no such thing: the recipe then wraps the step itself.
        """
        return None


@dataclass(frozen=True)
class PerColumn(FittedStep):
    """A fitted step that makes each of its columns from that column alone, under its name and of its kind.

    Subclasses keep what they know of each column in fields that are tuples or arrays as long as `names`.
    """

    names: tuple[str, ...]

    made_kind: ClassVar[Kind | None] = Kind.NUMBER

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.names

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(Field(name, self.made_kind or Kind.NUMBER) for name in self.names)

    @abstractmethod
    def apply(self, place: int, column: Column) -> Column:
        """The new values of the column at this place in `names`. Raises StepError."""

    def transform(self, batch: Batch) -> Batch:
        made = {}
        for place, name in enumerate(self.names):
            try:
                made[name] = self.apply(place, batch[name])
            except StepError as error:
                raise StepError(error.reason, column=error.column or name) from None
        return batch.replaced((), made)

    def only(self, wanted: Collection[str]) -> FittedStep | None:
        places = [place for place, name in enumerate(self.names) if name in wanted]
        if len(places) == len(self.names):
            return self
        return self.at(places) if places else None

    def at(self, places: Sequence[int]) -> FittedStep:
        """The step for the columns at these places alone."""
        reduced: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple) and len(value) == len(self.names):
                reduced[field.name] = tuple(value[place] for place in places)
            elif isinstance(value, np.ndarray) and value.shape[:1] == (len(self.names),):
                reduced[field.name] = value[list(places)]
        return replace(self, **reduced)


# ---- the steps there are ----

STEPS: dict[str, type[Step]] = {}


def step(kind: type[Step]) -> type[Step]:
    """Decorator: a recipe may name this step."""
    if kind.name in STEPS:
        raise RecipeError(f"two steps are called {kind.name!r}")
    STEPS[kind.name] = kind
    return kind


def need(condition: bool, reason: str, parameter: str = "") -> None:
    """Raise RecipeError for a parameter that is wrong whatever the data."""
    if not condition:
        raise RecipeError(f"{parameter}: {reason}" if parameter else reason)


def check_choice(parameter: str, value: object, allowed: Iterable[object]) -> None:
    options = tuple(allowed)
    need(value in options, f"{value!r} is not one of {some(options, 30)}", parameter)
