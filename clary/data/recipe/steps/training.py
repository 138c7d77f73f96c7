"""What steps have in common that act on the rows a recipe learns from, and on no others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from clary.data.batch import Field
from clary.data.recipe.step import FittedStep


@dataclass(frozen=True)
class RowStep(FittedStep):
    """A fitted step that only leaves rows out, or repeats them, while a recipe is fitted and its training rows made."""

    training_only: ClassVar[bool] = True

    @property
    def made(self) -> tuple[Field, ...]:
        return ()

    def only(self, wanted: Collection[str]) -> FittedStep:
        return self
