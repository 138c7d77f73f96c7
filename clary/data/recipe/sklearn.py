"""A fitted recipe as a scikit-learn Pipeline: one element a step, each a ColumnTransformer that is fitted already.

Where scikit-learn has the step, the element holds scikit-learn's own estimator and needs no Clary to be unpickled; else
it holds a `StepTransformer`, which calls the step itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from clary.data.batch import Batch, Block, Field, Kind, Schema, numbers
from clary.data.recipe.plan import Plan
from clary.data.recipe.step import FittedStep

if TYPE_CHECKING:
    import pandas as pd


class StepTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted step as a transformer of DataFrames with the columns that it reads.

    fields  those columns; a block's are in the DataFrame under their own names
    """

    def __init__(self, step: FittedStep, fields: tuple[Field, ...]) -> None:
        self.step = step
        self.fields = fields

    def fit(self, X: Any = None, y: Any = None) -> StepTransformer:  # noqa: N803 - as scikit-learn calls them
        """Itself: the step is fitted already."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803
        """The columns that the step makes. Raises StepError."""
        batch = Batch.of_pandas(X)
        columns = {field.name: _column(field, batch) for field in self.fields}
        made = self.step.transform(Batch(columns, batch.rows)).only(field.name for field in self.step.made)
        frame = made.to_pandas()
        frame.index = X.index
        return frame

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        return np.array(Schema(self.step.made).flat_names, dtype=object)


def _column(field: Field, batch: Batch) -> Any:
    if field.kind is not Kind.BLOCK:
        return batch[field.name]
    return Block(field.names, np.column_stack([numbers(batch[name]) for name in field.names]))


class _Placeholder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Stands for an estimator that is fitted already while ColumnTransformer learns which columns there are."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def fit(self, X: Any, y: Any = None) -> _Placeholder:  # noqa: N803
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803
        return _frame(self.names)

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        return np.array(self.names, dtype=object)


def pipeline(plan: Plan, columns: Schema) -> Pipeline:
    """The plan's steps as a fitted Pipeline, which takes DataFrames with the plan's inputs and gives its outputs.

    columns  of the table
    """
    schema = Schema(tuple(field for field in columns.fields if field.name in plan.inputs))
    names: Sequence[str] = schema.flat_names
    elements: list[tuple[str, Any]] = []
    for label, step in zip(plan.labels, plan.steps, strict=True):
        elements.append((_element_name(label), _element(step, schema, names)))
        schema, names = step.after(schema), elements[-1][1].get_feature_names_out()
    features = Schema(tuple(schema[name] for name in plan.outputs)).flat_names
    elements.append(("features", _fitted_on(names, [("features", "passthrough", list(features))], "drop")))
    return Pipeline(elements)


def _element_name(label: str) -> str:
    """ "3 (one_hot)" as "one_hot_3": scikit-learn wants names for attributes."""
    place, _, name = label.partition(" ")
    return f"{name.strip('()') or 'step'}_{place}"


def _element(step: FittedStep, schema: Schema, columns: Sequence[str]) -> ColumnTransformer:
    """The step on its columns; all others pass through.

    schema   of the step's input
    columns  the same by name, in the order in which the element before gives them
    """
    fields = tuple(schema[name] for name in step.inputs)
    inputs, made = list(Schema(fields).flat_names), list(Schema(step.made).flat_names)
    after = set(step.after(schema).flat_names)
    estimator = estimator_of(step, inputs, made) or StepTransformer(step, fields)
    stay = [name for name in inputs if name in after and name not in made]
    removed = [name for name in schema.flat_names if name not in after and name not in inputs]
    replaced = [name for name in made if name in schema.flat_names and name not in inputs]
    parts: list[tuple[str, Any, list[str]]] = [("step", estimator, inputs)] if made else []
    parts += [("stay", "passthrough", stay)] if stay else []
    parts += [("removed", "drop", removed + replaced + ([] if made else sorted(set(inputs) - set(stay))))]
    return _fitted_on(columns, [part for part in parts if part[2] or part[0] == "step"], "passthrough", made)


def estimator_of(step: FittedStep, inputs: Sequence[str], made: Sequence[str]) -> Any:
    """The step as scikit-learn's own estimator, where that makes columns of the same names; else None."""
    estimator = step.sklearn()
    if estimator is None or not hasattr(estimator, "set_output") or getattr(estimator, "sparse_output", False):
        return None
    try:
        names = estimator.get_feature_names_out(np.array(inputs, dtype=object))
    except (AttributeError, ValueError):
        return None
    return estimator if list(names) == list(made) else None


def _fitted_on(
    columns: Sequence[str], parts: Sequence[tuple[str, Any, list[str]]], remainder: str, made: Sequence[str] = ()
) -> ColumnTransformer:
    """A ColumnTransformer that knows these columns, around estimators that are not fitted again."""
    placeholders = [
        (name, _Placeholder(made) if name == "step" else transformer, names) for name, transformer, names in parts
    ]
    columns_transformer = ColumnTransformer(placeholders, remainder=remainder, verbose_feature_names_out=False)
    columns_transformer.set_output(transform="pandas").fit(_frame(columns))
    fitted = {name: transformer for name, transformer, _ in parts if name == "step"}
    columns_transformer.set_params(transformers=list(parts))
    columns_transformer.transformers_ = [
        (name, fitted.get(name, transformer), names) for name, transformer, names in columns_transformer.transformers_
    ]
    return columns_transformer.set_output(transform="pandas")


def _frame(columns: Sequence[str]) -> pd.DataFrame:
    """One row of zeros, with these columns."""
    import pandas as pd

    return pd.DataFrame(np.zeros((1, len(columns))), columns=list(columns))
