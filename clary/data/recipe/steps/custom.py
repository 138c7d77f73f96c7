"""Steps of your own: a scikit-learn transformer by its path, or a Python function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Column, Kind, Schema, some
from clary.data.errors import RecipeError, StepError
from clary.data.recipe.step import Fitting, Step, need, step
from clary.data.recipe.steps.estimators import errors_reported
from clary.data.recipe.steps.features import check_free, sampled
from clary.data.recipe.steps.imports import check, check_parameters, found
from clary.data.recipe.steps.targets import with_target
from clary.data.recipe.steps.user_code import (
    UserCodeStep,
    columns_from,
    empty,
    field_of,
    frame_of,
    output_names,
    table_of,
)
from clary.data.statistics.samples import SampleColumns

_TRIED = 200  # rows that are transformed to learn the output columns


@step
@dataclass(frozen=True, kw_only=True)
class SklearnStep(Step):
    """Any transformer of scikit-learn, by its path: "sklearn.preprocessing.SplineTransformer".

    It is fitted on a random sample of at most 100,000 rows, and takes the place of the columns it is given; new ones
    are named by its `get_feature_names_out`. Whether a row comes out the same alone and among others, to the last
    bit, is the transformer's doing. Transformers of other packages may be named once the program that reads the recipe
    has allowed their module: see `clary.data.recipe.steps.imports`.

    transformer   module and class, joined by a dot; or, from Python, an estimator that is not fitted
    params        its parameters
    supervised    whether it is fitted with the target, too; None: where there is a target and its `fit` takes it
    frame         whether it is given a DataFrame (text stays text); otherwise a matrix of numbers
    prefix        of the new columns' names, where the transformer names none
    keep_columns  whether the columns it was made from stay
    """

    name = "sklearn"
    kinds = (Kind.NUMBER, Kind.BOOLEAN, Kind.TEXT, Kind.TIME, Kind.BLOCK)

    transformer: str | Any
    params: Mapping[str, Any] = field(default_factory=dict)
    supervised: bool | None = None
    frame: bool = True
    prefix: str = "made"
    keep_columns: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.transformer, str):
            module, _, name = self.transformer.rpartition(".")
            need(bool(module and name), "a module and a class are wanted: sklearn.decomposition.NMF", "transformer")
            check(module, "transformer")
        else:
            need(
                hasattr(self.transformer, "get_params"),
                "it is neither an estimator nor the path of an estimator",
                "transformer",
            )
        check_parameters(self.params)

    def reads(self, schema: Schema) -> tuple[str, ...]:
        return with_target(self, self.chosen(schema))

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        if not names:
            raise StepError("there are no columns of the kind that it works on; name them in `columns`")
        estimator = self._estimator()
        target = self._target(estimator, schema, names)
        (sample,) = yield [SampleColumns((*names, target) if target else names)]
        given = _given(sample.batch.only(names), self.frame, estimator)
        with errors_reported(self._called):
            estimator.fit(given, *([_target_values(sample.batch[target])] if target else []))
        trial = _result(estimator, _given(_head(sample.batch.only(names)), self.frame, estimator), self._called)
        outputs = output_names(estimator, trial, self.prefix)
        columns = columns_from(trial, outputs, self.prefix)
        fitted = FittedSklearn(
            names=names,
            fields_made=tuple(field_of(name, column) for name, column in columns.items()),
            outputs=outputs,
            keep_columns=self.keep_columns,
            frame=self.frame,
            prefix=self.prefix,
            called=self._called,
            estimator=estimator,
            sample=sampled(sample.complete, sample.batch.rows),
        )
        check_free(schema, names if not self.keep_columns else (), list(columns))
        return fitted

    @property
    def _called(self) -> str:
        return self.transformer if isinstance(self.transformer, str) else type(self.transformer).__name__

    def _estimator(self) -> Any:
        if not isinstance(self.transformer, str):
            from sklearn.base import clone

            with errors_reported(self._called):
                return clone(self.transformer).set_params(**self.params)
        module, _, name = self.transformer.rpartition(".")
        kind = found(module, name, "transformer")
        try:
            made = kind(**self.params)
        except (TypeError, ValueError) as error:
            raise RecipeError(f"params: {self.transformer} does not take them: {error}") from None
        if not hasattr(made, "fit") or not hasattr(made, "transform"):
            raise RecipeError(f"transformer: {self.transformer} has no `fit` and `transform`")
        return made

    def _target(self, estimator: Any, schema: Schema, names: Sequence[str]) -> str:
        """What it learns from, where it learns from something that is to be predicted."""
        wanted, needed = _takes_target(estimator)
        if self.supervised is not None:
            wanted = needed = self.supervised
        if not self.target and needed:
            raise StepError(f"{self._called} learns from what is to be predicted; the recipe names no `target`")
        if not self.target or not wanted:
            return ""
        if self.target in names:
            raise StepError("it is what is to be predicted, and is among the `columns`, too", column=self.target)
        return schema[self.target].name


@dataclass(frozen=True)
class FittedSklearn(UserCodeStep):
    """estimator  fitted."""

    outputs: tuple[str, ...]
    frame: bool
    prefix: str
    estimator: Any
    sample: tuple[str, ...]

    def transform(self, batch: Batch) -> Batch:
        if not batch.rows:
            return batch.replaced(self.removed, {field.name: empty(field) for field in self.made})
        with errors_reported(self.called):
            given = _given(batch.only(self.names), self.frame, self.estimator)
        result = _result(self.estimator, given, self.called)
        return self.put(batch, columns_from(result, self.outputs, self.prefix))

    def notes(self) -> tuple[str, ...]:
        return (f"{self.called} made {len(self.outputs)} columns of {some(self.names)}.", *self.sample)

    def sklearn(self) -> Any:
        return self.estimator


@step
@dataclass(frozen=True, kw_only=True)
class FunctionStep(Step):
    """A Python function: it is given a DataFrame of the columns, and returns a DataFrame, a Series or an array.

    Of as many rows, each computed from that row alone: it is called with batches, and with single rows. From Python
    it is the function itself; in a recipe's file its path, "module:name", of a module that the program that reads the
    recipe has allowed: see `clary.data.recipe.steps.imports`. New columns take the place of those it is given.

    function      the function, or its path
    params        further arguments, by name
    prefix        of the new columns' names, where it returns an array
    keep_columns  whether the columns it was given stay; those it returns under their names are made anew
    """

    name = "function"

    function: str | Callable[..., Any]
    params: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = "made"
    keep_columns: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.function, str):
            module, _, name = self.function.partition(":")
            need(bool(module and name), "a module and a function are wanted: my_features:ratios", "function")
            check(module, "function")
        else:
            need(callable(self.function), "it is neither a function nor the path of a function", "function")

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        if not names:
            raise StepError("there are no columns of the kind that it works on; name them in `columns`")
        call = _Call(self.function, tuple(self.params.items()))
        call.resolved()
        (sample,) = yield [SampleColumns(names)]
        result = call(_head(sample.batch.only(names)))
        outputs = output_names(None, result, self.prefix)
        columns = columns_from(result, outputs, self.prefix)
        check_free(schema, () if self.keep_columns else names, [name for name in columns if name not in names])
        return FittedFunction(
            names=names,
            fields_made=tuple(field_of(name, column) for name, column in columns.items()),
            keep_columns=self.keep_columns,
            called=call.name,
            function=self.function,
            params=dict(self.params),
            prefix=self.prefix,
        )


@dataclass(frozen=True)
class _Call:
    """The function with its further arguments."""

    function: str | Callable[..., Any]
    params: tuple[tuple[str, Any], ...]

    @property
    def name(self) -> str:
        if isinstance(self.function, str):
            return self.function
        return str(getattr(self.function, "__qualname__", type(self.function).__name__))

    def resolved(self) -> Callable[..., Any]:
        if not isinstance(self.function, str):
            return self.function
        module, _, name = self.function.partition(":")
        made = found(module, name, "function")
        need(callable(made), "it is not a function", "function")
        return made  # type: ignore[no-any-return]

    def __call__(self, batch: Batch) -> Any:
        function = self.resolved()
        with errors_reported(f"the function {self.name}"):
            result = function(frame_of(batch), **dict(self.params))
        return table_of(result, batch.rows, self.name)


@dataclass(frozen=True)
class FittedFunction(UserCodeStep):
    """function  or its path, which is looked up again where the recipe is used."""

    function: Any
    params: dict[str, Any]
    prefix: str

    def transform(self, batch: Batch) -> Batch:
        if not batch.rows:
            return batch.replaced(self.removed, {field.name: empty(field) for field in self.made})
        result = _Call(self.function, tuple(self.params.items()))(batch.only(self.names))
        return self.put(batch, columns_from(result, output_names(None, result, self.prefix), self.prefix))

    def notes(self) -> tuple[str, ...]:
        return (f"{self.called} made the columns {some(field.name for field in self.fields_made)}.",)


# ---- what goes in ----


def _takes_target(estimator: Any) -> tuple[bool, bool]:
    """(whether its `fit` takes a target, whether it needs one, by its signature and tags)."""
    from sklearn.utils import get_tags

    y = inspect.signature(estimator.fit).parameters.get("y")
    no_default = y is not None and y.default is inspect.Parameter.empty
    return y is not None, bool(get_tags(estimator).target_tags.required) or no_default


def _head(batch: Batch) -> Batch:
    return batch.take(np.arange(min(batch.rows, _TRIED)))


def _given(batch: Batch, frame: bool, estimator: Any) -> Any:
    """What the estimator takes: a DataFrame, a matrix, or, if it is for texts, one column's strings."""
    from sklearn.utils import get_tags

    if not get_tags(estimator).input_tags.two_d_array:
        if len(batch.columns) != 1:
            raise StepError(f"it takes one column, and got {some(batch)}")
        return frame_of(batch).iloc[:, 0].to_numpy(dtype=object)
    if not frame:
        return batch.matrix()
    return frame_of(batch)


def _target_values(column: Column) -> NDArray[Any]:
    values = column if isinstance(column, np.ndarray) else column.to_pandas().to_numpy(dtype=object)
    return np.asarray(values)


def _result(estimator: Any, given: Any, called: str) -> Any:
    rows = given.shape[0]
    with errors_reported(called):
        result = estimator.transform(given)
    return table_of(result, rows, called)
