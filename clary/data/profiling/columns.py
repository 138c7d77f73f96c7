"""From what the passes saw of a column to its figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from clary.data.batch import Batch, Kind
from clary.data.profiling.dates import Dates, dates_of
from clary.data.profiling.figures import ColumnFigures, Level, Numbers, Texts, Times
from clary.data.profiling.limits import QUANTILES
from clary.data.profiling.look import Look, look_again
from clary.data.profiling.look_numbers import NumberLook, values_of
from clary.data.profiling.look_texts import TextLook
from clary.data.profiling.sampled import histogram, reads_as, top_of, words_of
from clary.data.progress import Progress
from clary.data.statistics.pairwise import MomentFigures
from clary.data.statistics.ranks import NOTHING, Missed, Ranks, Window, joined

TOP = 10
_STANDS_OUT = 0.01
_INDEX_ROWS = 20  # fewer rows are all different by chance


@dataclass
class Order:
    """The figures of a column that stand on its values' order; what is not known yet is not in `known`."""

    ranks: Ranks
    known: dict[Any, float] = field(default_factory=dict)

    def work_out(self) -> list[Window]:
        """Returns the windows that another pass must look at: none where all is known."""
        missed: list[Window] = []
        for q in QUANTILES:
            self._try(q, lambda q=q: self.ranks.quantile(q), missed)
        if missed:
            missed.extend(self.ranks.guesses())
        q1, q3, median = (self.known.get(q, math.nan) for q in (0.25, 0.75, 0.5))
        reach = 1.5 * (q3 - q1)
        if math.isfinite(reach):
            self._try("outliers", lambda: self.ranks.outside(q1 - reach, q3 + reach), missed)
        if math.isfinite(median):
            self._try("deviation", lambda: self.ranks.median_deviation(median), missed)
            deviation = self.known.get("deviation", 0.0)
            if deviation > 0 and math.isfinite(deviation):
                self._try("robust", lambda: self.ranks.robust_outliers(median, deviation), missed)
        return missed

    def _try(self, name: Any, work: Any, missed: list[Window]) -> None:
        if name not in self.known:
            try:
                self.known[name] = work()
            except Missed as more:
                missed.extend(more.windows)

    @property
    def quantiles(self) -> Mapping[float, float]:
        return {q: self.known[q] for q in QUANTILES}


def orders(look: Look, progress: Progress) -> dict[str, Order]:
    """Of every numeric column, with as many further passes as it takes; mostly none."""
    looks = {name: one for name, one in look.looks.items() if isinstance(one, NumberLook)}
    found: dict[str, Order] = {}
    missed: dict[str, tuple[Window, ...]] = {}
    for name, one in looks.items():
        found[name] = Order(one.ordered.ranks())
        _settle(found[name], name, missed)
    while missed:
        again, missed = look_again(look.scan, missed, looks, progress), {}
        for name, more in again.items():
            found[name].ranks = found[name].ranks.with_more(more)
            _settle(found[name], name, missed)
    return found


def _settle(order: Order, name: str, missed: dict[str, tuple[Window, ...]]) -> None:
    """Work out what can be; where that is all, let the values go before the next column's are looked at."""
    if windows := order.work_out():
        missed[name] = joined(windows)
    else:
        order.ranks = NOTHING


def figures_of(look: Look, order: Mapping[str, Order], moments: Mapping[str, MomentFigures]) -> list[ColumnFigures]:
    """Of each column, in the table's order."""
    types = {one.name: _type_name(one.type) for one in look.scan.arrow_schema}
    made = []
    for name, one in look.looks.items():
        if isinstance(one, NumberLook):
            made.append(_of_numbers(name, types[name], one, order[name], moments.get(name), look))
        else:
            made.append(_of_texts(name, types[name], one, look.sample.batch, look.rows))
    return made


def _type_name(given: pa.DataType) -> str:
    return f"{given.value_type} (dictionary)" if pa.types.is_dictionary(given) else str(given)


def _of_numbers(
    name: str, type_name: str, one: NumberLook, order: Order, moments: MomentFigures | None, look: Look
) -> ColumnFigures:
    distinct, exact = one.tally.count()
    distinct = min(distinct, one.count)
    top, counted = _top(one.tally.levels(), look.sample.batch, name, look.rows)
    if counted != look.rows:  # of many different numbers only those that stand out
        top = tuple(level for level in top if level.rows >= _STANDS_OUT * counted)
    if one.kind is Kind.BOOLEAN:
        top = tuple(Level(bool(level.value), level.rows) for level in top)
    seen = values_of(look.sample.batch[name], one.kind).floats if look.sample.batch.rows else np.empty(0)
    drawn = histogram(seen)
    direction = "" if one.count < 2 or not one.rising else "increasing" if one.strict else "not decreasing"
    numbers = times = None
    low, high = (one.low, one.high) if one.count else (math.nan, math.nan)
    if one.kind is Kind.TIME:
        times = Times(low, high, one.total / one.count if one.count else math.nan, order.quantiles, direction, drawn)
    else:
        assert moments is not None
        numbers = _numbers(one, order, moments, direction, (low, high), drawn)
    index_like = _index_like(distinct, one.count, look.rows) and (one.kind is Kind.NUMBER and one.whole)
    return ColumnFigures(
        name, one.kind, type_name, one.rows, one.rows - one.count, distinct, exact, top, counted,
        numbers=numbers, times=times, index_like=index_like,
    )  # fmt: skip


