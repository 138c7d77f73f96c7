"""Steps on several number columns together: products of them, and normalized rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, combinations_with_replacement
from math import comb
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Block, Field, Kind, Schema, numbers, some
from clary.data.errors import StepError
from clary.data.recipe.step import FittedStep, Fitting, Step, check_choice, need, step

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode

_MOST_TERMS = 10_000


@step
@dataclass(frozen=True, kw_only=True)
class Polynomial(Step):
    """Add the products of number columns, as scikit-learn's PolynomialFeatures makes and names them: "a b", "a^2".

    degree            of the longest products
    interaction_only  only products of different columns: no "a^2"
    include_bias      whether to add a column "1" of ones
    The columns themselves stay as they are. Where one is missing, its products are.
    """

    degree: int = 2
    interaction_only: bool = False
    include_bias: bool = False

    name: ClassVar[str] = "polynomial"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.NUMBER,)

    def __post_init__(self) -> None:
        need(2 <= self.degree <= 10, "from 2 to 10", "degree")

    def terms(self, columns: int) -> Iterator[tuple[int, ...]]:
        """The places of the columns in each product, in scikit-learn's order."""
        choose = combinations if self.interaction_only else combinations_with_replacement
        products = chain.from_iterable(choose(range(columns), degree) for degree in range(2, self.degree + 1))
        return chain([()] if self.include_bias else [], products)

    def writes(self, schema: Schema) -> tuple[str, ...]:
        names = self.chosen(schema)
        self._check_size(len(names))
        return tuple(_name(term, names) for term in self.terms(len(names)))

    def fitting(self, schema: Schema) -> Fitting:
        yield from ()  # nothing is learnt from the table
        names = self.chosen(schema)
        self._check_size(len(names))
        made = Multiplied(names, tuple(self.terms(len(names))))
        for field in made.made:
            if field.name in schema:
                raise StepError("there is a column of that name already", column=field.name)
        return made

    def _check_size(self, columns: int) -> None:
        terms = range(2, self.degree + 1)
        count = sum(comb(columns, k) if self.interaction_only else comb(columns + k - 1, k) for k in terms)
        if count > _MOST_TERMS:
            raise StepError(f"{columns} columns have {count:,} products up to degree {self.degree}: choose fewer")


def _name(term: tuple[int, ...], names: Sequence[str]) -> str:
    if not term:
        return "1"
    return " ".join(
        f"{names[place]}^{exponent}" if exponent > 1 else names[place] for place, exponent in Counter(term).items()
    )


@dataclass(frozen=True)
class Multiplied(FittedStep):
    """terms: of each new column, the places in `names` of what it is the product of; () is a column of ones."""

    names: tuple[str, ...]
    terms: tuple[tuple[int, ...], ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.names

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(Field(_name(term, self.names), Kind.NUMBER) for term in self.terms)

    def only(self, wanted: Collection[str]) -> FittedStep | None:
        kept = [term for term in self.terms if _name(term, self.names) in wanted]
        used = sorted({place for term in kept for place in term})
        at = {place: new for new, place in enumerate(used)}
        names = tuple(self.names[place] for place in used)
        return Multiplied(names, tuple(tuple(at[place] for place in term) for term in kept)) if kept else None

    def transform(self, batch: Batch) -> Batch:
        found: dict[tuple[int, ...], NDArray[np.float64]] = {(): np.ones(batch.rows)}
        found |= {(place,): numbers(batch[name]) for place, name in enumerate(self.names)}
        with np.errstate(over="ignore", invalid="ignore"):
            for term in self.terms:
                self._multiply(term, found)
        return batch.replaced((), {_name(term, self.names): found[term] for term in self.terms})

    def _multiply(self, term: tuple[int, ...], found: dict[tuple[int, ...], NDArray[np.float64]]) -> None:
        """From the left, each product from the one before it."""
        for length in range(2, len(term) + 1):
            if term[:length] not in found:
                found[term[:length]] = found[term[: length - 1]] * found[term[length - 1 : length]]

    def row(self, code: RowCode) -> None:
        values = [code.read(name) for name in self.names]
        where: dict[tuple[int, ...], str] = {(place,): value for place, value in enumerate(values)}
        for term in self.terms:
            for length in range(2, len(term) + 1):
                if term[:length] not in where:
                    where[term[:length]] = code.fresh()
                    left, right = where[term[: length - 1]], where[term[length - 1 : length]]
                    code.statement(f"{where[term[:length]]} = {left} * {right}")
            code.write(_name(term, self.names), where[term] if term else "1.0")

    def notes(self) -> Sequence[str]:
        return (f"{len(self.terms):,} product(s) were added: {some(field.name for field in self.made)}.",)


@step
@dataclass(frozen=True, kw_only=True)
class Normalize(Step):
    """Divide each row, as far as the chosen columns go, by its length: scikit-learn's Normalizer.

    norm  l2: root of the sum of squares; l1: sum of absolute values; max: largest absolute value
    Rows of zeros stay. Blocks count with all their columns, and stay sparse. Raises StepError for missing values.
    """

    norm: Literal["l1", "l2", "max"] = "l2"

    name: ClassVar[str] = "normalize"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.NUMBER, Kind.BLOCK)
    keeps_schema: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_choice("norm", self.norm, ("l1", "l2", "max"))

    def fitting(self, schema: Schema) -> Fitting:
        yield from ()  # nothing is learnt from the table
        names = self.chosen(schema)
        return Normalized(names, self.norm, tuple(schema[name].names for name in names))


