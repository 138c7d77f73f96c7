"""Maps of rows for plots: t-SNE, UMAP, principal components. They place the rows given, and cannot place new rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, some
from clary.data.errors import DataError, StepError
from clary.data.recipe.step import select
from clary.data.recipe.steps.features import NUMERIC, numbered
from clary.data.scans import Scan, scan_of, schema_of
from clary.data.statistics.base import Sample
from clary.data.statistics.passes import computed
from clary.data.statistics.samples import SampleRows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

METHODS = ("tsne", "umap", "pca")
PERPLEXITY = 30.0  # van der Maaten & Hinton find 5 to 50 right; scikit-learn's default


def embedding(
    data: pd.DataFrame | pa.Table | Scan,
    method: Literal["tsne", "umap", "pca"] = "tsne",
    *,
    columns: tuple[str, ...] | str = (),
    leave: tuple[str, ...] = (),
    n_components: int = 2,
    rows: int = 5_000,
    scale: bool = True,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Coordinates of rows on a map: columns tsne_1, tsne_2 (umap_…, pca_…), indexed by the row's number in the table.

    columns       as in a step: names, patterns or a keyword; by default all numbers and booleans
    leave         names or patterns of columns to be left out, such as the label
    rows          of larger tables a random sample of about so many is drawn
    scale         whether columns are first divided by their standard deviation
    options       further parameters of scikit-learn's TSNE or PCA, or of umap-learn's UMAP
    attrs         the frame's `attrs["notes"]`: sentences on what was sampled and left out
    Raises        DataError for columns or options that do not fit, for fewer than three rows without a missing
                  value, and where umap-learn is not installed.
    Reference     van der Maaten & Hinton (2008), JMLR 9; McInnes, Healy & Melville (2018), arXiv:1802.03426.
    """
    import pandas as pd

    if method not in METHODS:
        raise DataError(f"method: {method!r} is not one of {some(METHODS)}")
    if n_components < 1 or rows < 3:
        raise DataError("n_components has to be 1 at least, and rows 3")
    sample = _sample(scan_of(data), columns, leave, rows, seed)
    matrix, kept, notes = _usable(sample)
    if scale:
        deviation = matrix.std(axis=0)
        matrix = (matrix - matrix.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    try:
        placed = _mapper(method, len(matrix), n_components, seed, dict(options or {})).fit_transform(matrix)
    except (TypeError, ValueError) as error:
        raise DataError(f"{method} does not take these rows or options: {error}") from None
    frame = pd.DataFrame(placed, columns=list(numbered(method, n_components)), index=pd.Index(kept, name="row"))
    frame.attrs["notes"] = notes
    return frame


def _sample(scan: Scan, columns: tuple[str, ...] | str, leave: tuple[str, ...], rows: int, seed: int) -> Sample:
    names = select(schema_of(scan), columns, NUMERIC, leave)
    if not names:
        raise StepError("there are no columns of numbers to make a map of")
    sample: Sample = computed(scan, SampleRows(names, scan.rows, wanted=rows, seed=seed))
    return sample


def _usable(sample: Sample) -> tuple[NDArray[np.float64], NDArray[np.int64], list[str]]:
    """(rows without a missing value, their numbers, notes)."""
    batch: Batch = sample.batch
    matrix = batch.matrix()
    matrix = matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
    whole = np.isfinite(matrix).all(axis=1)
    notes = [] if sample.complete else [f"A random sample of {batch.rows:,} rows."]
    if not whole.all():
        notes.append(f"{int((~whole).sum()):,} rows were left out: a value is missing or infinite.")
    if whole.sum() < 3:
        raise StepError(f"three rows without a missing value are needed, there are {int(whole.sum())}")
    return matrix[whole], batch.row_numbers[whole], notes


def _mapper(method: str, rows: int, n_components: int, seed: int, options: dict[str, Any]) -> Any:
    common = {"n_components": n_components, "random_state": seed}
    if method == "pca":
        from sklearn.decomposition import PCA

        return PCA(**(common | options))
    if method == "umap":
        try:
            from umap import UMAP
        except ImportError:
            raise DataError(
                "a UMAP map needs the package umap-learn: pip install umap-learn; or take method='tsne'"
            ) from None
        return UMAP(**(common | {"n_neighbors": min(15, rows - 1), "n_jobs": 1} | options))
    from sklearn.manifold import TSNE

    return TSNE(**(common | {"perplexity": min(PERPLEXITY, (rows - 1) / 3)} | options))
