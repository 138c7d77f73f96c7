"""The fitted step of all selections: it drops columns, and columns of blocks, with the reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Block, Field, Kind
from clary.data.errors import StepError
from clary.data.recipe.step import FittedStep
from clary.data.recipe.steps.features import Feature

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode

_MOST_NOTES = 100  # reasons in the notes; of more only the number


@dataclass(frozen=True)
class Selection(FittedStep):
    """Columns are dropped, and blocks lose columns.

    dropped  columns that go, and blocks that go whole
    blocks   those that lose some of their columns
    places   of each of these blocks, the places of the columns that stay
    kept     of each of these blocks, their names
    reasons  a sentence for each feature dropped, and further notes
    figures  of every feature, the statistic that decided
    """

    dropped: tuple[str, ...]
    blocks: tuple[str, ...]
    places: tuple[NDArray[np.int64], ...]
    kept: tuple[tuple[str, ...], ...]
    reasons: tuple[str, ...]
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.blocks

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(Field(name, Kind.BLOCK, kept) for name, kept in zip(self.blocks, self.kept, strict=True))

    @property
    def removed(self) -> tuple[str, ...]:
        return self.dropped

    def transform(self, batch: Batch) -> Batch:
        made = {
            name: Block(kept, batch[name].matrix[:, places])
            for name, places, kept in zip(self.blocks, self.places, self.kept, strict=True)
        }
        return batch.replaced(self.dropped, made)

    def notes(self) -> tuple[str, ...]:
        more = len(self.reasons) - _MOST_NOTES
        return (*self.reasons[:_MOST_NOTES], *((f"… and {more} more.",) if more > 0 else ()))

    def row(self, code: RowCode) -> None:
        for name, places, kept in zip(self.blocks, self.places, self.kept, strict=True):
            given = code.read(name)
            code.block(name, kept, f"({''.join(f'{given}[{place}], ' for place in places.tolist())})")


def selection(
    flat: Sequence[Feature],
    keep: NDArray[np.bool_],
    reasons: Sequence[str],
    figures: NDArray[np.float64] | None = None,
    notes: Sequence[str] = (),
) -> Selection:
    """The fitted step that keeps these features.

    flat     every feature it chose from; keep (len(flat),) which stay
    reasons  (len(flat),), why each would go: "its variance is 0"
    Raises   StepError where none would stay.
    """
    if not keep.any():
        raise StepError(f"not one of its {len(flat)} columns would stay; {flat[0].name!r}: {reasons[0]}")
    columns: dict[str, list[int]] = {}
    for place, feature in enumerate(flat):
        columns.setdefault(feature.column, []).append(place)
    stay = {name: [place for place in places if keep[place]] for name, places in columns.items()}
    blocks = tuple(name for name, places in columns.items() if 0 < len(stay[name]) < len(places))
    dropped = int(np.count_nonzero(~keep))
    head = f"{dropped} of {len(flat)} columns were dropped." if dropped else f"All {len(flat)} columns stay."
    return Selection(
        dropped=tuple(name for name in columns if not stay[name]),
        blocks=blocks,
        places=tuple(np.array([flat[place].place for place in stay[name]], np.int64) for name in blocks),
        kept=tuple(tuple(flat[place].name for place in stay[name]) for name in blocks),
        reasons=(
            head,
            *notes,
            *(
                f"{feature.name!r} was dropped: {why}."
                for feature, why, kept in zip(flat, reasons, keep, strict=True)
                if not kept
            ),
        ),
        figures={} if figures is None else dict(zip((feature.name for feature in flat), figures.tolist(), strict=True)),
    )
