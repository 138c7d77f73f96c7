"""Which sizes the images of a column have."""

from __future__ import annotations

from dataclasses import dataclass

from clary.data.batch import Batch
from clary.data.errors import StepError
from clary.data.recipe.steps.image.decoding import shape_of
from clary.data.recipe.steps.media import InvalidMedia, values_of
from clary.data.statistics.base import Statistic

Sizes = dict[tuple[int, int, int], int]
_FEW = 8  # sizes are examples in an error message: more need not be kept


@dataclass(frozen=True)
class Shapes(Statistic[Sizes, Sizes]):
    """(height, width, channels) -> the first row of that size; at most eight. Of files only the header is read.

    shape      of flat lists
    forgiving  whether what cannot be decoded is passed over
    """

    column: str
    shape: tuple[int, ...] = ()
    forgiving: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def compute(self, batch: Batch) -> Sizes:
        found: Sizes = {}
        for row, value in enumerate(values_of(batch[self.column])):
            if value is None:
                continue
            try:
                size = shape_of(value, self.shape)
            except InvalidMedia as error:
                if self.forgiving:
                    continue
                number = int(batch.row_numbers[row])
                raise StepError(
                    f"row {number} (the first is 0): {error}; fix the row, or set errors: missing", column=self.column
                ) from None
            except StepError as error:
                raise StepError(error.reason, column=self.column) from None
            if size not in found and len(found) < _FEW:
                found[size] = int(batch.row_numbers[row])
        return found

    def merge(self, first: Sizes, second: Sizes) -> Sizes:
        return dict([*first.items(), *((size, row) for size, row in second.items() if size not in first)][:_FEW])

    def result(self, state: Sizes | None) -> Sizes:
        return state or {}
