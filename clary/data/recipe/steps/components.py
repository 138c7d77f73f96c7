"""Principal components, and truncated singular value decomposition: few columns in place of many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Schema
from clary.data.errors import StepError
from clary.data.recipe.step import Fitting, need, step
from clary.data.recipe.steps.derived_columns import DerivedColumns, Extraction
from clary.data.recipe.steps.features import (
    Feature,
    by_row,
    check_free,
    features,
    refuse_gaps,
    sampled,
    varies,
    whole_matrix,
)
from clary.data.statistics.gram import Gram, Sums
from clary.data.statistics.products import Product, Products
from clary.data.statistics.samples import SampleColumns

# Sums of products of more columns would not fit beside each other in memory: 2,048² numbers are 32 MB a core.
MOST_EXACT = 2_048


@step
@dataclass(frozen=True, kw_only=True)
class Pca(Extraction):
    """Principal components: the directions in which the rows differ most, as new columns pca_1, pca_2, …

    Computed exactly, in one pass, from means and sums of products, for up to 2,048 columns; equals scikit-learn's
    PCA, signs too. Scale the columns first (step `scale`) unless all are of one unit. Values may not be missing.

    n_components  how many; or a share in (0, 1): as many as explain more than this share of the variance; None: all
    whiten        whether each component is divided by its standard deviation
    prefix        of the new columns' names; by default "pca"
    keep_columns  whether the columns it was made from stay
    Reference     Jolliffe (2002), Principal Component Analysis; scikit-learn's PCA, svd_solver="full".
    """

    name = "pca"
    short = "pca"

    n_components: int | float | None = None
    whiten: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_count(self.n_components)

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        flat = features(schema, names)
        if len(flat) > MOST_EXACT:
            raise StepError(
                f"they are {len(flat):,} columns, more than {MOST_EXACT:,}; take the step `truncated_svd`, "
                "or fewer columns (step `select_variance`)"
            )
        (product,) = yield [Products(names)]
        if product.left_out:
            yield from refuse_gaps(names, [feature.name for feature in flat])
        fitted = self._fitted(names, flat, product)
        check_free(schema, fitted.removed, fitted.outputs)
        return fitted

    def _fitted(self, names: tuple[str, ...], flat: tuple[Feature, ...], product: Product) -> FittedPca:
        if product.count < 2:
            raise StepError(f"two rows at least are needed, there are {product.count}")
        values, vectors = np.linalg.eigh(product.covariance(ddof=1))
        variance, components = np.maximum(values[::-1], 0.0), signed(vectors.T[::-1])
        total = float(variance.sum())
        if not varies(product).any():
            raise StepError("every column is constant: there are no components")
        most = min(product.count, len(flat))
        count = self._count(variance / total, most)
        return FittedPca(
            names=names,
            features=tuple(feature.name for feature in flat),
            outputs=self.named(count),
            keep_columns=self.keep_columns,
            mean=product.mean,
            components=np.ascontiguousarray(components[:count]),
            whiten=self.whiten,
            variance=variance[:count],
            ratio=variance[:count] / total,
            noise=float(variance[count:most].mean()) if count < most else 0.0,
            rows=product.count,
        )

    def _count(self, ratio: NDArray[np.float64], most: int) -> int:
        wanted = self.n_components
        if wanted is None:
            return most
        if isinstance(wanted, float) and wanted < 1:
            return min(most, int(np.searchsorted(np.cumsum(ratio), wanted, side="right")) + 1)
        if wanted > most:
            raise StepError(f"n_components: {wanted} is more than there can be of these rows and columns: {most}")
        return int(wanted)


def _check_count(count: float | None) -> None:
    need(not isinstance(count, bool), "a number is wanted", "n_components")
    if count is not None:
        share = isinstance(count, float) and 0 < count < 1
        need(share or (count >= 1 and count == int(count)), f"{count} is neither a count nor a share", "n_components")


def signed(components: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each direction with its greatest part positive: scikit-learn's svd_flip with u_based_decision=False."""
    greatest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), greatest])
    return components * np.where(signs == 0, 1.0, signs)[:, None]


@dataclass(frozen=True)
class FittedPca(DerivedColumns):
    """mean        (features,)
    components  (outputs, features), of length 1 each
    variance    (outputs,), along each component, with ddof=1
    ratio       (outputs,), of all variance
    noise       mean variance of the components that were left out
    rows        it was fitted on
    """

    mean: NDArray[np.float64]
    components: NDArray[np.float64]
    whiten: bool
    variance: NDArray[np.float64]
    ratio: NDArray[np.float64]
    noise: float
    rows: int

    def compute(self, matrix: Any) -> NDArray[np.float64]:
        made = by_row(matrix, np.ascontiguousarray(self.components.T), self.mean)
        if self.whiten:
            # A component along which nothing differs would be divided by zero; scikit-learn stops at this, too.
            made /= np.maximum(np.sqrt(self.variance), np.finfo(np.float64).eps)
        return made

    def notes(self) -> tuple[str, ...]:
        shown = ", ".join(f"{share:.1%}" for share in self.ratio[:10]) + (", …" if len(self.ratio) > 10 else "")
        return (
            f"{len(self.outputs)} components of {len(self.features)} columns explain {self.ratio.sum():.1%} "
            f"of their variance ({shown}).",
        )

    def sklearn(self) -> Any:
        from sklearn.decomposition import PCA

        return self.as_fitted(
            PCA(n_components=len(self.outputs), whiten=self.whiten, svd_solver="full"),
            components_=self.components,
            explained_variance_=self.variance,
            explained_variance_ratio_=self.ratio,
            singular_values_=np.sqrt(self.variance * (self.rows - 1)),
            mean_=self.mean,
            n_components_=len(self.outputs),
            n_samples_=self.rows,
            noise_variance_=self.noise,
        )


