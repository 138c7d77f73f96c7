"""DataError
├── ReadError      a source cannot be read as what it is said to be
├── RecipeError    a recipe is wrong, whatever the data: an unknown step, a parameter out of range
└── StepError      a step cannot be fitted on, or applied to, these columns

Every message names what was wrong, where, and the remedy. All are ValueErrors, as scikit-learn's and pandas' are.
"""

from __future__ import annotations


class DataError(ValueError):
    """What a caller of clary.data is told."""


class ReadError(DataError):
    """A source cannot be read: it is not there, not of that format, or not allowed."""


class RecipeError(DataError):
    """A recipe that would be wrong for any data."""


class StepError(DataError):
    """A step and these columns do not go together."""

    def __init__(self, reason: str, *, step: str = "", column: str = "") -> None:
        """step: what the recipe calls it, e.g. "3 (impute)"; column: the one at fault, "" where there is no one."""
        place = ", ".join([*([f"step {step}"] if step else []), *([f"column {column!r}"] if column else [])])
        super().__init__(f"{place}: {reason}" if place else reason)
        self.reason = reason
        self.step = step
        self.column = column

    def within(self, step: str) -> StepError:
        """The same, told of this step."""
        return StepError(self.reason, step=step, column=self.column)
