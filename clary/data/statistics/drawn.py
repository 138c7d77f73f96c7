"""The random sample of a table, as it is after the steps before: for algorithms that cannot be fed batch by batch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from clary.data.batch import Batch
from clary.data.statistics.base import Sample, Statistic


@dataclass(frozen=True)
class Drawn(Statistic[None, Sample]):
    """These columns of the sample. Costs no pass of its own."""

    names: tuple[str, ...]
    sample: Sample | None = field(default=None, compare=False)

    needs_sample: ClassVar[bool] = True

    @property
    def columns(self) -> tuple[str, ...]:
        return self.names

    @property
    def settled(self) -> bool:
        return self.sample is not None

    def prepared(self, sample: Sample) -> Drawn:
        return replace(self, sample=Sample(sample.batch.only(self.names), sample.complete))

    def of(self, batch: Batch) -> None:
        return None

    def merge(self, first: None, second: None) -> None:
        return None

    def result(self, state: None) -> Sample:
        assert self.sample is not None
        return self.sample
