"""Models that rate columns, by name, and an estimator's errors as StepErrors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Kind, kind_of, numbers, some
from clary.data.errors import RecipeError, StepError
from clary.data.recipe.steps.imports import check, found
from clary.data.recipe.steps.targets import labels, measures

MODELS = ("forest", "extra_trees", "tree", "l1", "linear")
TASKS = ("auto", "classification", "regression")
MOST_CLASSES = 20  # of a number that is whole; with more it is taken for a measure


def checked(model: str) -> None:
    """Raise RecipeError for a model that is neither of MODELS nor may be imported. Imports nothing."""
    if model in MODELS:
        return
    module, _, name = model.rpartition(".")
    if not module or not name:
        raise RecipeError(f"model: {model!r} is not one of {some(MODELS)}, nor a path such as sklearn.svm.LinearSVC")
    check(module, "model")


def task_of(task: str, batch: Batch, target: str) -> tuple[str, str]:
    """(classification or regression, a note on why it was taken for that; "" where it was given)."""
    if task != "auto":
        return task, ""
    if kind_of(batch[target]) in (Kind.TEXT, Kind.BOOLEAN):
        return "classification", ""
    values = numbers(batch[target])
    distinct = np.unique(values[np.isfinite(values)])
    few = len(distinct) <= MOST_CLASSES and bool((distinct == np.floor(distinct)).all())
    description = f"{len(distinct)} distinct whole numbers" if few else "a number that is measured"
    kind = "classification" if few else "regression"
    return kind, f"The target {target!r} was taken for {description} ({kind}); set `task` to change that."


def wanted(task: str, batch: Batch, target: str) -> NDArray[Any]:
    """The target as the model takes it: codes of classes, or numbers."""
    return labels(batch, target) if task == "classification" else measures(batch, target)


def model_of(model: str, task: str, seed: int, params: Mapping[str, Any]) -> Any:
    """A fresh estimator. Raises RecipeError for an unknown model, or parameters it does not know."""
    if model in MODELS:
        maker: Callable[..., Any] = _named(model, task == "classification")
    else:
        module, _, name = model.rpartition(".")
        maker = found(module, name, "model")
    try:
        made = maker(**params)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"params: {model} does not take them: {error}") from None
    if not hasattr(made, "fit") or not hasattr(made, "get_params"):
        raise RecipeError(f"model: {model} is not a scikit-learn estimator")
    known = made.get_params(deep=False)
    if "random_state" in known and "random_state" not in params:
        made.set_params(random_state=seed)
    return made


def _named(model: str, classes: bool) -> Callable[..., Any]:
    """Cheap estimators. Linear models go behind the step `scale`, trees need it not."""
    if model in ("forest", "extra_trees"):
        from sklearn import ensemble

        kind = "RandomForest" if model == "forest" else "ExtraTrees"
        return _maker(ensemble, f"{kind}{'Classifier' if classes else 'Regressor'}")
    if model == "tree":
        from sklearn import tree

        return _maker(tree, f"DecisionTree{'Classifier' if classes else 'Regressor'}")
    from sklearn import linear_model, svm

    if not classes:
        return _maker(linear_model, "Lasso" if model == "l1" else "Ridge")
    if model == "linear":
        return _maker(linear_model, "LogisticRegression", max_iter=1_000)
    return _maker(svm, "LinearSVC", penalty="l1", dual=False, max_iter=10_000)


def _maker(module: Any, name: str, **defaults: Any) -> Callable[..., Any]:
    return lambda **params: getattr(module, name)(**(defaults | params))


@contextmanager
def errors_reported(subject: str) -> Iterator[None]:
    """What an estimator of others raises becomes a StepError that names it."""
    try:
        yield
    except (StepError, RecipeError):
        raise
    except Exception as error:
        raise StepError(f"{subject} failed: {type(error).__name__}: {error}") from error
