"""Numbers into bins."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from clary.data.batch import Batch, Column, Field, Kind, Schema, numbers
from clary.data.errors import StepError
from clary.data.recipe.step import FittedStep, Fitting, PerColumn, Step, check_choice, need, step
from clary.data.recipe.steps.presence import may_have_missing
from clary.data.statistics.base import Sample
from clary.data.statistics.moments import Moment, Moments
from clary.data.statistics.quantiles import Quantiles
from clary.data.statistics.samples import SampleColumns

if TYPE_CHECKING:
    from clary.data.recipe.row.code import RowCode

Strategy = Literal["equal_width", "equal_frequency", "kmeans"]
_NARROWEST = 1e-8  # narrower bins are left out, as scikit-learn does
_FEW_EDGES = 100  # up to so many, comparing all values with each edge is quicker than a search for each value
_MOST_BINS = 10_000


@step
@dataclass(frozen=True, kw_only=True)
class Bin(Step):
    """Replace numbers by the bins in which they lie, as scikit-learn's KBinsDiscretizer does.

    n_bins    how many
    strategy  equal_width: all as wide; equal_frequency: all with as many values, by exact quantiles (linear
              interpolation); kmeans: around the centres of clusters, learnt from a sample of a table that is larger
    edges     instead of `n_bins`, ascending: the first bin begins at the first edge, the last ends at the last
    encode    ordinal: the number of the bin, from 0 on; one_hot: a column `<name>_<bin>.0` of 0 and 1 for each bin
    A bin holds its lower edge, not its upper edge. Values outside of all edges lie in the first or the last bin.
    Missing values stay missing; with one_hot they are 0 in every column. Bins without width are left out.
    """

    n_bins: int = 5
    strategy: Strategy = "equal_frequency"
    edges: tuple[float, ...] = ()
    encode: Literal["ordinal", "one_hot"] = "ordinal"

    name: ClassVar[str] = "bin"
    kinds: ClassVar[tuple[Kind, ...]] = (Kind.NUMBER,)

    def __post_init__(self) -> None:
        check_choice("strategy", self.strategy, ("equal_width", "equal_frequency", "kmeans"))
        check_choice("encode", self.encode, ("ordinal", "one_hot"))
        need(2 <= self.n_bins <= _MOST_BINS, f"from 2 to {_MOST_BINS:,}", "n_bins")
        need(len(self.edges) != 1, "at least two are needed", "edges")
        need(len(self.edges) <= _MOST_BINS, f"at most {_MOST_BINS:,}", "edges")
        need(not any(map(math.isnan, self.edges)), "an edge is not a number", "edges")
        need(all(a < b for a, b in zip(self.edges, self.edges[1:], strict=False)), "they have to ascend", "edges")

    @property
    def keeps_schema(self) -> bool:  # type: ignore[override]  # one_hot makes other columns
        return self.encode == "ordinal"

    def fitting(self, schema: Schema) -> Fitting:
        names = self.chosen(schema)
        found: Sequence[Any]
        if self.edges:
            edges = [np.array(self.edges, np.float64)] * len(names)
        elif self.strategy == "equal_width":
            found = yield [Moments(name) for name in names]
            edges = [_equal_width(name, moment, self.n_bins) for name, moment in zip(names, found, strict=True)]
        elif self.strategy == "equal_frequency":
            # Through percentages, as in scikit-learn: a value on an edge lies on the same side of it then.
            shares = tuple(float(share) for share in np.linspace(0, 100, self.n_bins + 1) / 100)
            found = yield [Quantiles(name, shares) for name in names]
            edges = [_equal_frequency(name, quantiles) for name, quantiles in zip(names, found, strict=True)]
        else:
            (sample,) = yield [SampleColumns(names)]
            edges = [_clusters(name, sample, self.n_bins) for name in names]
        if self.encode == "ordinal":
            return Binned(names, tuple(edges))
        made = [
            bin_name for name, column_edges in zip(names, edges, strict=True) for bin_name in _names(name, column_edges)
        ]
        for bin_name in made:
            if (bin_name in schema and bin_name not in names) or made.count(bin_name) > 1:
                raise StepError("there is a column of that name already", column=bin_name)
        return BinnedOneHot(names, tuple(edges))


_SINGLE = (-math.inf, math.inf)  # the edges of a column whose values are all the same


def _checked(name: str, low: float, high: float) -> None:
    if math.isnan(low):
        raise StepError("it has no value to learn bins from; drop it (step `drop_missing`, axis: columns)", column=name)
    if math.isinf(low) or math.isinf(high):
        raise StepError("a value is infinite: clip it or make it missing first (steps `clip`, `outliers`)", column=name)


def _equal_width(name: str, found: Moment, bins: int) -> NDArray[np.float64]:
    _checked(name, found.low, found.high)
    if found.low == found.high:
        return np.array(_SINGLE)
    with np.errstate(all="ignore"):
        return _finite(name, np.linspace(found.low, found.high, bins + 1))


def _equal_frequency(name: str, found: NDArray[np.float64]) -> NDArray[np.float64]:
    _checked(name, float(found[0]), float(found[-1]))
    return np.array(_SINGLE) if found[0] == found[-1] else _wide_enough(found)


def _finite(name: str, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(edges).all():
        raise StepError("its values are too far from each other: clip it first (step `clip`)", column=name)
    return edges


def _wide_enough(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    return edges[np.ediff1d(edges, to_begin=np.inf) > _NARROWEST]


def _clusters(name: str, sample: Sample, bins: int) -> NDArray[np.float64]:
    """Edges half way between the centres of clusters that begin with equal width, as in scikit-learn."""
    from sklearn.cluster import KMeans

    values = numbers(sample.batch[name])
    values = values[~np.isnan(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (math.nan, math.nan)
    _checked(name, low, high)
    if low == high:
        return np.array(_SINGLE)
    if len(values) < bins:
        raise StepError(f"it has {len(values)} values, fewer than {bins} clusters: choose fewer bins", column=name)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of fewer distinct values than clusters: such bins have no width, and go
        edges = _finite(name, np.linspace(low, high, bins + 1))
        start = (edges[1:] + edges[:-1])[:, None] * 0.5
        _finite(name, start * start)  # distances are squares
        centres = KMeans(n_clusters=bins, init=start, n_init=1).fit(values[:, None]).cluster_centers_[:, 0]
        centres.sort()
        return _wide_enough(_finite(name, np.concatenate([[low], (centres[1:] + centres[:-1]) * 0.5, [high]])))


def _bins_of(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[Any]:
    """The number of each value's bin; 0 or the last bin for NaN."""
    inner = edges[1:-1]
    if len(inner) > _FEW_EDGES:
        return np.searchsorted(inner, values, side="right")
    found = np.zeros(len(values), np.uint8)
    for edge in inner:
        found += (values >= edge).view(np.uint8)
    return found


