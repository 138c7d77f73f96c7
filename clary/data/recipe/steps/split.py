"""The step that divides rows into those to train on, to choose a model with, and to test it."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from clary.data.batch import Batch, Field, Kind, Schema, missing, numbers
from clary.data.errors import StepError
from clary.data.recipe.step import FittedStep, Fitting, Step, check_choice, need, step
from clary.data.statistics.counts import Counts
from clary.data.statistics.hashes import hashes_of, splitmix64
from clary.data.statistics.moments import Moments
from clary.data.statistics.quantiles import Quantiles
from clary.data.statistics.thresholds import Thresholds, classes_of

SPLIT = "split"
PARTS = ("train", "validation", "test")
_ALL = (1 << 64) - 1


@step
@dataclass(frozen=True, kw_only=True)
class Split(Step):
    """Divide the rows into train, validation and test, in a column `split`. Steps behind it learn from train.

    train, validation, test  the shares; their sum is 1
    method  random: at random; stratified: at random, with these shares in every class of `by`; group: rows with the
            same value in `by` stay together, and the shares are of such groups; time: the earliest rows by `by` to
            train, the latest to test
    by      a column; for stratified nothing stands for the target
    seed    another seed divides otherwise
    Numbers of rows are exact (in each class, rounded). The column is there for training only, not at inference, and no
    pattern chooses it.
    """

    train: float = 0.8
    validation: float = 0.0
    test: float = 0.2
    method: Literal["random", "stratified", "group", "time"] = "random"
    by: str = ""
    seed: int = 0

    name: ClassVar[str] = "split"
    changes_rows: ClassVar[bool] = True  # of those that are learnt from, only train remains

    def __post_init__(self) -> None:
        need(not self.columns, "the step divides whole rows; use `by`", "columns")
        shares = (self.train, self.validation, self.test)
        need(all(0 <= share <= 1 for share in shares), "shares are from 0 to 1")
        need(math.isclose(sum(shares), 1, abs_tol=1e-9), f"the shares' sum is {sum(shares):g}, not 1")
        need(self.train > 0, "there have to be rows to learn from", "train")
        check_choice("method", self.method, ("random", "stratified", "group", "time"))
        need(self.method != "random" or not self.by, "random takes no column", "by")
        need(
            self.method in ("random", "stratified") or bool(self.by),
            f"needed: the column to divide by, for {self.method}",
            "by",
        )
        need(
            self.method != "stratified" or bool(self.by or self.target), "needed, unless the recipe has a target", "by"
        )
        need(self.seed >= 0, "at least 0", "seed")

    @property
    def names_columns(self) -> bool:
        return True

    def chosen(self, schema: Schema) -> tuple[str, ...]:
        if self.method == "random":
            return ()
        name = self.by or self.target
        kind = schema[name].kind
        allowed = (
            (Kind.TIME, Kind.NUMBER) if self.method == "time" else (Kind.NUMBER, Kind.BOOLEAN, Kind.TEXT, Kind.TIME)
        )
        if kind not in allowed:
            raise StepError(f"it holds {kind}, and {self.method} needs {' or '.join(allowed)}", column=name)
        return (name,)

    def writes(self, schema: Schema) -> tuple[str, ...]:
        return (SPLIT,)

    def fitting(self, schema: Schema) -> Fitting:
        if SPLIT in schema:
            raise StepError("there is a column of that name already; rename it first (step `rename`)", column=SPLIT)
        by = self.chosen(schema)
        if self.method == "time":
            (moment,) = yield [Moments(by[0])]
            self._refuse_missing(moment.missing, by[0])
            ends = self._ranks(moment.count)
            # Half way between the last row of one part and the first of the next.
            q = [min(max((end - 0.5) / max(moment.count - 1, 1), 0.0), 1.0) for end in ends]
            (found,) = yield [Quantiles(by[0], tuple(q))]
            limits = [
                -math.inf if end <= 0 else math.inf if end >= moment.count else float(value)
                for end, value in zip(ends, found, strict=True)
            ]
            return Divided(by, self.method, {"": (limits[0], limits[1])}, self.seed, self._shares)
        if self.method == "group":
            (counts,) = yield [Counts(by[0])]
            self._refuse_missing(counts.missing, by[0])
            hashes = np.sort(splitmix64(hashes_of(_column(counts.values)), self.seed))
            ends = self._ranks(len(hashes))
            below = tuple(int(hashes[end]) if end < len(hashes) else _ALL for end in ends)
            return Divided(by, self.method, {"": (below[0], below[1])}, self.seed, self._shares)
        (classes,) = yield [Thresholds(self._ranks, by[0] if by else None, self.seed)]
        below_of = {_name(level) if by else "": (found[0], found[1]) for level, found in classes.items()}
        return Divided(by, self.method, below_of, self.seed, self._shares)

    @property
    def _shares(self) -> tuple[float, float, float]:
        return (self.train, self.validation, self.test)

    def _ranks(self, rows: int) -> tuple[int, int]:
        """Where the first part ends, and the second."""
        return round(self.train * rows), round((self.train + self.validation) * rows)

    def _refuse_missing(self, missing_count: int, name: str) -> None:
        if missing_count:
            raise StepError(
                f"{missing_count:,} values are missing; drop those rows first (step `drop_missing`)", column=name
            )


def _column(values: pa.Array) -> NDArray[np.float64] | pa.Array:
    """Levels in the form that their column has in a batch."""
    if pa.types.is_string(values.type):
        return values
    if pa.types.is_timestamp(values.type):
        return values.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
    return values.to_numpy(zero_copy_only=False)


def _name(level: object) -> str:
    return "missing" if level is None else f"={level}"


@dataclass(frozen=True)
class Divided(FittedStep):
    """limits: of each class, or of all rows (class ""), the hashes, or times, below which train and validation are."""

    by: tuple[str, ...]
    method: str
    limits: dict[str, tuple[float, float]]
    seed: int
    shares: tuple[float, float, float]

    training_only: ClassVar[bool] = True

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.by

    @property
    def made(self) -> tuple[Field, ...]:
        return (Field(SPLIT, Kind.TEXT, aside=True),)

    def only(self, wanted: Collection[str]) -> FittedStep:
        return self

    def transform(self, batch: Batch) -> Batch:
        codes = self._codes(batch).astype(np.int32)
        return batch.replaced((), {SPLIT: pa.DictionaryArray.from_arrays(codes, pa.array(PARTS))})

    def _codes(self, batch: Batch) -> NDArray[np.int64]:
        if self.method == "time":
            values = numbers(batch[self.by[0]])
            if np.isnan(values).any():
                raise StepError("a value is missing; drop such rows first (step `drop_missing`)", column=self.by[0])
            first, second = self.limits[""]
            return (values > first).astype(np.int64) + (values > second)
        if self.method == "group":
            column = batch[self.by[0]]
            return _interval(splitmix64(hashes_of(column, missing(column)), self.seed), self.limits[""])
        hashes = splitmix64(batch.row_numbers, self.seed)
        codes = np.zeros(batch.rows, np.int64)
        for level, rows in classes_of(batch, self.by[0] if self.by else None).items():
            codes[rows] = _interval(hashes[rows], self.limits.get(_name(level) if self.by else "", (_ALL, _ALL)))
        return codes

    def training_rows(self, batch: Batch) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = pc.equal(batch[SPLIT].dictionary_decode(), "train").to_numpy(zero_copy_only=False)
        return found

    def notes(self) -> Sequence[str]:
        shares = ", ".join(f"{share:.3g} to {part}" for share, part in zip(self.shares, PARTS, strict=True) if share)
        where = f" by {self.by[0]!r}" if self.by else ""
        return (f"Rows were divided ({self.method}{where}): {shares}. Later steps learnt from train.",)


def _interval(hashes: NDArray[np.uint64], limits: tuple[float, float]) -> NDArray[np.int64]:
    """0 below the first limit, 1 below the second, else 2."""
    first, second = (np.uint64(int(limit)) for limit in limits)
    return (hashes >= first).astype(np.int64) + (hashes >= second)