def _numbers(
    one: NumberLook,
    order: Order,
    moments: MomentFigures,
    direction: str,
    extremes: tuple[float, float],
    drawn: Any,
) -> Numbers:
    quantiles = order.quantiles
    q1, q3 = quantiles[0.25], quantiles[0.75]
    reach = 1.5 * (q3 - q1)
    lowest, highest = one.infinite
    mean = moments.mean
    spread: tuple[float, ...] = (moments.variance, moments.skewness, moments.kurtosis)
    if lowest or highest:  # as pandas: an infinite mean, or none, and no spread
        mean = math.nan if lowest and highest else -math.inf if lowest else math.inf
        spread = (math.nan, math.nan, math.nan)
    elif one.count and one.low == one.high:
        mean = one.low
        spread = (0.0 if one.count > 1 else math.nan, *(0.0 if one.count > n else math.nan for n in (2, 3)))
    robust = order.known.get("robust")
    return Numbers(
        mean=mean,
        variance=spread[0],
        skewness=spread[1],
        kurtosis=spread[2],
        low=extremes[0],
        high=extremes[1],
        finite_low=one.finite_low if one.count > lowest + highest else math.nan,
        finite_high=one.finite_high if one.count > lowest + highest else math.nan,
        quantiles=quantiles,
        zeros=one.zeros,
        negatives=one.negatives,
        infinite=lowest + highest,
        whole=one.whole and one.count > 0 and not (lowest or highest),
        order=direction,
        fences=(q1 - reach, q3 + reach),
        outliers=int(order.known.get("outliers", 0)),
        median_deviation=order.known.get("deviation", math.nan),
        robust_outliers=None if robust is None else int(robust),
        histogram=drawn,
    )


def _of_texts(name: str, type_name: str, one: TextLook, sample: Batch, rows: int) -> ColumnFigures:
    distinct, exact = one.tally.count()
    distinct = min(distinct, one.rows - one.missing)
    count = one.rows - one.missing
    top: tuple[Level, ...] = ()
    counted, texts = rows, None
    if one.kind is Kind.TEXT:
        top, counted = _top(one.tally.levels(), sample, name, rows)
        texts = _texts(one, sample[name] if sample.rows else pa.array([], pa.string()))
    short = texts is not None and texts.longest <= 64 and (math.isnan(texts.mean_words) or texts.mean_words <= 2)
    index_like = _index_like(distinct, count, rows) and short
    return ColumnFigures(
        name,
        one.kind,
        type_name,
        one.rows,
        one.missing,
        distinct,
        exact,
        top,
        counted,
        texts=texts,
        index_like=index_like,
    )


def _texts(one: TextLook, sample: pa.Array) -> Texts:
    import pyarrow.compute as pc

    lengths = one.lengths
    if pa.types.is_dictionary(sample.type):
        sample = sample.dictionary_decode()
    words, mean_words = words_of(sample, TOP)
    padded = int(pc.sum(pc.not_equal(pc.utf8_trim_whitespace(sample), sample)).as_py() or 0)
    dates = dates_of(sample)
    return Texts(
        shortest=lengths.shortest if lengths.count else math.nan,
        longest=lengths.longest if lengths.count else math.nan,
        mean_length=lengths.total / lengths.count if lengths.count else math.nan,
        empty=lengths.empty,
        mean_words=mean_words,
        words=words,
        all_numbers=reads_as(sample, pa.float64()),
        all_times=dates is not Dates.NONE,
        dates=dates,
        padded=padded,
    )


def _top(levels: Any, sample: Batch, name: str, rows: int) -> tuple[tuple[Level, ...], int]:
    """(most frequent values, of how many rows): of all, or of the sample where there are too many to count."""
    if levels is None:
        return top_of(sample[name], TOP) if sample.rows else ((), 0)
    values, counts = levels
    return tuple(Level(_plain(values[place]), int(counts[place])) for place in range(min(TOP, len(counts)))), rows


def _plain(value: Any) -> Any:
    if isinstance(value, np.datetime64):
        return value.item()
    if isinstance(value, np.generic):
        return value.item()
    return value.as_py() if hasattr(value, "as_py") else value


def _index_like(distinct: int, count: int, rows: int) -> bool:
    """Whether every row has a value, and all are different, as far as counting tells."""
    return count == rows and rows >= _INDEX_ROWS and distinct >= 0.98 * rows
