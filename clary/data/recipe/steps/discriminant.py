"""Linear discriminant analysis: the directions in which classes lie furthest apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Schema
from clary.data.errors import StepError
from clary.data.recipe.step import Fitting, need, step
from clary.data.recipe.steps.components import MOST_EXACT, signed
from clary.data.recipe.steps.derived_columns import DerivedColumns, Extraction
from clary.data.recipe.steps.features import by_row, check_free, features, refuse_gaps
from clary.data.recipe.steps.targets import target_of, with_target
from clary.data.statistics.groups import Classes, Groups
from clary.data.statistics.products import Product, Products

# As in scikit-learn: along a direction in which rows of one class differ by less, nothing is learnt.
_LEAST = 1e-4


@step
@dataclass(frozen=True, kw_only=True)
class Lda(Extraction):
    """Linear discriminant analysis: the directions in which the target's classes lie furthest apart, as columns lda_1,
    lda_2, …; one fewer than there are classes at most.

    Computed exactly, in one pass, for up to 2,048 columns; equals scikit-learn's LinearDiscriminantAnalysis but for
    signs (here the greatest part of each direction is positive). Values may not be missing.

    n_components  how many; None: as many as there can be
    prefix        of the new columns' names; by default "lda"
    keep_columns  whether the columns it was made from stay
    Reference     Fisher (1936), Annals of Eugenics 7(2), 179-188; scikit-learn's solver "svd", as of its version 1.9.
    """

    name = "lda"
    short = "lda"

    n_components: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        need(self.n_components is None or self.n_components >= 1, "1 at least", "n_components")

    def reads(self, schema: Schema) -> tuple[str, ...]:
        return with_target(self, self.chosen(schema))

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        flat = tuple(feature.name for feature in features(schema, names))
        target = target_of(self, schema, names)
        if len(flat) > MOST_EXACT:
            raise StepError(f"they are {len(flat):,} columns, more than {MOST_EXACT:,}; put `truncated_svd` before it")
        classes, product = yield [Groups(names, target), Products(names)]
        if product.left_out:
            yield from refuse_gaps(names, flat)
        if classes.unlabelled:
            raise StepError(f"{classes.unlabelled} rows have no value; drop them first", column=target)
        fitted = self._fitted(names, flat, classes, product)
        check_free(schema, fitted.removed, fitted.outputs)
        return fitted

    def _fitted(self, names: tuple[str, ...], flat: tuple[str, ...], classes: Classes, product: Product) -> FittedLda:
        levels = sorted(classes.classes)
        if len(levels) < 2 or product.count <= len(levels):
            raise StepError(
                f"two classes at least are needed, and more rows than classes; there are {len(levels)} classes and "
                f"{product.count} rows"
            )
        groups = [classes.classes[level] for level in levels]
        counts = np.array([group.count for group in groups], np.float64)
        means = np.array([group.mean for group in groups])
        middle, scalings, ratio = directions(counts, means, product.cross)
        most = min(len(levels) - 1, len(flat), scalings.shape[1])
        count = most if self.n_components is None else self.n_components
        if count > most:
            raise StepError(f"n_components: {count} is more than there can be of these classes and columns: {most}")
        return FittedLda(
            names=names,
            features=flat,
            outputs=self.named(count),
            keep_columns=self.keep_columns,
            middle=middle,
            scalings=np.ascontiguousarray(scalings),
            ratio=ratio,
            counts=counts,
            means=means,
            levels=tuple(levels),
        )


def directions(
    counts: NDArray[np.float64], means: NDArray[np.float64], cross: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(middle of all rows (k,), scalings (k, directions), share of the variance between classes (directions,)).

    counts  (classes,), rows of each; means (classes, k)
    cross   (k, k), sums of products of deviations from the mean of all rows
    """
    rows, classes = counts.sum(), len(counts)
    middle = counts @ means / rows
    apart = means - middle
    within = cross - (apart * counts[:, None]).T @ apart
    deviation = np.sqrt(np.maximum(np.diag(within), 0.0) / rows)
    deviation[deviation == 0] = 1.0
    values, vectors = np.linalg.eigh(within / np.outer(deviation, deviation) / rows)
    real = values > _LEAST**2
    if not real.any():
        raise StepError("within each class every column is constant: drop such columns (step `select_variance`)")
    sphere = vectors[:, real] / deviation[:, None] / np.sqrt(values[real])
    between = np.sqrt(counts / (classes - 1))[:, None] * apart @ sphere
    _, strength, turned = np.linalg.svd(between, full_matrices=False)
    if not strength[0]:
        raise StepError("all classes have the same mean: nothing separates them")
    kept = int(np.count_nonzero(strength > _LEAST * strength[0]))
    scalings = signed((sphere @ turned.T[:, :kept]).T).T
    return middle, scalings, (strength**2 / (strength**2).sum())[:kept]


@dataclass(frozen=True)
class FittedLda(DerivedColumns):
    """middle    (features,), mean of all rows
    scalings  (features, directions)
    ratio     (directions,), share of the variance between classes
    counts    (classes,); means (classes, features); levels of the target
    """

    middle: NDArray[np.float64]
    scalings: NDArray[np.float64]
    ratio: NDArray[np.float64]
    counts: NDArray[np.float64]
    means: NDArray[np.float64]
    levels: tuple[Any, ...]

    def compute(self, matrix: Any) -> NDArray[np.float64]:
        return by_row(matrix, np.ascontiguousarray(self.scalings[:, : len(self.outputs)]), self.middle)

    def notes(self) -> tuple[str, ...]:
        share = self.ratio[: len(self.outputs)].sum()
        return (
            f"{len(self.outputs)} directions of {len(self.features)} columns hold {share:.1%} of the variance "
            f"between {len(self.levels)} classes.",
        )

    def sklearn(self) -> Any:
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        priors = self.counts / self.counts.sum()
        inner = (self.means - self.middle) @ self.scalings
        coefficients = inner @ self.scalings.T
        offsets = -0.5 * (inner**2).sum(axis=1) + np.log(priors) - self.middle @ coefficients.T
        if len(self.levels) == 2:
            coefficients, offsets = coefficients[1:] - coefficients[:1], offsets[1:] - offsets[:1]
        # Fitted on a few rows of as many classes, to be what it is after fitting; then it is given what the table
        # taught. Random values, since rows of one class must not lie in a plane.
        classes = np.arange(len(self.levels)).repeat(2)
        rows = np.random.default_rng(0).normal(size=(len(classes), len(self.outputs)))
        return self.as_fitted(
            LinearDiscriminantAnalysis(n_components=len(self.outputs)).fit(rows, classes),
            classes_=np.array(self.levels),
            priors_=priors,
            means_=self.means,
            xbar_=self.middle,
            scalings_=self.scalings,
            coef_=coefficients,
            intercept_=offsets,
            explained_variance_ratio_=self.ratio[: len(self.outputs)],
        )