@dataclass(frozen=True)
class Normalized(FittedStep):
    """blocks: of each column, the names of a block's columns; () for a number column."""

    names: tuple[str, ...]
    norm: str
    blocks: tuple[tuple[str, ...], ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.names

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(
            Field(name, Kind.BLOCK if inner else Kind.NUMBER, inner)
            for name, inner in zip(self.names, self.blocks, strict=True)
        )

    def transform(self, batch: Batch) -> Batch:
        length = np.zeros(batch.rows)
        with np.errstate(over="ignore", invalid="ignore"):
            for name in self.names:
                length = self._with_column(length, batch[name])
        if self.norm == "l2":
            length = np.sqrt(length)
        if not np.isfinite(length).all():
            name = next((name for name in self.names if not _finite(batch[name])), "")
            raise StepError("a value is missing, infinite or too large; impute or clip it first", column=name)
        length[length == 0] = 1.0
        return batch.replaced((), {name: _divided(batch[name], length) for name in self.names})

    def _with_column(self, length: NDArray[np.float64], column: Any) -> NDArray[np.float64]:
        """With a column more: columns one after the other, so that a row alone has the same bits."""
        if not isinstance(column, Block):
            values = numbers(column)
            if self.norm == "l2":
                return length + values * values
            return length + np.abs(values) if self.norm == "l1" else np.maximum(length, np.abs(values))
        entries = abs(column.matrix)
        if self.norm == "max":
            largest = entries.max(axis=1)
            most: NDArray[np.float64] = np.asarray(largest.toarray() if column.sparse else largest, np.float64)
            return np.maximum(length, most.ravel())
        if self.norm == "l2":
            entries = entries.multiply(entries) if column.sparse else entries * entries
        summed: NDArray[np.float64] = length + np.asarray(entries.sum(axis=1)).ravel()
        return summed

    def row(self, code: RowCode) -> None:
        if any(self.blocks) or not self.names:
            code.call(self)
            return
        values = [code.read(name) for name in self.names]
        length = code.fresh()
        parts = [f"{value} * {value}" if self.norm == "l2" else f"abs({value})" for value in values]
        if self.norm == "max":
            code.statement(f"{length} = max({', '.join(['0.0', *parts])})")
        else:
            code.statement(f"{length} = 0.0 + {' + '.join(parts)}")
        # Missing and infinite values make the sum so; max does not see all of them.
        seen = f"{' + '.join(parts)}" if self.norm == "max" else length
        code.statement(f"if not {seen} < {code.constant(float('inf'))}: {code.leave()}")
        if self.norm == "l2":
            code.statement(f"{length} = {code.ufunc(np.sqrt, length)}")
        code.statement(f"{length} = {length} or 1.0")
        for name, value in zip(self.names, values, strict=True):
            code.write(name, f"{value} / {length}")

    def sklearn(self) -> Any:
        from sklearn.preprocessing import Normalizer

        if any(self.blocks) or not self.names:
            return None
        import pandas as pd

        return Normalizer(norm=self.norm).fit(pd.DataFrame([[1.0] * len(self.names)], columns=list(self.names)))


def _finite(column: Any) -> bool:
    values = column if not isinstance(column, Block) else column.matrix.data if column.sparse else column.matrix
    return bool(np.isfinite(np.asarray(values, np.float64)).all())


def _divided(column: Any, length: NDArray[np.float64]) -> Any:
    if not isinstance(column, Block):
        return numbers(column) / length
    if isinstance(column.matrix, np.ndarray):
        return Block(column.names, column.matrix / length[:, None])
    made = column.matrix.tocsr().astype(np.float64)
    made.data /= np.repeat(length, np.diff(made.indptr))
    return Block(column.names, made)
