"""What a statistic of a table is: computed batch by batch on all cores, merged in the table's order.

    compute(batch) ─> state ┐
    compute(batch) ─> state ┴ merge ─> state ─> … ─> result
Merging in order makes every result the same however many cores there are. passes.py is what runs them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, cast

from clary.data.batch import Batch

State = TypeVar("State")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Sample:
    """Rows drawn from a table, in its order, each as likely as any other.

    complete   whether these are all rows of the table
    """

    batch: Batch
    complete: bool


class Statistic(ABC, Generic[State, Result]):
    """Something computed of some columns. Mostly a frozen dataclass: two equal ones are computed once.

    What `prepared` adds is kept in fields with compare=False.
    """

    needs_sample: ClassVar[bool] = False  # `prepared` is called with a sample first

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns it reads."""

    @property
    def known_from_sample(self) -> bool:
        """Whether the sample was enough: `result(None)` is right without a pass."""
        return False

    def prepared(self, sample: Sample) -> Statistic[State, Result]:
        """The same with what it needs to know beforehand; the sample has at least its columns."""
        return self

    def initial(self) -> State | None:
        """What the first batch's state is merged into; None: that state is the first."""
        return None

    @abstractmethod
    def compute(self, batch: Batch) -> State:
        """The state of these rows alone. Called from several threads at once.

        Raises StepError where columns do not fit.
        """

    def merge(self, first: State, second: State) -> State:
        """The state of the rows of both; `first` may be changed and returned. By default it has a method `add`."""
        cast("Any", first).add(second)
        return first

    @abstractmethod
    def result(self, state: State | None) -> Result:
        """None stands for a table without rows. Raises AnotherPass where one pass was not enough."""


@dataclass(frozen=True, eq=False)
class ColumnStatistic(Statistic[State, Result]):
    """Of one column."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)


@dataclass(frozen=True, eq=False)
class ColumnsStatistic(Statistic[State, Result]):
    """Of several columns together."""

    names: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.names


class AnotherPass(Exception):
    """The pass was not enough: run this statistic in place of the one that raised it; its result is the result."""

    def __init__(self, statistic: Statistic[Any, Any]) -> None:
        super().__init__("another pass")
        self.statistic = statistic
