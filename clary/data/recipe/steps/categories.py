"""What the steps on categories have in common: which columns they take, and where a value stands among the levels.

A batch's values are looked up once per distinct value: codes into the batch's own small dictionary, and a table from
there to the levels that were there at fitting. Levels are strings, or float64 for columns of numbers and booleans.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.batch import Batch, Column, Field, Kind, Schema, coded, some
from clary.data.errors import StepError
from clary.data.recipe.step import FittedStep, PerColumn, Step, select
from clary.data.statistics.categories import category
from clary.data.statistics.counts import Levels

UNKNOWN, MISSING = -1, -2

# So many levels become columns of their own; more become one block, kept sparse.
MOST_COLUMNS = 256

Order = Literal["sorted", "frequency", "appearance"]
Value = str | float | bool | None


@dataclass(frozen=True, kw_only=True)
class CategoryStep(Step):
    """Works on text; on numbers and booleans too where they are named."""

    kinds: ClassVar[tuple[Kind, ...]] = (Kind.TEXT, Kind.BOOLEAN, Kind.NUMBER)

    def chosen(self, schema: Schema) -> tuple[str, ...]:
        """The text columns, where the recipe names none: a number is a category only where it is named."""
        return select(schema, self.columns or "text", self.kinds, self.leave, self.target)


@dataclass(frozen=True)
class PerSource(PerColumn):
    """A fitted step that makes, from each of its columns alone, several of other names (or a block) in its place."""

    @abstractmethod
    def made_fields(self, place: int) -> Sequence[Field]:
        """What comes of the column that stands at this place in `names`."""

    @abstractmethod
    def apply(self, place: int, column: Column) -> Mapping[str, Column]:
        """The columns that `made_fields` lists. Raises StepError."""

    @property
    def keeps_source(self) -> bool:
        """Whether the columns that were read stay."""
        return False

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(field for place in range(len(self.names)) for field in self.made_fields(place))

    @property
    def removed(self) -> tuple[str, ...]:
        if self.keeps_source:
            return ()
        made = {field.name for field in self.made}
        return tuple(name for name in self.names if name not in made)

    def transform(self, batch: Batch) -> Batch:
        made: dict[str, Column] = {}
        for place, name in enumerate(self.names):
            try:
                made |= self.apply(place, batch[name])
            except StepError as error:
                raise StepError(error.reason, column=error.column or name) from None
        return batch.replaced(self.removed, made)

    def only(self, wanted: Collection[str]) -> FittedStep | None:
        places = [p for p in range(len(self.names)) if any(field.name in wanted for field in self.made_fields(p))]
        if len(places) == len(self.names):
            return self
        return self.at(places) if places else None


def check_free(schema: Schema, removed: Iterable[str], made: Iterable[Field]) -> None:
    """Raise StepError where two columns would have the same name."""
    out = set(removed)
    left = Schema(tuple(field for field in schema.fields if field.name not in out))
    taken, blocks = set(left.flat_names), {field.name for field in left.fields if field.kind is Kind.BLOCK}
    for field in made:
        for name in field.names or (field.name,):
            if name in taken or (name == field.name and name in blocks):
                raise StepError(
                    f"there would be two columns {name!r}; rename one of those that they come from (step `rename`)",
                    column=name,
                )
            taken.add(name)


# ---- levels ----


def same_kind(column: Column, levels: pa.Array) -> Column:
    """The column in the form that its levels have. A column without any value fits all levels. Raises StepError."""
    found = category(column)
    text = not isinstance(found, np.ndarray)
    if text == pa.types.is_string(levels.type):
        return found
    empty = len(found) == found.null_count if text else np.isnan(found).all()
    if empty or not len(levels):
        return found
    holds, held = ("text", "numbers") if text else ("numbers", "text")
    raise StepError(f"it holds {holds}, and held {held} at fitting; cast it (step `cast`)")


def looked_up(column: Column, levels: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.int32], pa.Array]:
    """(codes, table, dictionary): the value of a row is level number table[code], or UNKNOWN, or MISSING.

    The table's last place is for missing values, whose code is -1.
    """
    codes, dictionary = coded(same_kind(column, levels))
    if len(dictionary) > 2 * len(codes) + 64:  # some rows of a table with a large dictionary: use their levels alone
        used, rows = np.unique(codes, return_inverse=True)
        first = int(len(used) > 0 and used[0] == -1)
        codes, dictionary = (rows - first).astype(np.int32), dictionary.take(pa.array(used[first:]))
    table = np.full(len(dictionary) + 1, MISSING, np.int32)
    if len(dictionary):
        places = pc.index_in(dictionary, value_set=levels) if len(levels) and dictionary.type == levels.type else None
        found = np.full(len(dictionary), UNKNOWN, np.int32) if places is None else _filled(places)
        if dictionary.null_count:
            found = np.where(dictionary.is_null().to_numpy(zero_copy_only=False), np.int32(MISSING), found)
        table[:-1] = found
    return codes, table, dictionary


def _filled(places: pa.Array) -> NDArray[np.int32]:
    found: NDArray[np.int32] = places.fill_null(UNKNOWN).to_numpy(zero_copy_only=False)
    return found


def refuse_unknown(codes: NDArray[np.int32], table: NDArray[np.int32], dictionary: pa.Array, remedy: str) -> None:
    """Raise StepError where a row's level was not there at fitting."""
    unknown = np.flatnonzero(table == UNKNOWN)
    if not len(unknown):
        return
    is_unknown = np.isin(codes, unknown)
    if is_unknown.any():
        values = dictionary.take(pa.array(np.unique(codes[is_unknown])))
        raise StepError(unknown_levels(values, remedy))


