"""Few columns from many: principal components, truncated singular value decomposition, linear discriminants,
distances to k-means' centres.

t-SNE and UMAP place the rows that they are given and no others, so they are no steps: `embedding` makes their maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Schema
from clary.data.errors import RecipeError, StepError
from clary.data.recipe.step import Fitting, Step, check_choice, need, step
from clary.data.recipe.steps.components import Pca, TruncatedSvd
from clary.data.recipe.steps.derived_columns import DerivedColumns, Extraction
from clary.data.recipe.steps.discriminant import Lda
from clary.data.recipe.steps.embeddings import embedding
from clary.data.recipe.steps.features import by_row, check_free, features, sampled, whole_matrix
from clary.data.statistics.samples import SampleColumns

__all__ = ["KMeansDistance", "Lda", "Pca", "TruncatedSvd", "Tsne", "Umap", "embedding"]


@step
@dataclass(frozen=True, kw_only=True)
class KMeansDistance(Extraction):
    """The Euclidean distance of each row to each centre that k-means finds, as columns kmeans_1, kmeans_2, …

    The centres are found on a random sample of at most 100,000 rows. Scale the columns first (step `scale`).

    n_clusters    how many centres
    algorithm     "lloyd": scikit-learn's KMeans; "mini_batch": its MiniBatchKMeans, quicker and less exact
    n_init        how often it starts anew; the best is kept
    max_iter      steps of one start at most
    seed          of the random starts
    prefix        of the new columns' names; by default "kmeans"
    keep_columns  whether the columns it was made from stay
    Reference     Arthur & Vassilvitskii (2007), k-means++, SODA, 1027-1035; Coates & Ng (2012), Learning feature
                  representations with k-means.
    """

    name = "kmeans_distance"
    short = "kmeans"

    n_clusters: int = 8
    algorithm: Literal["lloyd", "mini_batch"] = "lloyd"
    n_init: int = 3
    max_iter: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("algorithm", self.algorithm, ("lloyd", "mini_batch"))
        for parameter in ("n_clusters", "n_init", "max_iter"):
            need(getattr(self, parameter) >= 1, "1 at least", parameter)

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        flat = tuple(feature.name for feature in features(schema, names))
        base = DerivedColumns(names, flat, self.named(self.n_clusters), self.keep_columns)
        check_free(schema, base.removed, base.outputs)
        (sample,) = yield [SampleColumns(names)]
        matrix = whole_matrix(sample.batch, names)
        distinct = _distinct(matrix)
        if distinct < self.n_clusters:
            raise StepError(f"n_clusters: {self.n_clusters} is more than there are distinct rows: {distinct}")
        found = self._estimator().fit(matrix)
        return FittedKMeans(
            **base.shared(),
            centres=np.ascontiguousarray(found.cluster_centers_, np.float64),
            sample=sampled(sample.complete, sample.batch.rows),
        )

    def _estimator(self) -> Any:
        from sklearn.cluster import KMeans, MiniBatchKMeans

        kind = KMeans if self.algorithm == "lloyd" else MiniBatchKMeans
        return kind(self.n_clusters, n_init=self.n_init, max_iter=self.max_iter, random_state=self.seed)


def _distinct(matrix: Any) -> int:
    """How many different rows there are. Projected on a random direction, so that sparse rows stay sparse."""
    direction = np.random.default_rng(0).normal(size=(matrix.shape[1], 1))
    return len(np.unique(by_row(matrix, direction)))


@dataclass(frozen=True)
class FittedKMeans(DerivedColumns):
    """centres  (outputs, features)."""

    centres: NDArray[np.float64]
    sample: tuple[str, ...]

    def compute(self, matrix: Any) -> NDArray[np.float64]:
        made = np.empty((matrix.shape[0], len(self.centres)))
        at_once = max(1, 1_000_000 // max(1, matrix.shape[1]))
        for first in range(0, len(made), at_once):
            part = matrix[first : first + at_once]
            part = np.ascontiguousarray(part) if isinstance(part, np.ndarray) else part.toarray()
            for place, centre in enumerate(self.centres):
                made[first : first + at_once, place] = np.sqrt(((part - centre) ** 2).sum(axis=1))
        return made

    def notes(self) -> tuple[str, ...]:
        return (f"Distances to {len(self.centres)} centres of {len(self.features)} columns.", *self.sample)

    def sklearn(self) -> Any:
        from sklearn.cluster import KMeans

        # Fitted on as many points as there are centres, to be what it is after fitting; then it is given the centres.
        # `labels_` and `inertia_` are those points'.
        points = np.arange(len(self.centres), dtype=np.float64)[:, None]
        estimator = KMeans(len(points), init=points, n_init=1).fit(points).set_params(init="k-means++")
        return self.as_fitted(estimator, cluster_centers_=self.centres)


@dataclass(frozen=True, kw_only=True)
class _VisualizationOnly(Step):
    """A map of the rows it was given: it cannot place a new row, so no recipe may have it."""

    title: ClassVar[str]

    def __post_init__(self) -> None:
        raise RecipeError(
            f"{self.name}: {self.title} places the rows it is given and cannot be applied to new rows, so it is no "
            f"step of a recipe. Take the step `pca` (or `kmeans_distance`) for features; for a map in a plot, call "
            f"clary.data.recipe.steps.extraction.embedding(data, method={self.name!r})"
        )

    def fitting(self, schema: Schema) -> Fitting:
        raise RecipeError(f"{self.name} cannot be fitted")


@step
@dataclass(frozen=True, kw_only=True)
class Tsne(_VisualizationOnly):
    """Not a step: t-SNE cannot be applied to new rows. Naming it in a recipe is an error that offers `pca`.

    Reference  van der Maaten & Hinton (2008), Visualizing data using t-SNE, JMLR 9.
    """

    name = "tsne"
    title = "t-SNE"


@step
@dataclass(frozen=True, kw_only=True)
class Umap(_VisualizationOnly):
    """Not a step: UMAP is for plots here, as t-SNE is. Naming it in a recipe is an error that offers `pca`.

    Reference  McInnes, Healy & Melville (2018), UMAP, arXiv:1802.03426.
    """

    name = "umap"
    title = "UMAP"
