"""DataError
├── ReadError      a source cannot be read in the format it has, or is claimed to have
├── RecipeError    a recipe is wrong, whatever the data: an unknown step, a parameter out of range
└── StepError      a step cannot be fitted on, or applied to, these columns

Every message names what was wrong, where, and the remedy. All are ValueErrors, as those of scikit-learn and pandas are.
"""

from __future__ import annotations


class DataError(ValueError):
    """Every error of clary.data that a caller can do something about."""


class ReadError(DataError):
    """A source cannot be read: it does not exist, is of another format, or is not allowed."""


class RecipeError(DataError):
    """A recipe that would be wrong for any data."""


class StepError(DataError):
    """A step does not fit these columns."""

    def __init__(self, reason: str, *, step: str = "", column: str = "") -> None:
        """step: its place and name in the recipe, e.g. "3 (impute)"; column: at fault, "" for no particular column."""
        location = ", ".join([*([f"step {step}"] if step else []), *([f"column {column!r}"] if column else [])])
        super().__init__(f"{location}: {reason}" if location else reason)
        self.reason = reason
        self.step = step
        self.column = column

    def within(self, step: str) -> StepError:
        """The same error, attributed to this step."""
        return StepError(self.reason, step=step, column=self.column)
