"""Keep the columns with the highest scores, each scored on its own against the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Schema
from clary.data.errors import StepError
from clary.data.recipe.step import Fitting, Step, check_choice, need, step
from clary.data.recipe.steps.features import NUMERIC, Feature, features, refuse_gaps, sampled, whole_matrix
from clary.data.recipe.steps.selection import scores
from clary.data.recipe.steps.selection.fitted import Selection, selection
from clary.data.recipe.steps.targets import labels, measures, target_of, with_target
from clary.data.statistics.groups import Classes, Groups
from clary.data.statistics.products import Products
from clary.data.statistics.samples import SampleColumns

SCORES = ("f_classif", "f_regression", "chi2", "mutual_info_classif", "mutual_info_regression")
_DEFAULT_K = 10  # scikit-learn's


@step
@dataclass(frozen=True, kw_only=True)
class SelectUnivariate(Step):
    """Keep the columns with the highest scores, each scored on its own against the target.

    Equals scikit-learn's SelectKBest and SelectPercentile. F tests and chi² are exact, in one pass; mutual information
    is estimated on a random sample of at most 100,000 rows. Values may not be missing.

    score_func   "f_classif" (one-way analysis of variance) and "chi2" (values not below zero: counts, indicators) for
                 classes; "f_regression" for a number; "mutual_info_classif", "mutual_info_regression": any relation
    k            how many columns stay; 10 where neither k nor percentile is given
    percentile   in [0, 100]: this share of the columns stays
    n_neighbors  of mutual information
    seed         of mutual information, which adds a little noise to separate equal values
    Reference    Kraskov, Stögbauer & Grassberger (2004), Physical Review E 69; Ross (2014), PLoS ONE 9(2).
    """

    name = "select_univariate"
    kinds = NUMERIC

    score_func: Literal["f_classif", "f_regression", "chi2", "mutual_info_classif", "mutual_info_regression"] = (
        "f_classif"
    )
    k: int | None = None
    percentile: float | None = None
    n_neighbors: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("score_func", self.score_func, SCORES)
        need(self.k is None or self.percentile is None, "give k or percentile, not both", "percentile")
        need(self.k is None or self.k >= 1, "1 at least", "k")
        need(self.percentile is None or 0 < self.percentile <= 100, "a percentage in (0, 100] is needed", "percentile")
        need(self.n_neighbors >= 1, "1 at least", "n_neighbors")

    def reads(self, schema: Schema) -> tuple[str, ...]:
        return with_target(self, self.chosen(schema))

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        flat = features(schema, names)
        target = target_of(self, schema, names)
        notes: tuple[str, ...] = ()
        if self.score_func == "f_regression":
            (product,) = yield [Products((*names, target))]
            if product.left_out:
                yield from refuse_gaps((*names, target), [*(feature.name for feature in flat), target])
            found: tuple[Any, Any] = scores.f_regression(product)
        elif self.score_func in ("f_classif", "chi2"):
            (classes,) = yield [Groups(names, target)]
            if classes.left_out:
                yield from refuse_gaps(names, [feature.name for feature in flat])
            found = self._scores_of_classes(classes, flat, target)
        else:
            (sample,) = yield [SampleColumns((*names, target))]
            found = self._mutual_information(sample.batch, names, target)
            notes = sampled(sample.complete, sample.batch.rows)
        return self._selected(flat, *found, notes)

    def _scores_of_classes(self, classes: Classes, flat: tuple[Feature, ...], target: str) -> tuple[Any, Any]:
        if classes.unlabelled:
            raise StepError(f"{classes.unlabelled} rows have no value; drop them first", column=target)
        if self.score_func == "f_classif":
            return scores.f_classif(classes)
        if classes.classes and (below := scores.below_zero(classes)).any():
            raise StepError("chi² is for values that are not below zero", column=flat[int(below.argmax())].name)
        return scores.chi2(classes)

    def _mutual_information(self, batch: Batch, names: tuple[str, ...], target: str) -> tuple[Any, None]:
        from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

        matrix = whole_matrix(batch, names)
        classes = self.score_func == "mutual_info_classif"
        y, score = (
            (labels(batch, target), mutual_info_classif)
            if classes
            else (measures(batch, target), mutual_info_regression)
        )
        try:
            return score(matrix, y, n_neighbors=self.n_neighbors, random_state=self.seed), None
        except ValueError as error:
            raise StepError(f"mutual information cannot be estimated: {error}") from None

    def _selected(
        self, flat: tuple[Feature, ...], feature_scores: NDArray[Any], p: NDArray[Any] | None, notes: tuple[str, ...]
    ) -> Selection:
        keep = self._best(feature_scores)
        wanted = f"the best {np.count_nonzero(keep)}"
        reasons = [
            f"its {self.score_func} {score:.6g}{'' if p is None else f' (p = {p[place]:.3g})'} is not among {wanted}"
            for place, score in enumerate(feature_scores)
        ]
        return selection(flat, keep, reasons, feature_scores, notes)

    def _best(self, feature_scores: NDArray[Any]) -> NDArray[np.bool_]:
        """Which stay: scikit-learn's own choice, ties and NaN too."""
        from sklearn.feature_selection import SelectKBest, SelectPercentile

        if self.percentile is not None:
            chooser = SelectPercentile(percentile=self.percentile)
        else:
            chooser = SelectKBest(k=min(len(feature_scores), _DEFAULT_K if self.k is None else self.k))
        chooser.scores_ = feature_scores
        kept: NDArray[np.bool_] = chooser.get_support()
        return kept
