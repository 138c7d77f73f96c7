"""Small steps that recipes of these tests are made of, and a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from clary.data.batch import Batch, Field, Kind, Schema
from clary.data.recipe.step import STEPS, FittedStep, Fitting, PerColumn, Step, need
from clary.data.statistics.moments import Moments


def passengers(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Five numbers and five texts with gaps, a whole number, a flag, a time, and what is to be predicted."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({f"n{i}": _holes(pd.Series(random.normal(i, i + 1, rows)), random) for i in range(5)})
    for i in range(5):
        frame[f"c{i}"] = _holes(pd.Series(random.choice(list("abcdef"), rows)), random)
    frame["whole"] = random.integers(0, 4, rows)
    frame["flag"] = random.random(rows) < 0.5
    frame["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 1000, rows), unit="D")
    frame["label"] = random.integers(0, 2, rows)
    return frame


def _holes(series: pd.Series, random: np.random.Generator) -> pd.Series:
    return series.where(random.random(len(series)) > 0.1)


def plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """As JSON has them: None where missing, times as text."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [
        {key: value.isoformat() if isinstance(value, pd.Timestamp) else value for key, value in row.items()}
        for row in rows
    ]


# ---- a step with a parameter of each form; not in the table of steps but while a test wants it there ----


@dataclass(frozen=True, kw_only=True)
class Forms(Step):
    name: ClassVar[str] = "forms_of_parameters"

    text: str = "a"
    number: float = 0.5
    whole: int = 1
    flag: bool = False
    maybe: float | None = None
    either: int | str = 0
    choice: Literal["left", "right", 3] = "left"
    several: tuple[str, ...] = ()
    pair: tuple[float, float] = (0.0, 1.0)
    nested: tuple[tuple[int, str], ...] = ()
    table: dict[str, float] = field(default_factory=dict)
    anything: Any = None
    function: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        need(self.whole >= 0, "no negative number", "whole")

    def fitting(self, schema: Schema) -> Fitting:
        yield from ()
        return Nothing()


@dataclass(frozen=True, kw_only=True)
class Demanding(Step):
    """wanted has no default."""

    name: ClassVar[str] = "demanding"

    wanted: str

    def fitting(self, schema: Schema) -> Fitting:
        yield from ()
        return Nothing()


@dataclass(frozen=True)
class Nothing(FittedStep):
    @property
    def inputs(self) -> tuple[str, ...]:
        return ()

    @property
    def made(self) -> tuple[Field, ...]:
        return ()

    def transform(self, batch: Batch) -> Batch:
        return batch


# ---- steps that do something ----


@dataclass(frozen=True, kw_only=True)
class Centre(Step):
    """Takes a column's mean away; has code for one row and nothing else."""

    name: ClassVar[str] = "centre"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.NUMBER,)

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        found = yield [Moments(name) for name in names]
        return Centred(names, tuple(moment.mean for moment in found))


@dataclass(frozen=True)
class Centred(PerColumn):
    mean: tuple[float, ...]

    def apply(self, place: int, column: Any) -> Any:
        return np.asarray(column, np.float64) - self.mean[place]

    def row(self, code: Any) -> None:
        for name, mean in zip(self.names, self.mean, strict=True):
            code.write(name, f"{code.read(name)} - {code.constant(mean)}")

    def notes(self) -> Sequence[str]:
        return (f"{len(self.names)} columns lost their mean.",)


@dataclass(frozen=True, kw_only=True)
class FromCode(Step):
    """A fitted step whose `row` is given."""

    name: ClassVar[str] = "from_code"

    write: Any = None
    made: tuple[str, ...] = ()

    def fitting(self, schema: Schema) -> Fitting:
        yield from ()
        return Coded(self.columns if isinstance(self.columns, tuple) else (), self.made, self.write)


@dataclass(frozen=True)
class Coded(FittedStep):
    """Adds one to what it reads; of a batch as of a row, if the code that it is given does so."""

    names: tuple[str, ...]
    made_names: tuple[str, ...]
    write: Any

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.names

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(Field(name, Kind.NUMBER) for name in self.made_names)

    def transform(self, batch: Batch) -> Batch:
        with np.errstate(all="ignore"):
            made = {name: 1.0 / np.asarray(batch[self.names[0]], np.float64) for name in self.made_names}
        return batch.replaced((), made)

    def row(self, code: Any) -> None:
        self.write(self, code)


ALL: Mapping[str, type[Step]] = {step.name: step for step in (Forms, Demanding, Centre, FromCode)}


def register(monkeypatch: Any) -> None:
    """Recipes' files may name these steps, too."""
    for name, step in ALL.items():
        monkeypatch.setitem(STEPS, name, step)


def table_of(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)