@step
@dataclass(frozen=True, kw_only=True)
class TruncatedSvd(Extraction):
    """The strongest directions of columns that are not centred, so that sparse blocks stay sparse: svd_1, svd_2, …

    After `tf_idf` this is latent semantic analysis. Up to 2,048 columns it is computed exactly in one pass; of more
    columns, by scikit-learn's TruncatedSVD (ARPACK) on a random sample of the rows.

    n_components  how many
    seed          where ARPACK starts from
    prefix        of the new columns' names; by default "svd"
    keep_columns  whether the columns it was made from stay
    Reference     Halko, Martinsson & Tropp (2011), SIAM Review 53(2), 217-288; scikit-learn's TruncatedSVD.
    """

    name = "truncated_svd"
    short = "svd"

    n_components: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        need(self.n_components >= 1, "1 at least", "n_components")

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        flat = features(schema, names)
        base = DerivedColumns(
            names, tuple(feature.name for feature in flat), self.named(self.n_components), self.keep_columns
        )
        check_free(schema, base.removed, base.outputs)
        if len(flat) > MOST_EXACT:
            (sample,) = yield [SampleColumns(names)]
            return self._fit_sample(base, sample.batch, sample.complete)
        (sums,) = yield [Gram(names)]
        if sums.left_out:
            yield from refuse_gaps(names, [feature.name for feature in flat])
        return self._fit_sums(base, sums)

    def _fit_sums(self, base: DerivedColumns, sums: Sums) -> FittedSvd:
        self._fits(sums.count, len(base.features))
        squares, vectors = np.linalg.eigh(sums.products)
        components = np.ascontiguousarray(signed(vectors.T[::-1])[: self.n_components])
        mean = sums.total / sums.count
        covariance = sums.products / sums.count - np.outer(mean, mean)
        variance = np.einsum("ij,jk,ik->i", components, covariance, components)
        total = float(np.trace(covariance))
        return FittedSvd(
            **base.shared(),
            components=components,
            singular=np.sqrt(np.maximum(squares[::-1][: self.n_components], 0.0)),
            variance=variance,
            ratio=variance / total if total > 0 else np.zeros(self.n_components),
            sample=(),
        )

    def _fit_sample(self, base: DerivedColumns, batch: Batch, complete: bool) -> FittedSvd:
        from sklearn.decomposition import TruncatedSVD

        matrix = whole_matrix(batch, base.names)
        self._fits(matrix.shape[0] - 1, len(base.features))  # ARPACK finds all directions but one
        found = TruncatedSVD(self.n_components, algorithm="arpack", random_state=self.seed).fit(matrix)
        return FittedSvd(
            **base.shared(),
            components=np.ascontiguousarray(found.components_),
            singular=found.singular_values_,
            variance=found.explained_variance_,
            ratio=found.explained_variance_ratio_,
            sample=sampled(complete, batch.rows),
        )

    def _fits(self, rows: int, width: int) -> None:
        if self.n_components > min(rows, width):
            raise StepError(
                f"n_components: {self.n_components} is more than there can be of these rows and columns: "
                f"{max(0, min(rows, width))}"
            )


@dataclass(frozen=True)
class FittedSvd(DerivedColumns):
    """components  (outputs, features)
    singular    (outputs,), singular values
    variance    (outputs,), of the new columns; ratio  (outputs,), of all variance
    sample      notes on the rows it was fitted on
    """

    components: NDArray[np.float64]
    singular: NDArray[np.float64]
    variance: NDArray[np.float64]
    ratio: NDArray[np.float64]
    sample: tuple[str, ...]

    def compute(self, matrix: Any) -> NDArray[np.float64]:
        return by_row(matrix, np.ascontiguousarray(self.components.T))

    def notes(self) -> tuple[str, ...]:
        share = self.ratio.sum()
        return (
            f"{len(self.outputs)} components of {len(self.features)} columns explain {share:.1%} of their variance.",
            *self.sample,
        )

    def sklearn(self) -> Any:
        from sklearn.decomposition import TruncatedSVD

        return self.as_fitted(
            TruncatedSVD(len(self.outputs), algorithm="arpack"),
            components_=self.components,
            explained_variance_=self.variance,
            explained_variance_ratio_=self.ratio,
            singular_values_=self.singular,
        )
