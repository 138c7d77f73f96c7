"""What steps share that make new number columns from others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Field, Kind
from clary.data.recipe.step import FittedStep, Step, need
from clary.data.recipe.steps.features import NUMERIC, columns_of, numbered, whole_matrix


@dataclass(frozen=True, kw_only=True)
class Extraction(Step):
    """prefix        of the new columns' names: pca_1, pca_2, …
    keep_columns  whether the columns it was made from stay
    """

    kinds = NUMERIC

    prefix: str = ""
    keep_columns: bool = False

    def __post_init__(self) -> None:
        need(not self.prefix or bool(self.prefix.strip()), "a name is to begin with it", "prefix")

    def named(self, count: int) -> tuple[str, ...]:
        return numbered(self.prefix or self.short, count)

    short: ClassVar[str]


@dataclass(frozen=True)
class DerivedColumns(FittedStep):
    """New number columns from others.

    names     of the columns it reads
    features  names of the numbers in them, blocks' columns one by one
    outputs   names of the new columns
    """

    names: tuple[str, ...]
    features: tuple[str, ...]
    outputs: tuple[str, ...]
    keep_columns: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.names

    @property
    def made(self) -> tuple[Field, ...]:
        return tuple(Field(name, Kind.NUMBER) for name in self.outputs)

    @property
    def removed(self) -> tuple[str, ...]:
        return () if self.keep_columns else self.names

    def transform(self, batch: Batch) -> Batch:
        made = self.compute(whole_matrix(batch, self.names))
        return batch.replaced(self.removed, columns_of(made, self.outputs))

    def compute(self, matrix: Any) -> NDArray[np.float64]:
        """(rows, outputs)."""
        raise NotImplementedError

    def as_fitted(self, estimator: Any, **learnt: Any) -> Any:
        """A scikit-learn estimator of these features with the fitted attributes that fitting on the table would give.

        learnt  attributes that scikit-learn documents for it, by name
        """
        names = np.array(self.features, dtype=object)
        for attribute, value in {"n_features_in_": len(names), "feature_names_in_": names, **learnt}.items():
            setattr(estimator, attribute, value)
        return estimator

    def shared(self) -> dict[str, Any]:
        """These fields, for a subclass that adds what it has learnt."""
        return {
            "names": self.names,
            "features": self.features,
            "outputs": self.outputs,
            "keep_columns": self.keep_columns,
        }
