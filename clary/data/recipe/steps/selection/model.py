"""Keep the columns that a model finds important."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Schema
from clary.data.errors import StepError
from clary.data.recipe.step import Fitting, Step, check_choice, need, step
from clary.data.recipe.steps.estimators import TASKS, checked, errors_reported, model_of, task_of, wanted
from clary.data.recipe.steps.features import NUMERIC, Feature, features, sampled, whole_matrix
from clary.data.recipe.steps.imports import check_parameters
from clary.data.recipe.steps.selection.fitted import selection
from clary.data.recipe.steps.targets import target_of, with_target
from clary.data.statistics.base import Sample
from clary.data.statistics.samples import SampleColumns


@dataclass(frozen=True, kw_only=True)
class _ByModel(Step):
    kinds = NUMERIC

    model: str = "forest"
    params: Mapping[str, Any] = field(default_factory=dict)
    task: Literal["auto", "classification", "regression"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        checked(self.model)
        check_parameters(self.params)
        check_choice("task", self.task, TASKS)

    def reads(self, schema: Schema) -> tuple[str, ...]:
        return with_target(self, self.chosen(schema))

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        flat = features(schema, names)
        target = target_of(self, schema, names)
        (sample,) = yield [SampleColumns((*names, target))]
        keep, reasons, importances, sentences = self._select(sample, names, flat, target)
        return selection(flat, keep, reasons, importances, (*sentences, *sampled(sample.complete, sample.batch.rows)))

    def _select(
        self, sample: Sample, names: tuple[str, ...], flat: tuple[Feature, ...], target: str
    ) -> tuple[NDArray[np.bool_], list[str], NDArray[np.float64], tuple[str, ...]]:
        matrix = whole_matrix(sample.batch, names)
        task, why = task_of(self.task, sample.batch, target)
        selector = self._selector(model_of(self.model, task, self.seed, self.params), len(flat))
        with errors_reported(f"the model {self.model!r}"):
            selector.fit(matrix, wanted(task, sample.batch, target))
            keep: NDArray[np.bool_] = selector.get_support()
        importances, reasons = self._reasons(selector)
        return keep, reasons, importances, (why,) if why else ()

    def _selector(self, model: Any, width: int) -> Any:
        raise NotImplementedError

    def _reasons(self, selector: Any) -> tuple[NDArray[np.float64], list[str]]:
        """(the importance that decided, why it would go), for each feature."""
        raise NotImplementedError


@step
@dataclass(frozen=True, kw_only=True)
class SelectModel(_ByModel):
    """Keep the columns to which a model that is fitted once gives weight; as scikit-learn's SelectFromModel.

    The model is fitted on a random sample of at most 100,000 rows. Values may not be missing.

    model         "forest", "extra_trees", "tree"; "l1" (Lasso, or LinearSVC with an l1 penalty) and "linear" (Ridge,
                  or LogisticRegression), which want scaled columns; or an estimator's path: "sklearn.svm.LinearSVC"
    params        the model's parameters
    task          "classification" or "regression"; "auto": text, booleans and a few whole numbers are classes
    threshold     of importance: a number, "mean", "median", "1.25*mean"; by default the mean, or for l1
                  models 1e-5
    max_features  how many columns stay at most
    seed          of the model, where it takes a seed
    """

    name = "select_model"

    threshold: float | str | None = None
    max_features: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        need(self.max_features is None or self.max_features >= 1, "1 at least", "max_features")
        if isinstance(self.threshold, str):
            factor, _, word = self.threshold.rpartition("*")
            need(word.strip() in ("mean", "median"), "mean, median, or a factor times one", "threshold")
            need(not factor.strip() or _is_number(factor), f"{factor!r} is not a number", "threshold")

    def _selector(self, model: Any, width: int) -> Any:
        from sklearn.feature_selection import SelectFromModel

        most = None if self.max_features is None else min(width, self.max_features)
        return SelectFromModel(model, threshold=self.threshold, max_features=most)

    def _reasons(self, selector: Any) -> tuple[NDArray[np.float64], list[str]]:
        estimator = selector.estimator_
        if hasattr(estimator, "feature_importances_"):
            importances = np.asarray(estimator.feature_importances_, np.float64)
        else:
            importances = np.abs(np.atleast_2d(estimator.coef_)).sum(axis=0)
        least = selector.threshold_
        reasons = [
            f"its importance {importance:.6g} is below {least:.6g}"
            if importance < least
            else f"its importance {importance:.6g} is not among the best {self.max_features}"
            for importance in importances
        ]
        return importances, reasons


@step
@dataclass(frozen=True, kw_only=True)
class SelectRecursive(_ByModel):
    """Fit a model, drop the columns of least weight, fit again, until so many are left; as scikit-learn's RFE.

    The model is fitted on a random sample of at most 100,000 rows. Values may not be missing.

    n_features_to_select  how many stay, or a share in (0, 1) of them; None: half of them
    step                  how many go at a time, or a share in (0, 1)
    model, params, task, seed  as in `select_model`
    Reference             Guyon, Weston, Barnhill & Vapnik (2002), Machine Learning 46, 389-422.
    """

    name = "select_recursive"

    model: str = "linear"
    n_features_to_select: int | float | None = None
    step: int | float = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for parameter in ("n_features_to_select", "step"):
            value = getattr(self, parameter)
            if value is not None:
                share = isinstance(value, float) and 0 < value < 1
                need(
                    share or (value >= 1 and value == int(value)), f"{value} is neither a count nor a share", parameter
                )

    def _selector(self, model: Any, width: int) -> Any:
        from sklearn.feature_selection import RFE

        count = _count(self.n_features_to_select)
        if isinstance(count, int) and count > width:
            raise StepError(f"n_features_to_select: {count} is more than there are columns: {width}")
        return RFE(model, n_features_to_select=count, step=_count(self.step))

    def _reasons(self, selector: Any) -> tuple[NDArray[np.float64], list[str]]:
        ranks = selector.ranking_.astype(np.float64)
        rounds = int(ranks.max())
        reasons = [f"it went in round {rounds - int(rank) + 1} of {rounds - 1}" for rank in ranks]
        return ranks, reasons


def _count(value: float | None) -> float | int | None:
    return int(value) if value is not None and value >= 1 else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