def _names(name: str, edges: NDArray[np.float64]) -> list[str]:
    """As scikit-learn calls them."""
    return [f"{name}_{place}.0" for place in range(len(edges) - 1)]


def _notes(names: Sequence[str], edges: Sequence[NDArray[np.float64]]) -> tuple[str, ...]:
    return tuple(
        f"{name!r} has {len(column_edges) - 1} bins: {_shown(column_edges)}."
        for name, column_edges in zip(names, edges, strict=True)
    )


def _shown(edges: NDArray[np.float64]) -> str:
    return ", ".join(f"{edge:.6g}" for edge in edges[:12]) + ", …" * (len(edges) > 12)


@dataclass(frozen=True)
class Binned(PerColumn):
    """edges: of each column, ascending, the ends among them."""

    edges: tuple[NDArray[np.float64], ...]

    def apply(self, place: int, column: Column) -> Column:
        values = numbers(column)
        made = _bins_of(values, self.edges[place]).astype(np.float64)
        if may_have_missing(values):
            made[np.isnan(values)] = np.nan
        return made

    def row(self, code: RowCode) -> None:
        find = code.constant(bisect_right)
        for name, edges in zip(self.names, self.edges, strict=True):
            value, inner = code.read(name), code.constant(edges[1:-1].tolist())
            code.write(name, f"float({find}({inner}, {value})) if {value} == {value} else {value}")

    def notes(self) -> Sequence[str]:
        return _notes(self.names, self.edges)


@dataclass(frozen=True)
class BinnedOneHot(FittedStep):
    """edges: of each column, ascending, the ends among them."""

    names: tuple[str, ...]
    edges: tuple[NDArray[np.float64], ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.names

    @property
    def made(self) -> tuple[Field, ...]:
        pairs = zip(self.names, self.edges, strict=True)
        return tuple(Field(bin_name, Kind.NUMBER) for name, edges in pairs for bin_name in _names(name, edges))

    @property
    def removed(self) -> tuple[str, ...]:
        return self.names

    def only(self, wanted: Collection[str]) -> FittedStep | None:
        pairs = zip(self.names, self.edges, strict=True)
        kept = [(name, edges) for name, edges in pairs if set(_names(name, edges)) & set(wanted)]
        return BinnedOneHot(tuple(name for name, _ in kept), tuple(edges for _, edges in kept)) if kept else None

    def transform(self, batch: Batch) -> Batch:
        made = {}
        for name, edges in zip(self.names, self.edges, strict=True):
            values = numbers(batch[name])
            present = ~np.isnan(values)
            found = _bins_of(values, edges)
            for place, bin_name in enumerate(_names(name, edges)):
                made[bin_name] = ((found == place) & present).view(np.uint8)
        return batch.replaced(self.names, made)

    def row(self, code: RowCode) -> None:
        find = code.constant(bisect_right)
        for name, edges in zip(self.names, self.edges, strict=True):
            value, inner = code.read(name), code.constant(edges[1:-1].tolist())
            made = _names(name, edges)
            rows = [tuple(float(place == bin_) for place in range(len(made))) for bin_ in range(len(made))]
            table, none = code.constant(rows), code.constant((0.0,) * len(made))
            code.write_many(made, f"{table}[{find}({inner}, {value})] if {value} == {value} else {none}")

    def notes(self) -> Sequence[str]:
        return _notes(self.names, self.edges)
