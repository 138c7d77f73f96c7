"""The target, for steps that learn from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Schema, coded, numbers
from clary.data.errors import StepError
from clary.data.recipe.step import Step


def target_of(step: Step, schema: Schema, chosen: Sequence[str]) -> str:
    """The column a step learns from. Raises StepError where the recipe names none, or the step works on it, too."""
    if not step.target:
        raise StepError("it learns from what is to be predicted, and the recipe names no `target`")
    schema[step.target]  # raises where it is not there
    if step.target in chosen:
        raise StepError("it is what is to be predicted, and is among the `columns`, too", column=step.target)
    return step.target


def with_target(step: Step, chosen: tuple[str, ...]) -> tuple[str, ...]:
    """What a step reads that learns from the target."""
    return (*chosen, step.target) if step.target and step.target not in chosen else chosen


def labels(batch: Batch, target: str) -> NDArray[np.int32]:
    """The target's classes as codes. Raises StepError where a value is missing."""
    codes, _ = coded(batch[target])
    missing = codes < 0
    if missing.any():
        row = int(batch.row_numbers[int(missing.argmax())])
        raise StepError(f"row {row} (the first is 0) has no value; drop such rows first", column=target)
    return codes


def measures(batch: Batch, target: str) -> NDArray[np.float64]:
    """The target as numbers. Raises StepError where it holds none, or a value is missing or infinite."""
    try:
        values = numbers(batch[target])
    except StepError as error:
        raise StepError(error.reason, column=target) from None
    invalid = ~np.isfinite(values)
    if invalid.any():
        row = int(batch.row_numbers[int(invalid.argmax())])
        raise StepError(f"row {row} (the first is 0): no finite value; drop such rows first", column=target)
    return values