def unknown_levels(values: pa.Array, remedy: str) -> str:
    was = "level was" if len(values) == 1 else "levels were"
    return f"{examples(values)}: the {was} not there at fitting; choose {remedy}, or fit on data that has it"


def level_name(value: Value, *, boolean: bool = False) -> str:
    """A level as it stands in a column's name. Whole numbers have no decimal point, whatever type held them."""
    if boolean and value is not None:
        return str(bool(value))
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)
    return str(value)


def given_levels(values: Sequence[Value], kind: Kind) -> pa.Array:
    """Levels that a recipe names, for a column of this kind. Raises StepError where they are of another."""
    if kind is Kind.TEXT:
        wrong = [value for value in values if not isinstance(value, str)]
        if wrong:
            raise StepError(f"it holds text, and {some(wrong, 3)} is not; put quotes around it")
        return pa.array(values, pa.string())
    words = [value for value in values if isinstance(value, str) or value is None]
    if words:
        raise StepError(f"it holds {kind}, and {some(words, 3)} is not one")
    return pa.array([float(value or 0.0) for value in values], pa.float64())


def in_order(levels: Levels, order: str) -> Levels:
    """The levels sorted (strings by code points), by how often they are there (ties sorted), or as they appeared."""
    if order == "appearance":
        return levels
    places = pc.sort_indices(levels.values).to_numpy()
    if order == "frequency":
        places = places[np.argsort(-levels.counts[places], kind="stable")]
    return at(levels, places)


def at(levels: Levels, places: NDArray[Any]) -> Levels:
    return Levels(levels.values.take(pa.array(places)), levels.counts[places], levels.missing)


def frequent(levels: Levels, min_count: float, max_levels: int | None) -> NDArray[np.bool_]:
    """Which levels are there often enough: min_count rows (a share of those with a value where below 1).

    At most `max_levels` of them; of equally frequent levels those that sort first.
    """
    least = min_count * float(levels.counts.sum()) if min_count < 1 else min_count
    kept: NDArray[np.bool_] = levels.counts >= least
    if max_levels is not None and kept.sum() > max_levels:
        order = in_order(Levels(levels.values, np.where(kept, levels.counts, -1), 0), "frequency").values
        best = pc.index_in(order.slice(0, max_levels), value_set=levels.values)
        kept = np.zeros(len(levels), bool)
        kept[best.to_numpy(zero_copy_only=False)] = True
    return kept


def examples(values: pa.Array, most: int = 5) -> str:
    """Levels for a sentence."""
    more = f" … ({len(values) - most} more)" if len(values) > most else ""
    return shown(values.slice(0, most).to_pylist()) + more


def shown(values: Sequence[Value]) -> str:
    return ", ".join(repr(value) if isinstance(value, str) else level_name(value) for value in values)


def missing_test(kind: Kind, expression: str) -> str:
    """The condition, in a row's code, that a value is missing."""
    return f"{expression} is None" if kind is Kind.TEXT else f"{expression} != {expression}"


def by_level(levels: pa.Array, values: Iterable[Any]) -> dict[Any, Any]:
    """What each level becomes, for a row's code."""
    return dict(zip(levels.to_pylist(), values, strict=True))
