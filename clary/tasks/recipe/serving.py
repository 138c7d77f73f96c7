"""Answers requests: a fitted recipe and raw rows in, features out, the same as a processing job's to the last bit."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clary.algorithms.data import ALGORITHM
from clary.formats import media_types
from clary.tasks.host.handlers import Handlers, RequestError
from clary.tasks.host.options import execution_parameters, flag
from clary.tasks.recipe.requests import Row, read
from clary.tasks.recipe.responses import encode, response_type

if TYPE_CHECKING:
    from clary.data.batch import Batch
    from clary.data.recipe import FittedRecipe, RowFunction

NAME = "recipe.clary"
# From so many rows on, transforming a table is faster than row after row; the features are the same.
TABLE_ROWS = 256


def serve() -> None:
    """Until SIGTERM."""
    from clary.tasks.host import server

    server.serve(RecipeHandlers())


@dataclass(frozen=True, slots=True)
class Options:
    """accept        SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT: for requests without an Accept header
    header        CLARY_CSV_HEADER: the first line of CSV names the columns, unless the content type has a `header`
    allow_pickle  CLARY_ALLOW_PICKLE: the recipe may hold scikit-learn estimators and functions, which run code
    """

    accept: str = media_types.CSV
    header: bool = False
    allow_pickle: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Options:
        """Raises ValueError naming the variable."""
        accept = environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or media_types.CSV
        if accept not in ALGORITHM.response_types:
            supported = ", ".join(ALGORITHM.response_types)
            raise ValueError(f"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT is {accept!r}; give one of {supported}.")
        return cls(
            accept=accept,
            header=flag(environment, "CLARY_CSV_HEADER") and environment["CLARY_CSV_HEADER"].lower() != "absent",
            allow_pickle=flag(environment, "CLARY_ALLOW_PICKLE"),
        )


@dataclass(frozen=True)
class Model:
    """row_function  a row's features, in microseconds
    columns       of a row without names, in order
    in_order      whether a row's features depend on the rows before it: a request is then always one table
    """

    fitted: FittedRecipe
    row_function: RowFunction
    columns: tuple[str, ...]
    in_order: bool


def handlers(environment: Mapping[str, str]) -> Handlers:
    """Raises ValueError naming the variable."""
    return RecipeHandlers(Options.from_environment(environment))


class RecipeHandlers:
    """The handlers of a model host."""

    def __init__(self, options: Options | None = None) -> None:
        self._options = options

    def load(self, model_dir: Path) -> Model:
        """Raises DataError, ValueError."""
        from clary.data.recipe import FittedRecipe

        self.options = self._options or Options.from_environment(os.environ)
        fitted = FittedRecipe.load(find(model_dir), allow_pickle=self.options.allow_pickle)
        function = fitted.row_function()
        return Model(fitted, function, function.columns, any(step.in_order for _, step in fitted.inference_steps))

    def transform(self, model: Model, body: bytes, content_type: str | None, accept: str | None) -> tuple[bytes, str]:
        name = response_type(accept, self.options.accept)
        rows = read(body, content_type, model.columns, self.options.header)
        return encode(features(model, rows), name), name

    def execution_parameters(self) -> Mapping[str, Any]:
        return execution_parameters(os.environ)


def find(model_dir: Path) -> Path:
    """The recipe's file: recipe.clary, or the only file that ends so. Raises DataError."""
    from clary.data.errors import DataError

    if (model_dir / NAME).is_file():
        return model_dir / NAME
    found = sorted(model_dir.glob("*.clary"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise DataError(f"{model_dir} must hold a fitted recipe, {NAME}; found: {names}")
    return found[0]


def features(model: Model, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """The features of each row, in order. Raises RequestError (400), naming the row."""
    from clary.data.errors import DataError

    number = 0
    try:
        if len(rows) == 1 or (len(rows) < TABLE_ROWS and not model.in_order):
            transformed = []
            for number, row in enumerate(rows, 1):  # noqa: B007 - named in the error
                transformed.append(model.row_function(row))
            return transformed
        number = 0
        return _as_table(model, rows)
    except DataError as error:
        raise RequestError(400, f"row {number}: {error}" if number and len(rows) > 1 else str(error)) from None


def _as_table(model: Model, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    from clary.tasks.recipe.table import table_of

    features: list[tuple[Any, ...]] = []
    for batch in model.fitted.transform_batches(table_of(model.fitted, model.row_function, rows)):
        features += _tuples(batch, model.row_function)
    return features


def _tuples(batch: Batch, function: RowFunction) -> list[tuple[Any, ...]]:
    """A batch's rows, as the row function gives them."""
    from clary.tasks.recipe.table import values_of

    columns = [values for name in batch for values in values_of(batch[name])]
    assert len(columns) == len(function.names)
    return list(zip(*columns, strict=True)) if columns else [()] * batch.rows
